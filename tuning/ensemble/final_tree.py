"""Final models on all rows, starting from the feature matrices that the folds have learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xrfm_cli.events import OnEvent
from xrfm_cli.trees import TreeModel, fit_tree
from xrfm_cli.tuning.problem.learning_data import EncodedRows
from xrfm_cli.tuning.search.space import Candidate

REFIT_FOLD = 1_000_000  # the "fold" of the random generators of the final fits


def align_feature_matrix(metric: Tensor, names: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """Map a feature matrix to the columns of another encoder of the same table.

    Encoders fitted on other rows may have other rare levels or missing indicators. Columns are matched by
    name, and a column without an entry starts at the mean of the diagonal.

    >>> align_feature_matrix(torch.tensor([1.0, 0.5]), ["a", "b"], ["b", "c"])
    tensor([0.5000, 0.7500])
    """
    place = {name: k for k, name in enumerate(names)}
    diagonal = metric if metric.ndim == 1 else metric.diagonal()
    fresh = float(diagonal.mean())
    known = [k for k, name in enumerate(wanted) if name in place]
    source = [place[wanted[k]] for k in known]
    if metric.ndim == 1:
        out = torch.full((len(wanted),), fresh, dtype=metric.dtype, device=metric.device)
        out[known] = metric[source]
        return out
    out = torch.eye(len(wanted), dtype=metric.dtype, device=metric.device) * fresh
    rows = torch.tensor(known, dtype=torch.long, device=metric.device)
    columns = torch.tensor(source, dtype=torch.long, device=metric.device)
    out[rows[:, None], rows[None, :]] = metric[columns[:, None], columns[None, :]]
    return out


def average_feature_matrices(metrics: Sequence[Tensor]) -> Tensor:
    """Average feature matrices in the same columns, each normalised to a largest entry of one."""
    return torch.stack([metric / metric.abs().max().clamp(min=1e-30) for metric in metrics]).mean(0)


def refit_tree(
    rows: EncodedRows,
    y: Tensor,
    weights: Tensor | None,
    candidate: Candidate,
    metric: Tensor | None,
    *,
    iterations: int,
    generator: torch.Generator,
    memory_bytes: int,
    on_event: OnEvent,
) -> TreeModel:
    """Fit one tree on all rows from a learned feature matrix, or from the identity if there is none.

    A single leaf is solved once under a learned feature matrix. Leaves of a larger tree make ``iterations``
    updates of their own, as they did in validation.
    """
    alone = metric is not None and len(rows.x) <= candidate.tree.leaf_size
    return fit_tree(
        rows.x,
        y,
        candidate.with_iterations(0 if alone else iterations).tree,
        generator=generator,
        weights=weights,
        routed=rows.routed,
        initial_feature_matrix=metric,
        memory_bytes=memory_bytes,
        on_event=on_event,
    )
