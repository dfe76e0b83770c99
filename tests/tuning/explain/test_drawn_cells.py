"""Cells drawn from the profile of a column, where a model keeps no training rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets import Table, infer_schema
from xrfm_cli.tuning.explain.sample import drawn_cells
from xrfm_cli.tuning.model.profile import profile_table

ROWS = 4_000
DRAWS = np.random.default_rng(5)
COLUMNS = {
    "normal": DRAWS.normal(size=ROWS),
    "skewed": DRAWS.lognormal(size=ROWS),
    "visits": np.round(DRAWS.exponential(3.0, ROWS) * (DRAWS.random(ROWS) > 0.8)),
    "one of ten": (DRAWS.random(ROWS) > 0.9).astype(np.float64),
    "mark": DRAWS.integers(1, 6, ROWS).astype(np.float64),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_drawn_numbers_are_distributed_as_the_column_is(name: str) -> None:
    """Outer bins reach to the largest of all rows, which few rows are near."""
    values = COLUMNS[name]
    table = Table(pa.table({name: values}), source="rows")
    (profile,) = profile_table(table, infer_schema(table))
    found = drawn_cells(profile, ROWS, np.random.default_rng(0)).to_numpy().astype(np.float64)
    distance = np.abs(np.sort(found) - np.sort(values)).mean()
    assert distance < 0.15 * values.std()
    assert found.min() >= values.min()
    assert found.max() <= values.max()
    if name not in ("normal", "skewed"):
        assert (found == np.round(found)).all()
