"""How targets enter a leaf and come back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.tuning.tables import same_bits
from xrfm_cli.tuning.coding import ClassCoding, ValueCoding, coding_from_json, fit_coding

CLASSES = pytest.mark.parametrize("classes", [2, 3, 5, 19])


def coding_of(classes: int, seed: int = 0) -> tuple[ClassCoding, np.ndarray]:
    codes = np.concatenate([np.arange(classes), np.random.default_rng(seed).integers(0, classes, 40)])
    return ClassCoding.fit(codes, classes, None), codes


@CLASSES
def test_contrasts_are_orthonormal_and_orthogonal_to_the_ones(classes: int) -> None:
    u = coding_of(classes)[0].contrasts()
    assert u.shape == (classes, classes - 1)
    np.testing.assert_allclose(u.T @ u, np.eye(classes - 1), atol=1e-14)
    np.testing.assert_allclose(u.sum(0), 0.0, atol=1e-14)


@CLASSES
def test_codes_come_back_as_corners(classes: int) -> None:
    coding, codes = coding_of(classes)
    encoded = coding.encode(codes)
    assert encoded.shape == (len(codes), classes - 1)
    np.testing.assert_allclose(coding.decode(encoded), np.eye(classes)[codes], atol=1e-14)


@CLASSES
def test_codes_average_to_zero_and_zero_is_the_prior(classes: int) -> None:
    coding, codes = coding_of(classes)
    prior = np.bincount(codes, minlength=classes) / len(codes)
    np.testing.assert_allclose(coding.encode(codes).mean(0), 0.0, atol=1e-14)
    far = coding.decode(np.zeros((4, classes - 1)))
    np.testing.assert_allclose(far, np.tile(prior, (4, 1)), atol=1e-15)


@CLASSES
def test_scores_add_to_one_and_rows_stand_alone(classes: int) -> None:
    coding, _ = coding_of(classes)
    outputs = np.random.default_rng(1).normal(size=(301, classes - 1))
    scores = coding.decode(outputs)
    np.testing.assert_allclose(scores.sum(1), 1.0, atol=1e-12)
    order = np.random.default_rng(2).permutation(301)
    assert same_bits(coding.decode(outputs[order]), scores[order])
    for row in (0, 7, 300):
        assert same_bits(coding.decode(outputs[row : row + 1]), scores[row : row + 1])


def test_weights_count_like_copies() -> None:
    codes, weights = np.array([0, 1, 2, 1]), np.array([2.0, 1.0, 1.0, 0.0])
    assert ClassCoding.fit(codes, 3, weights).prior == pytest.approx((0.5, 0.25, 0.25))
    y = np.array([1.0, 4.0, 100.0])
    weighted = ValueCoding.fit(y, np.array([2.0, 1.0, 0.0]))
    copied = ValueCoding.fit(np.array([1.0, 1.0, 4.0]), None)
    assert (weighted.mean, weighted.deviation) == pytest.approx((copied.mean, copied.deviation))


def test_a_class_without_rows_has_no_share() -> None:
    coding = ClassCoding.fit(np.array([0, 0, 2]), 3, None)
    assert coding.prior == pytest.approx((2 / 3, 0.0, 1 / 3))
    np.testing.assert_allclose(coding.decode(coding.encode(np.array([1]))), [[0.0, 1.0, 0.0]], atol=1e-14)


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_values_come_back(scale: float) -> None:
    y = np.random.default_rng(0).normal(3.0, 2.0, 50) * scale
    coding = ValueCoding.fit(y, None)
    codes = coding.encode(y)
    assert codes.shape == (50, 1)
    np.testing.assert_allclose([codes.mean(), codes.std()], [0.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(coding.decode(codes)[:, 0], y, rtol=1e-12)
    np.testing.assert_allclose(coding.rates(codes, codes), np.full((50, 1, 1), y.std()))


def test_a_constant_target_is_coded_by_zeros() -> None:
    coding = ValueCoding.fit(np.full(4, 7.0), None)
    assert coding.encode(np.full(2, 7.0)).tolist() == [[0.0], [0.0]]
    assert coding.decode(np.zeros((1, 1))).tolist() == [[7.0]]


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_a_coding_survives_json(classes: int) -> None:
    truth = np.random.default_rng(0).integers(0, classes, 30) if classes else np.linspace(0.1, 1 / 3, 30)
    coding = fit_coding(truth, classes, None)
    assert coding_from_json(json.loads(json.dumps(coding.to_json()))) == coding
