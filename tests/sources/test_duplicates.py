"""Contradictions are found however far apart, without the keys of the whole file in memory."""

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skyblend.sources.duplicates import Seen

CHUNK = 16_384


def chunk(keys, values):
    return [np.asarray(keys, np.int64)], [np.asarray(values, np.float64)]


def test_the_first_row_of_a_key_stands_and_a_repeat_of_it_is_no_contradiction():
    with Seen() as seen:
        # Key 7 comes with 1, 1 and 2; only the 2 contradicts. NaN is like NaN, -0 like 0.
        keys, values = chunk([7, 8, 7, 7, 8, 9, 9], [1, np.nan, 1, 2, np.nan, 0.0, -0.0])
        assert seen.conflicts(keys, values).tolist() == [False] * 3 + [True] + [False] * 3
        assert seen.conflicts(*chunk([8], [3])).tolist() == [True]


def test_a_contradiction_half_a_million_rows_later_is_found():
    with Seen() as seen:
        for start in range(0, 32 * CHUNK, CHUNK):
            assert not seen.conflicts(*chunk(np.arange(start, start + CHUNK), [1] * CHUNK)).any()
        assert seen.conflicts(*chunk([5, 5], [1, 2])).tolist() == [False, True]


def test_memory_does_not_grow_with_the_rows():
    def peak(chunks):
        tracemalloc.start()
        with Seen() as seen:
            for start in range(0, chunks * CHUNK, CHUNK):
                seen.conflicts(*chunk(np.arange(start, start + CHUNK), np.zeros(CHUNK)))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(100) < 1.1 * peak(12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), max_size=8)))
def test_any_order_gives_what_a_dictionary_gives(chunks):
    known = {}
    with Seen() as seen:
        for rows in chunks:
            expected = [known.setdefault(key, value) != value for key, value in rows]
            keys, values = chunk([key for key, _ in rows], [value for _, value in rows])
            assert seen.conflicts(keys, values).tolist() == expected
