"""Map the encoded coordinates of a member to the columns of the user's table."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.datasets import Encoder, TableSchema
from xrfm_cli.tuning.model.fitted_model import FittedModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnMap:
    """The column that each encoded coordinate belongs to.

    One-hot levels, missing indicators and the parts of a date all belong to their column. A column that the
    encoder left out, such as one that was constant in training, has no coordinates.
    """

    columns: tuple[str, ...]
    feature_names: tuple[str, ...]  # (d,)
    owner: Tensor  # (d,) int64: an index into columns

    def summed(self, values: Tensor) -> Tensor:  # (..., d) -> (..., columns)
        """Sum ``values`` over the coordinates of each column."""
        out = values.new_zeros(*values.shape[:-1], len(self.columns))
        return out.index_add_(-1, self.owner.to(values.device), values)

    def coordinates(self, column: int) -> Tensor:
        """Return the coordinates of one column, in increasing order."""
        return (self.owner == column).nonzero()[:, 0]


def feature_columns(schema: TableSchema) -> tuple[str, ...]:
    """Return the names of the feature columns, in table order."""
    return tuple(column.name for column in schema.features)


def in_float64(model: FittedModel) -> FittedModel:
    """Return the model on a device with float64, which explanations need and Apple's GPUs lack."""
    return model.to("cpu") if model.device.startswith("mps") else model


def map_columns(columns: tuple[str, ...], encoder: Encoder) -> ColumnMap:
    """Map an encoder's coordinates to the named columns."""
    owner = torch.zeros(encoder.n_features, dtype=torch.int64)
    places = {column: place for place, column in enumerate(columns)}
    for group in encoder.groups:
        owner[group.start : group.stop] = places[group.column]
    return ColumnMap(columns=columns, feature_names=tuple(encoder.feature_names), owner=owner)
