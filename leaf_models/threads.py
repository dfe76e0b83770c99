"""Number of threads of a computation: one for small matrices, restored afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from threadpoolctl import ThreadpoolController

# With so few rows, an operation takes well under a millisecond. A second thread then saves little. If other
# processes are running, each operation waits for it while both threads spin.
SMALL_ROWS = 600


@dataclass(slots=True, eq=False)
class _Pools:
    """The running computations in all threads of the process, and the process's settings before them."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    running: int = 0
    threads: int = 1  # of torch, before the first computation


_pools = _Pools()
_own = threading.local()  # the number of threads that this thread's innermost computation uses


@contextmanager
def compute_threads(
    count: int | None = None, *, rows: int | None = None, most: int | None = None
) -> Iterator[None]:
    """Compute with ``count`` threads, or one for few ``rows``, and restore the settings afterwards.

    Meanwhile NumPy's BLAS has one thread: it gets only small matrices, and more threads would spin.
    Computations may be nested and may run in several threads at once. NumPy's threads are set only by the
    main thread, since OpenBLAS ignores the request of any other.

    Args:
        count: threads of torch; None for the current number.
        rows: of the largest matrices; None if they may be large.
        most: maximum number of threads without ``count``.

    >>> before = torch.get_num_threads()
    >>> with compute_threads(rows=100):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    outer: int | None = getattr(_own, "count", None)
    with _pools.lock:
        if not _pools.running:
            _pools.threads = torch.get_num_threads()
        _pools.running += 1
        before = _pools.threads if outer is None else outer
    is_small = rows is not None and rows <= SMALL_ROWS
    may_set_numpy = outer is None and threading.current_thread() is threading.main_thread()
    try:
        _own.count = 1 if is_small else count or min(before, most or before)
        torch.set_num_threads(_own.count)
        with _one_numpy_thread() if may_set_numpy else nullcontext():
            yield
    finally:
        _own.count = outer
        torch.set_num_threads(before)
        with _pools.lock:
            _pools.running -= 1


def stay_single_threaded() -> None:
    """Compute with one thread from now on in this process, a fork of another one.

    OpenMP's threads do not survive a fork, so a second thread would be waited for forever. The settings of
    the other process no longer count, nor locks that its threads held.
    """
    _pools.lock, _pools.running, _own.count = threading.Lock(), 0, 1
    torch.set_num_threads(1)


@contextmanager
def _one_numpy_thread() -> Iterator[None]:
    """Limit NumPy's BLAS to one thread."""
    with ThreadpoolController().select(internal_api="openblas").limit(limits=1):
        yield
