"""How targets enter a leaf and come back."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.tuning.tables import same_bits
from xrfm_cli.tuning.scoring.class_transforms import ClassTransform, LogitTransform
from xrfm_cli.tuning.scoring.target_transforms import (
    LogTransform,
    TransformName,
    ValueTransform,
    fit_target_transform,
    target_transform_from_json,
)

CLASSES = pytest.mark.parametrize("classes", [2, 3, 5, 19])


def target_transform_of(classes: int, seed: int = 0) -> tuple[ClassTransform, np.ndarray]:
    codes = np.concatenate([np.arange(classes), np.random.default_rng(seed).integers(0, classes, 40)])
    return ClassTransform.fit(codes, classes, None), codes


@CLASSES
def test_contrasts_are_orthonormal_and_orthogonal_to_the_ones(classes: int) -> None:
    u = target_transform_of(classes)[0].contrasts()
    assert u.shape == (classes, classes - 1)
    np.testing.assert_allclose(u.T @ u, np.eye(classes - 1), atol=1e-14)
    np.testing.assert_allclose(u.sum(0), 0.0, atol=1e-14)


@CLASSES
def test_codes_come_back_as_corners(classes: int) -> None:
    target_transform, codes = target_transform_of(classes)
    encoded = target_transform.encode(codes)
    assert encoded.shape == (len(codes), classes - 1)
    np.testing.assert_allclose(target_transform.decode(encoded), np.eye(classes)[codes], atol=1e-14)


@CLASSES
def test_codes_average_to_zero_and_zero_is_the_prior(classes: int) -> None:
    target_transform, codes = target_transform_of(classes)
    prior = np.bincount(codes, minlength=classes) / len(codes)
    np.testing.assert_allclose(target_transform.encode(codes).mean(0), 0.0, atol=1e-14)
    far = target_transform.decode(np.zeros((4, classes - 1)))
    np.testing.assert_allclose(far, np.tile(prior, (4, 1)), atol=1e-15)


@CLASSES
def test_scores_add_to_one_and_rows_stand_alone(classes: int) -> None:
    target_transform, _ = target_transform_of(classes)
    outputs = np.random.default_rng(1).normal(size=(301, classes - 1))
    scores = target_transform.decode(outputs)
    np.testing.assert_allclose(scores.sum(1), 1.0, atol=1e-12)
    order = np.random.default_rng(2).permutation(301)
    assert same_bits(target_transform.decode(outputs[order]), scores[order])
    for row in (0, 7, 300):
        assert same_bits(target_transform.decode(outputs[row : row + 1]), scores[row : row + 1])


def test_weights_count_like_copies() -> None:
    codes, weights = np.array([0, 1, 2, 1]), np.array([2.0, 1.0, 1.0, 0.0])
    assert ClassTransform.fit(codes, 3, weights).prior == pytest.approx((0.5, 0.25, 0.25))
    y = np.array([1.0, 4.0, 100.0])
    weighted = ValueTransform.fit(y, np.array([2.0, 1.0, 0.0]))
    copied = ValueTransform.fit(np.array([1.0, 1.0, 4.0]), None)
    assert (weighted.mean, weighted.deviation) == pytest.approx((copied.mean, copied.deviation))


def test_log_odds_become_probabilities() -> None:
    target_transform = LogitTransform()
    assert target_transform.encode(np.array([0, 1, 1])).tolist() == [[-1.0], [1.0], [1.0]]
    assert target_transform.sizes == (2, 1)
    odds = np.array([-800.0, -30.0, -1.0, 0.0, 0.5, 30.0, 800.0])[:, None]
    p = target_transform.decode(odds)
    expected = [
        [1 / (1 + math.exp(v)) if v < 700 else 0.0, 1 / (1 + math.exp(-v)) if v > -700 else 0.0]
        for v in odds[:, 0]
    ]
    np.testing.assert_allclose(p, expected, rtol=1e-14)
    np.testing.assert_allclose(p.sum(1), 1.0, atol=1e-15)
    assert same_bits(target_transform.decode(odds[2:3]), p[2:3])
    assert target_transform_from_json(json.loads(json.dumps(target_transform.to_json()))) == target_transform
    assert fit_target_transform(np.array([0, 1]), 2, None, "logit") == target_transform


def test_rates_of_log_odds_lead_from_start_to_end() -> None:
    target_transform = LogitTransform()
    ends = np.array([-40.0, -2.0, 0.7 - 1e-9, 0.7, 0.7 + 1e-9, 3.0, 40.0])[:, None]
    start = np.full_like(ends, 0.7)
    rates = target_transform.rates(start, ends)
    assert rates.shape == (7, 2, 1)
    change = target_transform.decode(ends) - target_transform.decode(start)
    np.testing.assert_allclose(rates[:, :, 0] * (ends - start), change, rtol=1e-6, atol=1e-15)
    step = 1e-5
    slope = (target_transform.decode(ends + step) - target_transform.decode(ends - step)) / (2 * step)
    np.testing.assert_allclose(target_transform.rates(ends, ends)[:, :, 0], slope, rtol=1e-5, atol=1e-11)
    np.testing.assert_allclose(rates[[2, 4]], rates[[3, 3]], rtol=1e-8)


def test_a_class_without_rows_has_no_share() -> None:
    target_transform = ClassTransform.fit(np.array([0, 0, 2]), 3, None)
    assert target_transform.prior == pytest.approx((2 / 3, 0.0, 1 / 3))
    np.testing.assert_allclose(
        target_transform.decode(target_transform.encode(np.array([1]))), [[0.0, 1.0, 0.0]], atol=1e-14
    )


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_values_come_back(scale: float) -> None:
    y = np.random.default_rng(0).normal(3.0, 2.0, 50) * scale
    target_transform = ValueTransform.fit(y, None)
    codes = target_transform.encode(y)
    assert codes.shape == (50, 1)
    np.testing.assert_allclose([codes.mean(), codes.std()], [0.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(target_transform.decode(codes)[:, 0], y, rtol=1e-12)
    np.testing.assert_allclose(target_transform.rates(codes, codes), np.full((50, 1, 1), y.std()))


def test_a_constant_target_is_coded_by_zeros() -> None:
    target_transform = ValueTransform.fit(np.full(4, 7.0), None)
    assert target_transform.encode(np.full(2, 7.0)).tolist() == [[0.0], [0.0]]
    assert target_transform.decode(np.zeros((1, 1))).tolist() == [[7.0]]


@pytest.mark.parametrize(("classes", "transform"), [(0, "none"), (0, "log"), (2, "none"), (4, "none")])
def test_a_coding_survives_json(classes: int, transform: TransformName) -> None:
    y_true = np.random.default_rng(0).integers(0, classes, 30) if classes else np.linspace(0.1, 1 / 3, 30)
    target_transform = fit_target_transform(y_true, classes, None, transform, 1.25)
    assert target_transform_from_json(json.loads(json.dumps(target_transform.to_json()))) == target_transform


def test_values_are_written_as_ever_and_logarithms_as_a_kind_that_older_versions_refuse() -> None:
    assert ValueTransform.fit(np.array([1.0, 3.0]), None).to_json() == {
        "kind": "values",
        "mean": 2.0,
        "deviation": 1.0,
    }
    assert LogTransform.fit(np.array([1.0, 3.0]), None).to_json()["kind"] == "logs"


LOGS = LogTransform.fit(np.array([1.0, 3.0, 40.0]), None, 1.1).to_json()
NONSENSE: list[dict[str, object]] = [
    {"kind": "roots"},
    {"kind": None},
    {"kind": []},
    {"mean": float("nan")},
    {"deviation": float("inf")},
    {"deviation": 0.0},
    {"deviation": -1.0},
    {"offset": -1.0},
    {"offset": float("inf")},
    {"factor": 0.0},
    {"factor": 1e300},
    {"factor": "much"},
    {"low": 1e3},
    {"high": 800.0},
    {"high": float("nan")},
    {"low": None},
]


@pytest.mark.parametrize("change", NONSENSE, ids=str)
def test_nonsense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        target_transform_from_json(LOGS | change)


@pytest.mark.parametrize("name", list(LOGS))
def test_a_missing_fact_is_refused(name: str) -> None:
    with pytest.raises(KeyError):
        target_transform_from_json({key: value for key, value in LOGS.items() if key != name})


def slow_log_transform(y: list[float]) -> tuple[float, float, float, float, float]:
    """Mean, deviation, offset, low and high from the formulas."""
    positive = sorted(v for v in y if v > 0)
    offset = 0.0 if min(y) > 0 else positive[math.ceil(0.05 * len(positive)) - 1]
    logs = [math.log(v + offset) for v in y]
    mean = sum(logs) / len(logs)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in logs) / len(logs))
    tenth = 0.1 * (max(logs) - min(logs))
    return mean, deviation, offset, min(logs) - tenth, max(logs) + tenth


RNG = np.random.default_rng(3)
SKEWED = {
    "prices": np.exp(RNG.normal(8.0, 1.5, 61)),
    "tiny": np.exp(RNG.normal(-30.0, 2.0, 61)),
    "counts": RNG.poisson(0.7 * np.exp(RNG.normal(size=61))).astype(float),
    "amounts and zeros": np.exp(RNG.normal(8.0, 1.5, 61)) * (np.arange(61) % 3 > 0),
}


@pytest.mark.parametrize("name", SKEWED)
def test_logarithms_follow_the_formulas_and_come_back(name: str) -> None:
    y = SKEWED[name]
    target_transform = LogTransform.fit(y, None)
    found = (
        target_transform.mean,
        target_transform.deviation,
        target_transform.offset,
        target_transform.low,
        target_transform.high,
    )
    assert found == pytest.approx(slow_log_transform(y.tolist()), rel=1e-12)
    codes = target_transform.encode(y)
    assert codes.shape == (61, 1)
    np.testing.assert_allclose([codes.mean(), codes.std()], [0.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(
        target_transform.decode(codes)[:, 0], y, rtol=1e-9, atol=1e-9 * target_transform.offset
    )


def test_the_offset_of_counts_is_one_and_of_positive_targets_nothing() -> None:
    assert LogTransform.fit(SKEWED["counts"], None).offset == 1.0
    assert LogTransform.fit(SKEWED["prices"], None).offset == 0.0


def test_targets_that_are_all_zero_come_back_as_zero() -> None:
    target_transform = LogTransform.fit(np.zeros(4), None)
    assert target_transform.decode(target_transform.encode(np.zeros(4))).tolist() == [[0.0]] * 4
    assert target_transform.decode(np.array([[-50.0], [50.0]])).tolist() == [[0.0]] * 2


def test_a_constant_target_is_coded_as_itself() -> None:
    target_transform = LogTransform.fit(np.full(4, 7.0), None)
    np.testing.assert_allclose(target_transform.decode(np.array([[-3.0], [0.0], [1e30]])), 7.0, rtol=1e-12)


def test_predictions_stay_near_the_training_targets() -> None:
    y = np.array([1.0, 10.0, 1e4])
    target_transform = LogTransform.fit(y, None)
    far = target_transform.decode(np.array([[-1e30], [-40.0], [40.0], [1e30]]))[:, 0]
    np.testing.assert_allclose(far, [10**-0.4, 10**-0.4, 10**4.4, 10**4.4])
    np.testing.assert_allclose(
        replace(target_transform, factor=2.0).decode(np.array([[1e9]])), [[2 * 10**4.4]]
    )


def test_targets_beyond_all_predictions_are_coded_as_the_nearest() -> None:
    target_transform = LogTransform.fit(np.array([1.0, 10.0, 1e4]), None)
    codes = target_transform.encode(np.array([-5.0, 0.0, 1e-300, 1e300]))
    np.testing.assert_allclose(target_transform.decode(codes)[:, 0], [10**-0.4, 10**-0.4, 10**-0.4, 10**4.4])


@pytest.mark.parametrize("scale", [1e-290, 1e290])
def test_targets_at_the_limits_of_float64_are_coded(scale: float) -> None:
    y = np.array([1.0, 10.0, 1e14]) * scale
    target_transform = LogTransform.fit(y, None, 2.0)
    assert np.isfinite(target_transform.decode(np.array([[-1e9], [0.0], [1e9]]))).all()
    assert np.isfinite(target_transform.encode(y)).all()


def test_weights_of_logarithms_count_like_copies() -> None:
    y = np.array([0.0, 1.0, 4.0, 9.0, 70.0, 300.0])
    times = np.array([3, 1, 2, 4, 1, 0])
    weighted, copied = LogTransform.fit(y, times.astype(float)), LogTransform.fit(np.repeat(y, times), None)
    assert weighted.to_json() == pytest.approx(copied.to_json())


def test_rows_of_logarithms_stand_alone() -> None:
    target_transform = LogTransform.fit(SKEWED["prices"], None, 1.1)
    codes = np.random.default_rng(1).normal(size=(301, 1))
    values, order = target_transform.decode(codes), np.random.default_rng(2).permutation(301)
    assert same_bits(target_transform.decode(codes[order]), values[order])
    assert same_bits(target_transform.decode(np.repeat(codes, 2, 1)[:, 1:]), values)
    for row in (0, 7, 300):
        assert same_bits(target_transform.decode(codes[row : row + 1]), values[row : row + 1])


@pytest.mark.parametrize("name", SKEWED)
def test_rates_lead_from_start_to_end(name: str) -> None:
    target_transform = LogTransform.fit(SKEWED[name], None, 1.2)
    start, ends = (
        np.array([[-0.3]]),
        np.array([-90.0, -2.0, -0.3 - 1e-9, -0.3, -0.3 + 1e-9, 0.5, 90.0])[:, None],
    )
    change = target_transform.decode(ends) - target_transform.decode(start)
    rates = target_transform.rates(start, ends)
    assert rates.shape == (7, 1, 1)
    scale = target_transform.decode(start)[0, 0] + target_transform.offset
    np.testing.assert_allclose(rates[:, :, 0] * (ends - start), change, rtol=1e-9, atol=1e-13 * scale)
    step = 1e-6
    slope = (target_transform.decode(ends + step) - target_transform.decode(ends - step)) / (2 * step)
    np.testing.assert_allclose(
        target_transform.rates(ends, ends)[:, :, 0], slope, rtol=1e-6, atol=1e-6 * scale
    )
    np.testing.assert_allclose(rates[3], target_transform.rates(ends, ends)[3])
    np.testing.assert_allclose(rates[[2, 4], 0, 0], rates[3, 0, 0], rtol=1e-3)


@CLASSES
def test_rates_of_classes_are_the_contrasts(classes: int) -> None:
    target_transform, _ = target_transform_of(classes)
    start, end = np.random.default_rng(1).normal(size=(2, 5, classes - 1))
    rates = target_transform.rates(start, end)
    assert rates.shape == (5, *target_transform.sizes)
    change = np.einsum("nkc,nc->nk", rates, end - start)
    np.testing.assert_allclose(
        change, target_transform.decode(end) - target_transform.decode(start), atol=1e-14
    )


def test_hundreds_of_classes_are_decoded_by_the_same_contrasts() -> None:
    rng = np.random.default_rng(0)
    many = ClassTransform.fit(rng.integers(0, 90, 500), 90, None)
    outputs = rng.normal(size=(7, 89))
    expected = np.array(many.prior) + outputs @ many.contrasts().T
    np.testing.assert_allclose(many.decode(outputs), expected, atol=1e-13)
    np.testing.assert_allclose(many.decode(outputs).sum(1), 1.0, atol=1e-12)
    assert many.decode(outputs[3:4]).tobytes() == many.decode(outputs)[3:4].tobytes()
