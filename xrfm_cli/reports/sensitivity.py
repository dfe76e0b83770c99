"""Sensitivity of one ensemble member, measured on its own training rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.mixing import output_mixture
from xrfm_cli.trees import TreeModel
from xrfm_cli.trees.explanation import gradient_blocks, sample_rows, summarise_rows
from xrfm_cli.tuning.explain.columns import ColumnMap, map_columns
from xrfm_cli.tuning.model.fitted_model import Member
from xrfm_cli.tuning.transfer.base import Base

KEPT_GRADIENTS = 8_000_000  # entries, 32 MB
SLOPE_STEP = 0.01  # standard deviations of a base's predictions; nearer values differ by rounding
MATRIX_FEATURES = 1024  # coordinates in the AGOP matrix; wider encodings keep the strongest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sensitivity:
    """Gradients of a member on sampled rows, in standard deviations of each encoded coordinate.

    A gradient times the standard deviation of its coordinate is, to first order, the change of the output for
    a typical change of the coordinate. This makes numbers and one-hot levels comparable.
    """

    member: Member
    tree: TreeModel  # the member's tree, or random mixtures of its outputs if there are many
    number: int  # index of the member in the ensemble
    columns: ColumnMap
    x: Tensor  # (n, d) sampled rows
    squares: Tensor  # (n, columns) float64: squared scaled gradients, summed over outputs and coordinates
    deviations: Tensor  # (d,)
    kept: Tensor  # coordinates that the matrix covers
    matrix: Tensor  # (kept, kept) float64: the AGOP of the scaled gradients
    rows: Tensor | None  # (n, c, kept) float32: the scaled gradients; None if they are too many to keep

    @property
    def weight(self) -> float:
        """Weight of the member in the ensemble."""
        return self.member.weight

    @property
    def trace(self) -> float:
        """Mean squared norm of the scaled gradients: the trace of the whole AGOP."""
        return float(self.squares.sum(1).mean())

    def shares(self) -> Tensor:  # -> (columns,)
        """Share of each column in the trace of the AGOP; zeros for a constant model."""
        return normalised(self.squares.mean(0))


def measure_member(
    member: Member,
    number: int,
    columns: tuple[str, ...],
    *,
    rows: int,
    generator: torch.Generator,
    base: Base | None = None,
) -> Sensitivity:
    """Sample rows from the leaves' centers and differentiate the member at them.

    Args:
        member: the member.
        number: its index in the ensemble.
        columns: the user's feature columns.
        rows: maximum number of rows to sample. With many outputs, random mixtures are differentiated.
        generator: random generator of the rows and mixtures.
        base: the base of the model's transfer learning; its columns share the gradients by its predictions.
    """
    tree = member.tree
    column_map = map_columns(columns, member.encoder, base)
    known = summarise_rows(tree)
    x, deviations = sample_rows(known.rows, rows, generator=generator), known.deviations
    squares = torch.zeros(len(x), len(columns), dtype=torch.float64, device=x.device)
    kept = torch.arange(x.shape[1], device=x.device)
    mixture = output_mixture(tree.n_outputs, like=x, generator=generator)
    if mixture is not None:
        tree = tree.mixed(mixture)
    matrix = torch.zeros(0, 0, dtype=torch.float64, device=x.device)
    weights = _row_weights(member.tree, x)
    parts: list[Tensor] | None = []
    for block, gradients in gradient_blocks(tree, x):
        if member.translation is not None:
            gradients = gradients + _translation_slopes(member, x[block], column_map.of_base, mixture)
        scaled = gradients.double() * deviations * weights[block, None, None].sqrt()
        squared = scaled.square().sum(1)
        if len(matrix) == 0:  # rows are in random order, so the first block shows which coordinates matter
            order = squared.sum(0).argsort(descending=True, stable=True)[:MATRIX_FEATURES]
            kept = order.sort().values
            matrix = torch.zeros(len(kept), len(kept), dtype=torch.float64, device=x.device)
        squares[block] = column_map.summed(squared)
        own = scaled[:, :, kept]
        flat = own.reshape(-1, len(kept))
        matrix += flat.T @ flat / len(x)
        if parts is not None and len(x) * own[0].numel() <= KEPT_GRADIENTS:
            parts.append(own.float())
        else:
            parts = None
    member.require_finite(squares.sum().cpu().numpy(), matrix.cpu().numpy())
    return Sensitivity(
        member=member,
        tree=tree,
        number=number,
        columns=column_map,
        x=x,
        squares=squares,
        deviations=deviations,
        kept=kept,
        matrix=matrix,
        rows=torch.cat(parts) if parts else None,
    )


def _translation_slopes(
    member: Member, x: Tensor, places: Tensor, mixture: Tensor | None
) -> Tensor:  # -> (n, c, d)
    """Return the slopes of a translation by the coordinates of the base's predictions."""
    slopes = torch.zeros(len(x), member.tree.n_outputs, x.shape[1], dtype=torch.float64, device=x.device)
    for place in places.tolist():
        step = torch.zeros_like(x)
        step[:, place] = SLOPE_STEP
        change = member.translated(x + step) - member.translated(x - step)
        slopes[:, :, place] = torch.from_numpy(change).to(x.device) / (2 * SLOPE_STEP)
    return slopes if mixture is None else torch.einsum("cm,ncd->nmd", mixture.double(), slopes)


def _row_weights(tree: TreeModel, x: Tensor) -> Tensor:  # (n, d) -> (n,)
    """Return the weights of the rows, one on average: a linear leaf's only row stands for all of its rows."""
    if len(tree.leaves[0].centers):
        return torch.ones(len(x), dtype=torch.float64, device=x.device)
    sizes = torch.tensor([leaf.n_rows for leaf in tree.leaves], dtype=torch.float64, device=x.device)
    own = sizes[tree.route(x)]
    return own / own.mean()


def normalised(values: Tensor) -> Tensor:
    """Divide values by their sum over the last dimension; zeros stay zeros."""
    total = values.sum(-1, keepdim=True)
    return values / torch.where(total > 0, total, 1.0)
