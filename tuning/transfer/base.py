"""The base model of kernel transfer learning: its predictions are columns of the new table.

Radhakrishnan, Ruiz Luyten, Prasad, Uhler, Transfer Learning with Kernel Methods, Nature Communications 14
(2023), arXiv 2211.00227.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xrfm_cli.datasets import ColumnSchema, Encoder, Repair, Table
from xrfm_cli.datasets.column_names import free_name
from xrfm_cli.printable import counted

if TYPE_CHECKING:
    from xrfm_cli.tuning.model.fitted_model import FittedModel

Array = NDArray[np.float64]
Matrices = dict[int, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedColumns:
    """Which columns the base model and the new table share, by name and kind."""

    shared: tuple[str, ...]  # the base reads them
    absent: tuple[str, ...]  # features of the base that the table lacks or does not use
    of_other_kind: tuple[str, ...]  # in both, but with other kinds of cells
    extra: tuple[str, ...]  # features of the table that the base does not know

    @property
    def words(self) -> str:
        """Return the shared and the other columns in one line."""
        parts = [f"shares {_listed(self.shared)}"]
        for names, what in (
            (self.absent, "the table lacks"),
            (self.of_other_kind, "of another kind in the table:"),
            (self.extra, "only the table has"),
        ):
            if names:
                parts.append(f"{what} {_listed(names)}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Base:
    """A fitted model whose predictions of a row are columns of the row.

    Its columns that the table lacks are missing cells. Its values, or its probabilities, are numeric columns:
    one for two classes, else one for each class.
    """

    model: FittedModel
    name: str  # of its file, for messages
    found: SharedColumns
    columns: tuple[str, ...]  # column names of its predictions
    predicts_target: bool  # the same target, with the same classes
    known_rows: int = 0  # rows of the new table that the base was fitted on, if there are more than by chance

    @classmethod
    def of(
        cls,
        model: FittedModel,
        *,
        name: str,
        found: SharedColumns,
        taken: Sequence[str],
        predicts_target: bool,
    ) -> Base:
        """Name the columns of the predictions; ``taken`` are names that columns of the table have."""
        target, classes = model.target, model.target.classes
        shown = classes[1:] if len(classes) == 2 else classes
        columns: list[str] = []
        for label in shown or ("",):
            wanted = f"base {target.name}={label}" if classes else f"base {target.name}"
            columns.append(free_name(wanted, (*taken, *columns)))
        return cls(
            model=model,
            name=name,
            found=found,
            columns=tuple(columns),
            predicts_target=predicts_target,
        )

    @property
    def shared(self) -> tuple[str, ...]:
        """Return the columns of the new table that the base reads."""
        return self.found.shared

    @property
    def features(self) -> tuple[ColumnSchema, ...]:
        """Return the predictions as features of the table."""
        reason = f"prediction of {self.name}"
        return tuple(ColumnSchema(name=name, kind="numeric", reason=reason) for name in self.columns)

    def view(self, table: Table) -> Table:
        """Return the rows of a table with the columns that the base reads."""
        empty = pa.chunked_array([pa.nulls(table.n_rows, pa.string())])
        cells = {
            name: table.column(name) if name in self.shared else empty for name in self.model.columns_read
        }
        return replace(table, data=pa.table(cells), faults={})

    def encode(self, table: Table) -> tuple[Matrices, tuple[Repair, ...]]:
        """Return the rows of a table as the base's members encode them, and the repaired values."""
        return self.model.encode(self.view(table))

    def outputs(self, matrices: Matrices) -> Array:  # -> (n, k)
        """Return the base's predictions of encoded rows."""
        out = self.model.predict_encoded(matrices)
        if out.ndim == 1:
            return out[:, None]
        return out[:, 1:] if out.shape[1] == 2 else out

    def outputs_of(self, table: Table) -> Array:  # -> (n, k)
        """Return the base's predictions of the rows of a table."""
        return self.outputs(self.encode(table)[0])

    def extended(self, table: Table, outputs: Array) -> Table:
        """Return a table with the base's predictions as further columns."""
        data = table.data
        for name, values in zip(self.columns, outputs.T, strict=True):
            data = data.append_column(name, pa.chunked_array([pa.array(values)]))
        return replace(table, data=data)

    def filled(
        self, encoder: Encoder, x: NDArray[np.float32], outputs: Array
    ) -> NDArray[np.float32]:  # (n, d)
        """Return encoded rows with other predictions of the base."""
        x = x.copy()
        for column, group in zip(encoder.columns, encoder.groups, strict=True):
            if group.column in self.columns:
                values = np.ascontiguousarray(outputs[:, self.columns.index(group.column)])
                column.encode(pa.chunked_array([pa.array(values)]), ".", x[:, group.start : group.stop])
        return x

    def places(self, encoder: Encoder) -> NDArray[np.int64]:
        """Return the coordinates of the base's predictions in an encoding."""
        own = [group for group in encoder.groups if group.column in self.columns]
        return np.concatenate(
            [np.empty(0, dtype=np.int64), *(np.arange(group.start, group.stop) for group in own)]
        )

    def to(self, device: str) -> Base:
        """Return the same base on another device."""
        return replace(self, model=self.model.to(device))

    def to_json(self) -> dict[str, Any]:
        """Return everything but the model, ready for JSON."""
        return {
            "name": self.name,
            "found": asdict(self.found),
            "columns": list(self.columns),
            "predicts_target": self.predicts_target,
        }


def _listed(names: Sequence[str], most: int = 6) -> str:
    """Return names in words.

    >>> _listed(["a", "b"]), _listed(["a"] * 8, most=2), _listed([])
    ("2 columns ('a', 'b')", "8 columns ('a', 'a', ...)", 'no column')
    """
    if not names:
        return "no column"
    shown = ", ".join(f"'{name}'" for name in names[:most]) + (", ..." if len(names) > most else "")
    return f"{counted(len(names), 'column')} ({shown})"
