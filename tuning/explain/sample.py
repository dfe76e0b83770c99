"""Rows on which an ensemble is explained, in the encoding of every member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from xrfm_cli.datasets import Encoder, Table
from xrfm_cli.datasets.encoders.table_encoder import ColumnEncoder
from xrfm_cli.leaf_models import LinearLeaf
from xrfm_cli.trees.explanation import sample_rows, summarise_rows
from xrfm_cli.tuning.explain.columns import feature_columns
from xrfm_cli.tuning.explain.decoding import decode_cells, encode_cells
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.model.profile import BINS, MISSING, ColumnProfile
from xrfm_cli.tuning.transfer.base import Base

Matrices = dict[int, NDArray[np.float32]]
Source = Literal["data", "centers", "profile"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The same rows under every encoder, and the coordinates of each column."""

    columns: tuple[str, ...]
    matrices: Matrices  # (n, d) by the identity of the encoder
    coordinates: Mapping[int, tuple[NDArray[np.int64], ...]]  # of each column, by the same
    source: Source  # "profile": drawn column by column, since linear leaves keep no rows

    @property
    def n_rows(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.matrices.values())))

    def take(self, rows: NDArray[np.int64] | slice) -> Sample:
        """Return some of the rows."""
        matrices = {key: x[rows] for key, x in self.matrices.items()}
        return Sample(
            columns=self.columns, matrices=matrices, coordinates=self.coordinates, source=self.source
        )

    def swapped(
        self, columns: tuple[int, ...], rows: NDArray[np.int64], other: NDArray[np.int64]
    ) -> Matrices:
        """Return ``rows`` with the values of some columns taken from the rows ``other``."""
        out = {}
        for key, x in self.matrices.items():
            out[key] = x[rows]
            for column in columns:
                parts = self.coordinates[key][column]
                out[key][:, parts] = x[other[:, None], parts]
        return out

    def differs(self, column: int, other: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows have another value of a column than the rows ``other`` (n,)."""
        found = np.zeros(len(other), dtype=bool)
        for key, x in self.matrices.items():
            parts = self.coordinates[key][column]
            found |= (x[:, parts] != x[other[:, None], parts]).any(1)
        return found


def sample_of(model: FittedModel, matrices: Matrices, source: Source) -> Sample:
    """Return a sample of encoded rows, with the coordinates of the columns."""
    columns = feature_columns(model.schema)
    none = np.empty(0, dtype=np.int64)
    coordinates = {}
    for encoder in model.encoders:
        parts = {group.column: np.arange(group.start, group.stop) for group in encoder.groups}
        coordinates[id(encoder)] = tuple(parts.get(column, none) for column in columns)
    return Sample(columns=columns, matrices=matrices, coordinates=coordinates, source=source)


def sample_table(model: FittedModel, table: Table) -> Sample:
    """Return the rows of a table."""
    return sample_of(model, model.encode(table)[0], "data")


def sample_centers(model: FittedModel, rows: int, *, seed: int) -> Sample:
    """Draw rows from the training rows, or the profile of them, that the model file keeps.

    The centers of the heaviest member that has any are decoded and encoded again for the others. A model of
    linear leaves alone keeps no rows: each column is then drawn from its profile by itself.
    """
    generator = torch.Generator().manual_seed(seed)
    keeping = [member for member in model.members if not _is_linear(member)]
    if not keeping:
        return _drawn(model, rows, generator)
    source = max(keeping, key=lambda member: member.weight)
    x = sample_rows(summarise_rows(source.tree).rows, rows, generator=generator).cpu().float().numpy()
    matrices = {id(source.encoder): x}
    for member in model.members:
        if id(member.encoder) not in matrices:
            matrices[id(member.encoder)] = transfer(source.encoder, member.encoder, x)
    if model.base is not None:
        cells = {}
        for encoder, group in zip(source.encoder.columns, source.encoder.groups, strict=True):
            decoded = decode_cells(encoder, x[:, group.start : group.stop])
            if decoded is not None:
                cells[group.column] = decoded
        matrices |= _of_base(model.base, cells, len(x))
    return sample_of(model, matrices, "centers")


def _of_base(base: Base, cells: Mapping[str, pa.Array], rows: int) -> Matrices:
    """Return rows as the base encodes them; columns whose cells the file does not keep are missing."""
    empty = pa.nulls(rows, pa.string())
    table = Table(pa.table({name: cells.get(name, empty) for name in base.shared}), is_typed=True)
    return base.encode(table)[0]


def transfer(source: Encoder, target: Encoder, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows encoded by one encoder as another encoder of the same table encodes them.

    A column that cannot be decoded is zero, its mean.
    """
    out = np.zeros((len(x), target.n_features), dtype=np.float32)
    known = {
        group.column: (encoder, group) for encoder, group in zip(source.columns, source.groups, strict=True)
    }
    for encoder, group in zip(target.columns, target.groups, strict=True):
        if group.column not in known:
            continue
        before, place = known[group.column]
        part = x[:, place.start : place.stop]
        if _is_same(before, encoder):
            out[:, group.start : group.stop] = part
            continue
        cells = decode_cells(before, part)
        if cells is not None:
            out[:, group.start : group.stop] = encode_cells(encoder, cells)
    return out


def _is_linear(member: Member) -> bool:
    return any(isinstance(leaf, LinearLeaf) for leaf in member.tree.leaves)


def _is_same(one: ColumnEncoder, two: ColumnEncoder) -> bool:
    if type(one) is not type(two) or one.names != two.names:
        return False
    (plain, arrays), (others, other_arrays) = one.state(), two.state()
    return plain == others and all(np.array_equal(arrays[name], other_arrays[name]) for name in arrays)


def _drawn(model: FittedModel, rows: int, generator: torch.Generator) -> Sample:
    """Draw the columns independently, from the profile if the file has one, else as normal numbers."""
    draws = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    cells = {
        profile.column: drawn_cells(profile, rows, draws)
        for profile in model.profile or ()
        if sum(profile.counts) and profile.kind != "text"
    }
    matrices: Matrices = {}
    for member in model.members:
        if id(member.encoder) in matrices:
            continue
        known = summarise_rows(member.tree)
        normal = draws.normal(size=(rows, member.encoder.n_features))
        x = (known.mean.cpu().numpy() + normal * known.deviations.cpu().numpy()).astype(np.float32)
        for encoder, group in zip(member.encoder.columns, member.encoder.groups, strict=True):
            if group.column in cells:
                x[:, group.start : group.stop] = encode_cells(encoder, cells[group.column])
        matrices[id(member.encoder)] = x
    if model.base is not None:
        matrices |= _of_base(model.base, cells, rows)
    return sample_of(model, matrices, "profile")


def drawn_cells(profile: ColumnProfile, rows: int, draws: np.random.Generator) -> pa.Array:
    """Draw cells of a column from its profile: a bin by its count, and a number within its bin.

    Numbers are even within inner bins, and exponential from the inner end of the outer ones, whose other end
    is the smallest or largest of all rows. If all ends are whole numbers, so are the numbers.
    """
    shares = np.array(profile.counts, dtype=np.float64)
    bins = draws.choice(len(shares), size=rows, p=shares / shares.sum())
    missing = bins == len(shares) - 1
    if profile.has_levels:
        words = [*profile.bin_names[:-1], None]  # other levels are spelt as a level that no encoder knows
        return pa.array([words[place] for place in bins], pa.string())
    assert profile.bin_names[-1] == MISSING
    low = profile.low or 0.0
    ends = np.array([low, *profile.edges, profile.high if profile.high is not None else low])
    last = len(ends) - 2
    bins = np.minimum(bins, last)
    few = 0 < len(profile.edges) < BINS - 1  # bins of single values: the upper end is the value
    part = np.ones(rows) if few else draws.random(rows)
    values = ends[bins] + part * (ends[bins + 1] - ends[bins])
    if profile.kind == "datetime":
        return pa.array(values.astype(np.int64), pa.timestamp("us"), mask=missing)
    if profile.edges:
        above, below = bins == last, (bins == 0) & (not few)
        values[above] = ends[last] + _beyond(ends[-1] - ends[last], profile.counts[last], above.sum(), draws)
        values[below] = ends[1] - _beyond(ends[1] - low, profile.counts[0], below.sum(), draws)
    if (ends == np.round(ends)).all():
        values = np.ceil(values)
    return pa.array(values, mask=missing)


def _beyond(reach: float, count: int, rows: int, draws: np.random.Generator) -> NDArray[np.float64]:
    """Draw how far numbers lie beyond the inner end of an outer bin, exponentially distributed.

    ``reach`` is the largest distance of ``count`` rows. On average it is the mean distance times the harmonic
    number ``1 + 1/2 + ... + 1 / count``, which is about ``log(count) + 0.58``.
    """
    mean = reach / (np.log(max(count, 1)) + np.euler_gamma)
    return np.minimum(mean * draws.standard_exponential(rows), reach)
