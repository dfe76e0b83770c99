"""A random sample of the rows of a stream of tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xrfm_cli.datasets import Table


@dataclass(slots=True)
class RowSampler:
    """Keep at most ``rows`` rows, for any blocks: each row draws a number, and the smallest numbers stay.

    >>> sampler = RowSampler(rows=2, seed=0)
    >>> for start in (0, 3):
    ...     sampler.add(Table(pa.table({"a": [start, start + 1, start + 2]})))
    >>> sampler.table().n_rows
    2
    """

    rows: int
    seed: int
    _kept: Table | None = None
    _drawn: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    _draws: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._draws = np.random.default_rng(self.seed)

    def add(self, block: Table) -> None:
        """Draw from the next rows."""
        drawn = np.concatenate([self._drawn, self._draws.random(block.n_rows)])
        if self._kept is None:
            joined = block
        else:
            tables = [self._kept.data, block.data]
            joined = replace(block, data=pa.concat_tables(tables, promote_options="permissive"))
        order = np.argsort(drawn, kind="stable")[: self.rows]
        self._kept, self._drawn = joined.take(order), drawn[order]

    def table(self) -> Table | None:
        """Return the sampled rows, in random order; None if there were none."""
        return self._kept
