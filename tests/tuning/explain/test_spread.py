"""How far shares differ between models of different samples."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.reports.conftest import Case
from tests.reports.conftest import product as product
from xrfm_cli.datasets import Table
from xrfm_cli.tuning.explain.spread import COMMON_ROWS, Spread, common_rows

ROWS = Table(pa.table({"a": [0.0]}), source="no rows")


def test_leaving_out_folds_tells_the_variance_of_a_mean() -> None:
    """The mean of n rows has the variance over the means of k folds, divided by k."""
    folds = np.random.default_rng(0).normal(size=(5, 40, 2))
    without = [np.delete(folds, fold, axis=0).mean((0, 1)) for fold in range(5)]
    spread = Spread(rows=ROWS, folds=5, of_folds=without)
    assert spread.deviations() == pytest.approx(np.sqrt(folds.mean(1).var(0, ddof=1) / 5))


def test_the_variance_between_members_is_added() -> None:
    spread = Spread(rows=ROWS, folds=5)
    assert spread.deviations() is None
    spread.of_members = [np.array([0.5, 0.5]), np.array([0.9, 0.1])]
    spread.weights = [3.0, 1.0]
    assert spread.deviations() == pytest.approx(np.array([1, 1]) * np.sqrt(0.1875) * 0.4)
    spread.of_folds = [np.array([0.5, 0.5]), np.array([0.6, 0.4])]
    of_folds = (5 - 1) ** 2 / 5 * 0.005
    assert spread.deviations() == pytest.approx(np.array([1, 1]) * np.sqrt(of_folds + 0.1875 * 0.16))


def test_equal_models_differ_by_nothing(product: Case) -> None:
    rows = common_rows(product.table, np.arange(product.table.n_rows), np.random.default_rng(0))
    assert rows.n_rows == min(COMMON_ROWS, product.table.n_rows)
    spread = Spread(rows=rows, folds=5)
    for _ in range(2):
        spread.add_fold(product.model, budget_ns=1e8)
    assert spread.deviations() == pytest.approx(0.0)
    assert spread.of_folds[0][:3] == pytest.approx([0.5 / 1.49, 0.5 / 1.49, 0.49 / 1.49], abs=0.12)
