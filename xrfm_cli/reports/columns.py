"""Between the encoded coordinates of a member and the columns that the user knows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.datasets import Encoder, TableSchema
from xrfm_cli.tuning.model.fitted_model import FittedModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnMap:
    """Which column each encoded coordinate belongs to.

    One-hot levels, missing indicators and the parts of a date all belong to their one column. A column
    that an encoder left out, such as one that was constant in training, owns no coordinate.
    """

    columns: tuple[str, ...]
    feature_names: tuple[str, ...]  # (d,)
    owner: Tensor  # (d,) int64: an index into columns

    def summed(self, values: Tensor) -> Tensor:  # (..., d) -> (..., columns)
        """Sums of ``values`` over the coordinates of each column."""
        out = values.new_zeros(*values.shape[:-1], len(self.columns))
        return out.index_add_(-1, self.owner.to(values.device), values)

    def coordinates(self, column: int) -> Tensor:
        """The coordinates of one column, in increasing order."""
        return (self.owner == column).nonzero()[:, 0]


def feature_columns(schema: TableSchema) -> tuple[str, ...]:
    """The names of the columns that a model may use, in the table's order."""
    return tuple(column.name for column in schema.features)


def in_float64(model: FittedModel) -> FittedModel:
    """The model on a device that has float64, which explanations need: Apple's has not."""
    return model.to("cpu") if model.device.startswith("mps") else model


def map_columns(columns: tuple[str, ...], encoder: Encoder) -> ColumnMap:
    """How an encoder's coordinates fall to the named columns."""
    owner = torch.zeros(encoder.n_features, dtype=torch.int64)
    for group in encoder.groups:
        owner[group.start : group.stop] = columns.index(group.column)
    return ColumnMap(columns=columns, feature_names=tuple(encoder.feature_names), owner=owner)
