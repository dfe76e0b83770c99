"""Ranking metrics: equal to scikit-learn's to the last bit, with ties, weights and rare classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as skm

from xrfm_cli.tuning import METRICS
from xrfm_cli.tuning.scoring.metrics import compute_metric


@given(
    st.integers(2, 200),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.02, 0.5, 0.9]),
    st.sampled_from([0, 1, 17]),
    st.booleans(),
)
def test_they_equal_those_of_scikit_learn(
    n: int, seed: int, share: float, digits: int, weighted: bool
) -> None:
    generator = np.random.default_rng(seed)
    y = (generator.random(n) < share).astype(np.int64)
    y[:2] = 0, 1
    score = generator.random(n).round(digits)
    weights = generator.uniform(0.1, 3.0, n) * (generator.random(n) < 0.8) if weighted else None
    if weights is not None:
        weights[:2] = 1.0
    p = np.column_stack([1 - score, score])
    assert compute_metric(METRICS["auc"], y, p, weights) == skm.roc_auc_score(y, score, sample_weight=weights)
    found = compute_metric(METRICS["average_precision"], y, p, weights)
    assert found == skm.average_precision_score(y, score, sample_weight=weights)


@pytest.mark.parametrize("name", ["auc", "average_precision"])
def test_a_class_without_weight_is_no_class(name: str) -> None:
    y, p = np.array([0, 1, 1]), np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    assert compute_metric(METRICS[name], y, p, np.array([1.0, 0.0, 0.0])) == 0.5
    three = np.column_stack([p / 2, np.full(3, 0.5)])
    found = compute_metric(METRICS[name], np.array([0, 1, 2]), three, np.array([1.0, 1.0, 0.0]))
    assert found == 1.0
