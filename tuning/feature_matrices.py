"""Feature matrices to start from: averaged over leaves and folds, in the columns of another encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xrfm_cli.datasets import Encoder
from xrfm_cli.trees import TreeModel
from xrfm_cli.tuning.transfer.base import Base


def mean_feature_matrix(model: TreeModel) -> Tensor:
    """Return the mean of the leaves' feature matrices, weighted by their numbers of rows."""
    if len(model.leaves) == 1:
        return model.leaves[0].feature_matrix
    sizes = [leaf.n_rows for leaf in model.leaves]
    return sum((leaf.feature_matrix * size for leaf, size in zip(model.leaves, sizes, strict=True))) / sum(
        sizes
    )  # type: ignore[return-value]


def align_feature_matrix(matrix: Tensor, names: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """Map a feature matrix to the columns of another encoder of the same table.

    Encoders fitted on other rows may have other rare levels or missing indicators. Columns are matched by
    name, and a column without an entry starts at the mean of the diagonal.

    >>> align_feature_matrix(torch.tensor([1.0, 0.5]), ["a", "b"], ["b", "c"])
    tensor([0.5000, 0.7500])
    """
    place = {name: k for k, name in enumerate(names)}
    diagonal = matrix if matrix.ndim == 1 else matrix.diagonal()
    fresh = float(diagonal.mean())
    known = [k for k, name in enumerate(wanted) if name in place]
    source = [place[wanted[k]] for k in known]
    if matrix.ndim == 1:
        out = torch.full((len(wanted),), fresh, dtype=matrix.dtype, device=matrix.device)
        out[known] = matrix[source]
        return out
    out = torch.eye(len(wanted), dtype=matrix.dtype, device=matrix.device) * fresh
    rows = torch.tensor(known, dtype=torch.long, device=matrix.device)
    columns = torch.tensor(source, dtype=torch.long, device=matrix.device)
    out[rows[:, None], rows[None, :]] = matrix[columns[:, None], columns[None, :]]
    return out


def average_feature_matrices(matrices: Sequence[Tensor]) -> Tensor:
    """Average feature matrices in the same columns, each normalised to a largest entry of one."""
    return torch.stack([matrix / matrix.abs().max().clamp(min=1e-30) for matrix in matrices]).mean(0)


def starting_matrix(
    encoder: Encoder, base: Base | None, *, hides_base: bool, from_base: bool, device: str
) -> Tensor | None:
    """Return the feature matrix that a fit begins with; None for the identity.

    Args:
        encoder: of the fit.
        base: the base of transfer learning, if any.
        hides_base: leave the base's predictions out: a zero on the diagonal stays zero, because gradients by
            a coordinate are multiplied by its entry.
        from_base: begin with the shared columns' entries of the base's heaviest member.
        device: of the result.
    """
    if base is None or not (hides_base or from_base):
        return None
    start = torch.ones(encoder.n_features)
    if from_base:
        member = max(base.model.members, key=lambda own: own.weight)
        learned = mean_feature_matrix(member.tree).cpu().float()
        start = align_feature_matrix(learned, member.encoder.feature_names, encoder.feature_names)
        start = start / start.abs().max().clamp(min=1e-30)
    if hides_base:
        places = torch.from_numpy(base.places(encoder))
        start[places] = 0.0
        if start.ndim == 2:
            start[:, places] = 0.0
    return start.to(device)
