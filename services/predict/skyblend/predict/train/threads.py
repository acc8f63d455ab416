"""Linear algebra on one thread: the matrices are small, and threads that wait for each other
cost ten times the work."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, BLAS uses one thread; the same input then gives the same bits, too."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
