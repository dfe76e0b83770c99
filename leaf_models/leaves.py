"""Fit the leaves of a tree one by one or, where that is faster, together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

import torch
from torch import Tensor

from xrfm_cli.events import OnEvent, ignore_event
from xrfm_cli.leaf_models.batched.fit import iterate_batch
from xrfm_cli.leaf_models.batched.kernels import is_euclidean
from xrfm_cli.leaf_models.batched.padding import LeafRows, batch_bytes
from xrfm_cli.leaf_models.config import LINEAR_FAMILIES, LeafConfig
from xrfm_cli.leaf_models.kernels import coordinates
from xrfm_cli.leaf_models.leaf import LeafModel
from xrfm_cli.leaf_models.rfm import DEFAULT_MEMORY_BYTES, iterate_leaf

FEWEST_LEAVES = 4  # fewer are not worth a batch
MOST_ROWS = 2_048  # larger leaves keep a device busy alone


def iterate_leaves(
    leaves: Sequence[LeafRows],
    config: LeafConfig,
    *,
    initial_feature_matrix: Tensor | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    on_event: OnEvent = ignore_event,
) -> Iterator[tuple[LeafModel, ...]]:
    """Fit leaves; yield all of them after each solve, ``t = 0 .. config.iterations``.

    Arguments as in :func:`xrfm_cli.leaf_models.iterate_leaf`. Each leaf has a generator of its own, so the
    order of work does not matter.

    >>> x = torch.linspace(-1, 1, 50)[:, None]
    >>> leaves = [
    ...     LeafRows(x=part, y=part.square(), weights=None, generator=torch.Generator().manual_seed(0))
    ...     for part in x.split(25)
    ... ]
    >>> [len(found) for found in iterate_leaves(leaves, LeafConfig(iterations=1))]
    [2, 2]
    """
    first = leaves[0]
    counts = [len(leaf.x) for leaf in leaves]
    needed = batch_bytes(max(counts), first.x.shape[1], first.y.shape[1])
    together = leaves_per_batch(first.x.device, first.x.dtype, counts, config, memory_bytes // needed)
    if together:
        batches = [
            iterate_batch(part, config, initial_feature_matrix=initial_feature_matrix, on_event=on_event)
            for part in _parts(leaves, together)
        ]
        for found in zip(*batches, strict=True):
            yield tuple(chain.from_iterable(found))
        return
    running = [
        iterate_leaf(
            leaf.x,
            leaf.y,
            config,
            generator=leaf.generator,
            weights=leaf.weights,
            initial_feature_matrix=initial_feature_matrix,
            memory_bytes=memory_bytes,
            on_event=on_event,
        )
        for leaf in leaves
    ]
    yield from zip(*running, strict=True)


def leaves_per_batch(
    device: torch.device, dtype: torch.dtype, counts: Sequence[int], config: LeafConfig, fitting: int
) -> int:
    """Return how many leaves are fitted together, or 0 to fit each alone; the only place that decides.

    ``counts`` are the leaves' rows, ``fitting`` is how many of the largest leaf the byte budget holds.

    >>> cuda, counts = torch.device("cuda"), [900, 1_000, 950, 1_000]
    >>> leaves_per_batch(cuda, torch.float32, counts, LeafConfig(), 100)
    4
    >>> leaves_per_batch(torch.device("cpu"), torch.float32, counts, LeafConfig(), 100)
    0
    """
    few_rows = max(counts) <= min(MOST_ROWS, config.max_centers or MOST_ROWS)
    if device.type != "cuda" or len(counts) < FEWEST_LEAVES or not few_rows or not _is_batched(config, dtype):
        return 0
    return min(fitting, len(counts))


def _is_batched(config: LeafConfig, dtype: torch.dtype) -> bool:
    """Return whether a kernel gains: without compiled sums over coordinates, a leaf needs many launches."""
    if config.kernel in LINEAR_FAMILIES or config.loss != "squared" or config.feature_matrix != "agop":
        return False
    return is_euclidean(config) or (dtype == torch.float32 and coordinates.triton_module() is not None)


def _parts(leaves: Sequence[LeafRows], most: int) -> list[Sequence[LeafRows]]:
    """Split leaves into as few parts of at most ``most`` as possible, about equally large."""
    parts = -(-len(leaves) // most)
    cuts = [len(leaves) * number // parts for number in range(parts + 1)]
    return [leaves[start:stop] for start, stop in pairwise(cuts)]
