"""Number of rows for an explanation, from the estimated cost of a row.

Costs are computed from the model and never measured, so equal models are explained on equal rows anywhere.
They are about twice the cost of the compiled loops on a server's core, to allow for slower cores. Without
these loops, predictions by kernels other than p = 2 take several times as long.
"""

from __future__ import annotations

import torch

from xrfm_cli.leaf_models import LINEAR_FAMILIES, LeafConfig
from xrfm_cli.trees import TreeModel

GRADIENT_BUDGET_NS = 1.0e9  # for the gradients of the AGOP, over all members
PREDICTION_BUDGET_NS = 3.0e9  # for the swaps of columns and pairs, over all members
OUTPUT_NS = 0.2  # nanoseconds of a coefficient times a kernel value
VOTING_LEAVES = 3  # rough number of leaves that a softly routed row reaches, for trees without centers


def prediction_ns(tree: TreeModel) -> float:
    """Estimate the cost of predicting a row on one core of a common processor, in nanoseconds."""
    # A linear leaf has no centers: it multiplies by its coefficients once.
    sizes = [max(len(leaf.centers), 1) for leaf in tree.leaves]
    pair_ns = _pair_ns(tree.config.leaf, tree.n_features) + OUTPUT_NS * tree.n_outputs
    return _reached(tree) * sum(sizes) / len(sizes) * pair_ns


def gradient_ns(tree: TreeModel) -> float:
    """Estimate the cost of the gradient of a row: about three predictions, more with many outputs."""
    return prediction_ns(tree) * (3 + tree.n_outputs / 8)


def affordable_rows(wanted: float, row_ns: float, budget_ns: float, *, least: int) -> int:
    """Return the number of rows within a budget, at least ``least`` and at most ``wanted``.

    >>> affordable_rows(1000, 1e6, 2e8, least=50), affordable_rows(1000, 1e9, 2e8, least=50)
    (200, 50)
    """
    return max(min(round(wanted), int(budget_ns / row_ns)), least)


def _reached(tree: TreeModel) -> float:
    """Return how many leaves a row reaches under soft routing: the mean over one center of each leaf."""
    centers = [leaf.centers[:1] for leaf in tree.leaves if len(leaf.centers)]
    if tree.temperature == 0 or len(tree.leaves) == 1:
        return 1.0
    if not centers:
        return min(VOTING_LEAVES, len(tree.leaves))
    return len(tree.votes(torch.cat(centers)).rows) / len(centers)


def _pair_ns(leaf: LeafConfig, d: int) -> float:
    """Return the nanoseconds for one kernel evaluation."""
    if leaf.kernel in LINEAR_FAMILIES:
        return 1.0 * d
    if leaf.kernel == "sum_power":
        return d * (0.7 if leaf.kernel_q == 1 else 2.7)
    return 2 + 0.12 * d if leaf.kernel_p in (1.0, 2.0) else 1.4 * d
