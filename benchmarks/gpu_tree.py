"""The tree of small leaves that ``gpu_leaf.py --small-leaves`` times, stage by stage."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from xrfm_cli.leaf_models import LeafRows, iterate_leaves
from xrfm_cli.trees import TrainingRows, TreeConfig, TreeModel, grow


def timed_tree(x: Tensor, y: Tensor, config: TreeConfig) -> tuple[TreeModel, dict[str, float]]:
    """A tree on a CUDA device, and the seconds that its splits and its leaves took.

    Splits are drawn and leaves are fitted as ``iterate_tree`` does; half of the device's memory may be used.
    """
    memory = torch.cuda.mem_get_info()[1] // 2
    torch.cuda.reset_peak_memory_stats()
    start = _now()
    rows = TrainingRows(x=x, routed=x, y=y, weights=None)
    partition = grow(rows, config, generator=torch.Generator().manual_seed(0))
    grown = _now()
    parts = [
        LeafRows(x=x[own], y=y[own], weights=None, generator=torch.Generator().manual_seed(number))
        for number, own in enumerate(partition.leaf_rows)
    ]
    *_, leaves = iterate_leaves(parts, config.leaf, memory_bytes=memory)
    fitted = _now()
    facts = {
        "leaves": len(leaves),
        "largest": max(len(part.x) for part in parts),
        "grow_s": grown - start,
        "leaves_s": fitted - grown,
        "peak_bytes": torch.cuda.max_memory_allocated(),
    }
    return TreeModel(config=config, splits=partition.splits, leaves=leaves), facts


def _now() -> float:
    """The clock, once the device has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()
