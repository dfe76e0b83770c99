"""How many rows an explanation can afford, by the cost of a row.

Costs are a property of the model, never of the clock: equal models are explained on equal rows anywhere.
"""

from __future__ import annotations

from xrfm_cli.leaf_models import LINEAR_FAMILIES, LeafConfig
from xrfm_cli.trees import TreeModel

GRADIENT_BUDGET_NS = 1.5e9  # of gradients for the importances, over all members
PREDICTION_BUDGET_NS = 1.5e9  # of predictions for the pairs, over all members
VOTING_LEAVES = 3  # that a softly routed row reaches, roughly


def prediction_ns(tree: TreeModel) -> float:
    """What the prediction of a row costs on one core of a usual processor, roughly, in nanoseconds."""
    # A linear leaf is compared with no rows: it multiplies by its coefficients once.
    sizes = [max(len(leaf.centers), 1) for leaf in tree.leaves]
    reached = 1 if tree.temperature == 0 else min(VOTING_LEAVES, len(sizes))
    return reached * sum(sizes) / len(sizes) * _pair_ns(tree.config.leaf, tree.n_features)


def gradient_ns(tree: TreeModel) -> float:
    """What the gradient of a row costs: about three predictions, and more with many outputs."""
    return prediction_ns(tree) * (3 + tree.n_outputs / 8)


def affordable_rows(wanted: float, row_ns: float, budget_ns: float, *, least: int) -> int:
    """Rows within a budget, at least ``least`` and at most ``wanted``.

    >>> affordable_rows(1000, 1e6, 2e8, least=50), affordable_rows(1000, 1e9, 2e8, least=50)
    (200, 50)
    """
    return max(min(round(wanted), int(budget_ns / row_ns)), least)


def _pair_ns(leaf: LeafConfig, d: int) -> float:
    """Nanoseconds for the kernel of a row and a center, as measured."""
    if leaf.kernel in LINEAR_FAMILIES:
        return 1.0 * d
    if leaf.kernel == "sum_power":
        return d * (3.7 if leaf.kernel_q == 1 else 10.0)
    return {2.0: 25 + 0.15 * d, 1.0: 15 + 1.2 * d}.get(leaf.kernel_p, 15.0 * d)
