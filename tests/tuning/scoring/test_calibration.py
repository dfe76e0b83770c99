"""Class probabilities from scores."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.special import softmax

from tests.tuning.tables import same_bits
from xrfm_cli.tuning.scoring.calibration import (
    MOST_CELLS,
    MOST_OFFSETS,
    ODDS_FLOOR,
    SCORE_FLOOR,
    MemberCalibrator,
    fit_calibrator,
    fit_temperature,
)

CLASSES = pytest.mark.parametrize("classes", [2, 3, 7])
SHAPES = pytest.mark.parametrize(
    ("classes", "odds"), [(2, False), (3, False), (7, False), (2, True), (MOST_OFFSETS + 1, False)]
)


def drawn(
    classes: int, n: int = 400, *, temperature: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Scores that add to one, and classes drawn from them raised to ``1 / temperature``."""
    generator = np.random.default_rng(seed)
    scores = generator.dirichlet(np.full(classes, 2.0), n)
    true = softmax(np.log(scores) / temperature, axis=1)
    return scores, np.array([generator.choice(classes, p=p) for p in true])


def wild(classes: int, n: int = 200, seed: int = 1) -> np.ndarray:
    """Scores of a squared-error machine: they add to one but leave [0, 1]."""
    scores = np.random.default_rng(seed).normal(1 / classes, 0.6, (n, classes))
    return scores + (1 - scores.sum(1, keepdims=True)) / classes


def log_loss(
    calibrator: MemberCalibrator, scores: np.ndarray, codes: np.ndarray, w: np.ndarray | None = None
) -> float:
    p = calibrator.probabilities(scores)[np.arange(len(codes)), codes]
    return float(np.average(-np.log(p), weights=w))


def penalised(
    theta: np.ndarray, scores: np.ndarray, codes: np.ndarray, w: np.ndarray | None, odds: bool
) -> float:
    """The fitted loss, written again: log loss and a prior worth about one row."""
    first, second, offsets = theta[0], theta[1], tuple(theta[2:])
    if odds:
        calibrator = MemberCalibrator(logarithmic=(first, second), offsets=offsets, floor=ODDS_FLOOR)
        prior = 0.5 * (first - 1) ** 2
    else:
        calibrator = MemberCalibrator(linear=first, logarithmic=(second,), offsets=offsets)
        prior = 0.5 * 0.03 * first**2
    prior += 0.5 * (second - 1) ** 2 + 0.5 * float((theta[2:] ** 2).sum())
    return log_loss(calibrator, scores, codes, w) + prior / len(codes)


def parameters(found: MemberCalibrator) -> np.ndarray:
    """Two slopes and the offsets, as :func:`penalised` takes them."""
    slopes = found.logarithmic if len(found.logarithmic) == 2 else (found.linear, *found.logarithmic)
    return np.array([*slopes, *found.offsets])


@SHAPES
def test_the_fit_is_a_stationary_point_by_finite_differences(classes: int, odds: bool) -> None:
    scores, codes = drawn(classes, temperature=1.7)
    w = np.random.default_rng(5).uniform(0.2, 2.0, len(codes))
    theta = parameters(fit_calibrator(scores, codes, w, odds=odds))
    slope = approx_fprime(theta, penalised, 1e-6, scores, codes, w, odds)
    free = theta > 1e-9  # at the bound zero the loss may only rise with the parameter
    free[2:] = True
    assert np.abs(slope[free]).max() < 1e-5
    assert (slope[~free] > -1e-5).all()


def reversed_codes(classes: int) -> tuple[np.ndarray, np.ndarray]:
    scores, codes = drawn(classes)
    return scores, classes - 1 - codes  # slopes end at zero


def separable(classes: int) -> tuple[np.ndarray, np.ndarray]:
    scores = wild(classes)
    return scores, scores.argmax(1)


def one_class_of_several(classes: int) -> tuple[np.ndarray, np.ndarray]:
    return wild(classes, 2_000), np.zeros(2_000, dtype=np.int64)  # its offset ends at its bound


def far_away(classes: int) -> tuple[np.ndarray, np.ndarray]:
    scores, codes = wild(classes), np.random.default_rng(3).integers(0, classes, 200)
    return 1e5 * scores, codes


def a_single_row(classes: int) -> tuple[np.ndarray, np.ndarray]:
    return wild(classes, 1), np.array([classes - 1])


@SHAPES
@pytest.mark.parametrize(
    "rows", [drawn, reversed_codes, separable, one_class_of_several, far_away, a_single_row]
)
def test_no_other_minimiser_finds_less(
    rows: Callable[[int], tuple[np.ndarray, np.ndarray]], classes: int, odds: bool
) -> None:
    scores, codes = rows(classes)
    theta = parameters(fit_calibrator(scores, codes, odds=odds))
    offsets = classes if classes <= MOST_OFFSETS else 0
    bounds = [(0.0, 10.0 if odds else 100.0), (0.0, 10.0)] + [(-5.0, 5.0)] * offsets
    assert all(low <= value <= high for value, (low, high) in zip(theta, bounds, strict=True))
    starts = [np.array([float(odds), 1.0] + [0.0] * offsets), theta]
    known = (scores, codes, None, odds)
    least = min(minimize(penalised, start, known, "L-BFGS-B", bounds=bounds).fun for start in starts)
    assert penalised(theta, *known) <= least + 1e-7


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    scores, codes = drawn(3, 6_000, temperature=temperature)
    found = fit_calibrator(scores, codes).probabilities(scores)
    expected = softmax(np.log(np.maximum(scores, SCORE_FLOOR)) / temperature, axis=1)
    assert np.abs(found - expected).mean() < 0.02


