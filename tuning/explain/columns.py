"""Map the encoded coordinates of a member to the columns of the user's table."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.datasets import Encoder, TableSchema
from xrfm_cli.trees.explanation import summarise_rows
from xrfm_cli.tuning.feature_matrices import mean_feature_matrix
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.transfer.base import Base


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnMap:
    """The column that each encoded coordinate belongs to.

    One-hot levels, missing indicators and the parts of a date all belong to their column. A column that the
    encoder left out, such as one that was constant in training, has no coordinates.
    """

    columns: tuple[str, ...]
    feature_names: tuple[str, ...]  # (d,)
    owner: Tensor  # (d,) int64: an index into columns
    of_base: Tensor  # coordinates that are predictions of a base; their owner is its strongest column
    parents: Tensor  # (columns,) float64: the columns' shares in the base's predictions

    def summed(self, values: Tensor) -> Tensor:  # (..., d) -> (..., columns)
        """Sum ``values`` over the coordinates of each column; columns share a base's predictions."""
        out = values.new_zeros(*values.shape[:-1], len(self.columns))
        if not len(self.of_base):
            return out.index_add_(-1, self.owner.to(values.device), values)
        places = self.of_base.to(values.device)
        own = values.index_fill(-1, places, 0.0)
        inherited = values[..., places].sum(-1, keepdim=True) * self.parents.to(values)
        return out.index_add_(-1, self.owner.to(values.device), own) + inherited

    def coordinates(self, column: int) -> Tensor:
        """Return the coordinates of one column, in increasing order."""
        return (self.owner == column).nonzero()[:, 0]


def feature_columns(schema: TableSchema) -> tuple[str, ...]:
    """Return the names of the feature columns, in table order."""
    return tuple(column.name for column in schema.features)


def in_float64(model: FittedModel) -> FittedModel:
    """Return the model on a device with float64, which explanations need and Apple's GPUs lack."""
    return model.to("cpu") if model.device.startswith("mps") else model


def map_columns(columns: tuple[str, ...], encoder: Encoder, base: Base | None = None) -> ColumnMap:
    """Map an encoder's coordinates to the named columns."""
    owner = torch.zeros(encoder.n_features, dtype=torch.int64)
    places = {column: place for place, column in enumerate(columns)}
    parents, of_base = torch.zeros(len(columns), dtype=torch.float64), torch.empty(0, dtype=torch.int64)
    if base is not None:
        parents = base_strengths(base, columns)
        of_base = torch.from_numpy(base.places(encoder))
        owner[of_base] = int(parents.argmax())
    for group in encoder.groups:
        if group.column in places:
            owner[group.start : group.stop] = places[group.column]
    return ColumnMap(
        columns=columns,
        feature_names=tuple(encoder.feature_names),
        owner=owner,
        of_base=of_base,
        parents=parents,
    )


def base_strengths(base: Base, columns: tuple[str, ...]) -> Tensor:  # -> (columns,)
    """Return the columns' shares in a base's predictions, by the feature matrix of its heaviest member.

    An entry of the diagonal counts times the variance of its coordinate, as in a linear model.
    """
    member = max(base.model.members, key=lambda own: own.weight)
    matrix = mean_feature_matrix(member.tree).double().cpu()
    diagonal = matrix if matrix.ndim == 1 else matrix.diagonal()
    deviations = summarise_rows(member.tree).deviations.double().cpu()
    mapped = map_columns(feature_columns(base.model.schema), member.encoder, base.model.base)
    found = dict(zip(mapped.columns, mapped.summed(diagonal * deviations.square()).tolist(), strict=True))
    shares = torch.tensor(
        [found.get(name, 0.0) if name in base.shared else 0.0 for name in columns], dtype=torch.float64
    )
    if float(shares.sum()) <= 0:
        shares = torch.tensor([float(name in base.shared) for name in columns], dtype=torch.float64)
    return shares / (shares.sum() or 1.0)
