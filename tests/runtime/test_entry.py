"""What an entry module makes at its first request."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from skyblend.runtime.entry import first


def test_two_first_requests_at_once_make_one() -> None:
    together = threading.Barrier(2)
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    get = first(make)

    def ask(_: int) -> object:
        together.wait(10)
        return get()

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(ask, range(2))) == set(made)
    assert len(made) == 1


def test_what_failed_is_tried_again_by_the_next_request() -> None:
    tries: Iterator[OSError | str] = iter([OSError("not yet"), "made"])

    def make() -> str:
        if isinstance(found := next(tries), OSError):
            raise found
        return found

    get = first(make)
    with pytest.raises(OSError, match="not yet"):
        get()
    assert get() == get() == "made"