def test_many_rows_of_many_classes_are_calibrated_by_some_of_them() -> None:
    scores, codes = drawn(200, MOST_CELLS // 200 + 1)
    assert fit_calibrator(scores, codes) == fit_calibrator(scores[::2], codes[::2])
    temperatures = [fit_temperature(scores[k:], codes[k:]).logarithmic for k in (0, 1)]
    assert temperatures[0] == pytest.approx(temperatures[1], rel=0.1)


def test_offsets_recover_a_class_that_was_drawn_too_rarely() -> None:
    scores, codes = drawn(3, 6_000)
    keep = (codes != 2) | (np.random.default_rng(1).uniform(size=len(codes)) < 0.4)
    found = fit_calibrator(scores[keep], codes[keep])
    assert found.offsets[2] - found.offsets[0] == pytest.approx(np.log(0.4), abs=0.15)


@CLASSES
def test_probabilities_are_never_zero_and_add_to_one(classes: int) -> None:
    scores = wild(classes)
    scores[0] = np.eye(classes)[0]
    codes = np.clip(scores, 0, None).argmax(1)  # separable: the slopes would like to be infinite
    for calibrator in (MemberCalibrator(), fit_calibrator(scores, codes)):
        p = calibrator.probabilities(scores)
        assert (p > 0).all()
        assert (p <= 1).all()
        np.testing.assert_allclose(p.sum(1), 1.0, atol=1e-12)


@CLASSES
def test_never_worse_than_the_identity_on_its_own_rows(classes: int) -> None:
    for seed in range(8):
        scores = wild(classes, 30, seed)
        codes = np.random.default_rng(seed).integers(0, classes, 30)
        w = None if seed % 2 else np.random.default_rng(seed).uniform(0.0, 2.0, 30)
        found = fit_calibrator(scores, codes, w)
        assert log_loss(found, scores, codes, w) <= log_loss(MemberCalibrator(), scores, codes, w) + 1e-12


def test_a_bend_of_log_odds_is_straightened() -> None:
    """Too sure where the second class is likely, not sure enough where it is not; one slope mends neither."""
    generator = np.random.default_rng(7)
    p = generator.uniform(0.01, 0.99, 20_000)
    logs = np.log(np.column_stack([1 - p, p]))
    y_true = softmax(logs * [0.5, 1.6], axis=1)
    codes = (generator.uniform(size=len(p)) < y_true[:, 1]).astype(np.int64)
    found = fit_calibrator(np.exp(logs), codes, odds=True)
    errors = np.abs(np.array(found.logarithmic) - [0.5, 1.6])
    assert (errors < [0.1, 0.2]).all()  # three standard errors, of twelve such draws
    assert np.abs(found.probabilities(np.exp(logs)) - y_true).mean() < 0.01
    straight = fit_calibrator(np.exp(logs), codes)
    assert log_loss(found, np.exp(logs), codes) < log_loss(straight, np.exp(logs), codes) - 0.001


@pytest.mark.parametrize("odds", [False, True])
def test_two_classes_keep_their_order(odds: bool) -> None:
    for seed in range(5):
        scores = wild(2, 100, seed)
        codes = (np.random.default_rng(seed).uniform(size=100) > 0.5).astype(int)
        positive = fit_calibrator(scores, codes, odds=odds).probabilities(scores)[:, 1]
        ordered = positive[np.argsort(scores[:, 1], kind="stable")]
        assert (np.diff(ordered) >= -1e-15).all()


def test_scores_that_say_nothing_are_flattened_towards_the_shares() -> None:
    scores = np.clip(np.random.default_rng(0).normal(0.25, 0.15, 4_000), 0.0, 1.0)
    codes = (np.arange(4_000) % 4 == 0).astype(int)
    p = fit_calibrator(np.column_stack([1 - scores, scores]), codes).probabilities(
        np.array([[0.9, 0.1], [0.5, 0.5]])
    )
    np.testing.assert_allclose(p[:, 1], 0.25, atol=0.03)


def test_slopes_never_turn_the_ranking_around() -> None:
    scores, codes = drawn(2, 300)
    found = fit_calibrator(scores, 1 - codes)
    assert found.linear >= 0
    assert min(found.logarithmic) >= 0


@CLASSES
def test_rows_stand_alone(classes: int) -> None:
    scores = wild(classes, 333)
    calibrator = MemberCalibrator(
        linear=0.7, logarithmic=(1.3,), offsets=tuple(np.linspace(-0.5, 0.5, classes).tolist())
    )
    p = calibrator.probabilities(scores)
    order = np.random.default_rng(0).permutation(333)
    assert same_bits(calibrator.probabilities(scores[order]), p[order])
    for row in range(0, 333, 37):
        assert same_bits(calibrator.probabilities(scores[row : row + 1]), p[row : row + 1])


def test_weight_two_is_like_two_rows_and_weight_zero_like_none() -> None:
    scores, codes = drawn(3, 1_000)
    rows = np.arange(1_000)
    w = np.where(rows % 4 == 0, 2.0, np.where(rows % 4 == 1, 0.0, 1.0))
    twice = np.repeat(rows, w.astype(int))
    weighted = fit_calibrator(scores, codes, w)
    copied = fit_calibrator(scores[twice], codes[twice])
    np.testing.assert_allclose(weighted.probabilities(scores), copied.probabilities(scores), atol=2e-3)


def test_a_calibrator_survives_json() -> None:
    for calibrator in (
        MemberCalibrator(),
        MemberCalibrator(linear=1 / 3, logarithmic=(0.1,), offsets=(0.25, -0.1), floor=1e-7),
        MemberCalibrator(logarithmic=(0.1, 1 / 3), offsets=(0.25, -0.1), floor=ODDS_FLOOR),
    ):
        assert MemberCalibrator.from_json(json.loads(json.dumps(calibrator.to_json()))) == calibrator


@pytest.mark.parametrize("classes", [2, 23])
def test_a_sure_and_right_ensemble_is_left_as_sure_as_its_rows_allow(classes: int) -> None:
    n = 5_000
    codes = np.arange(n) % classes
    sure = np.where(np.eye(classes)[codes] > 0, 1 - 1e-6, 1e-6 / (classes - 1))
    found = fit_temperature(sure, codes)
    loss = log_loss(found, sure, codes)
    assert loss < 1.0 / n  # one floor for each class, and no more


@CLASSES
def test_calibrated_probabilities_are_left_as_they_are(classes: int) -> None:
    changed = 0
    for seed in range(10):
        p, codes = drawn(classes, 2_000, seed=seed)
        found = fit_temperature(p, codes)
        assert found.linear == 0.0
        assert found.offsets == ()
        changed += found.logarithmic != (1.0,)
        assert abs(found.logarithmic[0] - 1.0) < 0.2  # four standard errors of a slope from this many rows
    assert changed <= 5  # chance alone suggests a temperature now and then


@pytest.mark.parametrize("temperature", [0.6, 1.6])
def test_the_temperature_of_an_ensemble_is_recovered(temperature: float) -> None:
    p, codes = drawn(3, 6_000, temperature=temperature)
    found = fit_temperature(p, codes)
    assert 1 / found.logarithmic[0] == pytest.approx(temperature, rel=0.06)
    other = [
        MemberCalibrator(logarithmic=(found.logarithmic[0] * k,), floor=found.floor) for k in (0.97, 1.03)
    ]
    assert all(log_loss(found, p, codes) < log_loss(c, p, codes) for c in other)


def test_a_temperature_takes_weights_for_copies_of_rows_and_no_row_for_weight_zero() -> None:
    p, codes = drawn(4, 900, temperature=0.5)
    w = np.random.default_rng(2).integers(0, 3, 900).astype(float)
    twice = np.repeat(np.arange(900), w.astype(int))
    weighted, copied = fit_temperature(p, codes, w), fit_temperature(p[twice], codes[twice])
    np.testing.assert_allclose(weighted.probabilities(p), copied.probabilities(p), atol=1e-3)
    without = fit_temperature(p[w > 0], codes[w > 0], w[w > 0])
    assert weighted == without


@pytest.mark.parametrize("n", [1, 2, 4])
def test_too_few_rows_to_validate_a_temperature_leave_it_out(n: int) -> None:
    p, codes = drawn(3, n)
    assert fit_temperature(p, codes) == MemberCalibrator(floor=1 / (3 * n))


def test_a_temperature_that_hurts_on_rows_left_out_is_not_taken() -> None:
    # One row in five is always right and the others too rarely: no fold's rows tell what suits the rest.
    p = np.tile([0.7, 0.3], (500, 1))
    codes = (np.arange(500) // 5 % 20 >= 13).astype(np.int64)
    codes[::5] = 0
    found = fit_temperature(p, codes)
    free = [MemberCalibrator(logarithmic=(k,), floor=found.floor) for k in np.linspace(0.2, 5.0, 49)]
    gained = min(log_loss(c, p, codes) for c in free)
    assert gained < log_loss(MemberCalibrator(floor=found.floor), p, codes) - 1e-4
    assert found.logarithmic == (1.0,)


def test_files_of_format_one_have_the_floor_of_raw_scores() -> None:
    facts = {"linear": 0.0, "logarithmic": 1.0, "offsets": []}
    p = MemberCalibrator.from_json(facts).probabilities(np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(p, [[1 / 1.001, 0.001 / 1.001]], rtol=1e-12)
