"""The extension of the compiled loops, which may be missing, and its threads; shared by all wrappers."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from xrfm_cli.leaf_models.terms import Term

try:
    from xrfm_cli.leaf_models.compiled import _coordinates as extension
except ImportError:  # installed without a compiler
    extension = None  # type: ignore[assignment]

WORTH_A_THREAD = 1 << 17  # in terms: about a tenth of a millisecond of work
LINK_COST = 8  # in terms: the cost of the kernel value of a sum
KINDS = {"power": 0, "decay": 1}  # as in _coordinates.c
LINKS = {"decay": 0, "raised": 1}


def is_compiled() -> bool:
    """Return whether the compiled loops are available; without them torch does the same more slowly."""
    return extension is not None


def check_shapes(fits: bool, columns: Tensor) -> None:
    """Check shapes and strides: the loops trust the addresses they are given."""
    if not fits or (columns.shape[1] > 1 and columns.stride(1) != 1):
        raise ValueError("tensors of shapes that do not fit together")


def facts_of(term: Term) -> tuple[int, float, float]:
    """Return a term as the loops take it."""
    return KINDS[term.kind], term.exponent, term.scale


def share_rows(work: Callable[[slice], None], rows: int, cost: int) -> None:
    """Do the work on equal parts of the rows in torch's number of threads, or in fewer for little work."""
    threads = max(1, min(torch.get_num_threads(), rows, rows * cost // WORTH_A_THREAD))
    cuts = [rows * k // threads for k in range(threads + 1)]
    own, *others = [slice(*cut) for cut in pairwise(cuts)]
    running = [_workers(os.getpid()).submit(work, part) for part in others]
    try:
        work(own)
    finally:  # the buffers must stay untouched until all threads have finished
        wait(running)
    for part in running:
        part.result()


@cache
def _workers(process: int) -> ThreadPoolExecutor:
    """Return threads that last as long as the process: starting one takes as long as a short loop.

    The argument is there because a forked process has none of its parent's threads.
    """
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix=f"loops-{process}")
