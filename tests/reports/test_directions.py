"""Directions: their sign, how far chance turns them, ties, and the prediction along them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.reports.conftest import Case, fit_case, noise
from tests.reports.conftest import linear as linear
from tests.reports.conftest import three_classes as three_classes
from xrfm_cli.reports import explain_model


def test_the_prediction_rises_along_an_oriented_direction() -> None:
    """The larger weight is negative: larger values of a make the prediction smaller."""
    a, b = noise(300, 2, seed=31)
    case = fit_case({"a": a, "b": b, "y": b - 3 * a})
    first = explain_model(case.model).directions.found[0]
    assert first.oriented
    assert first.weights["a"] < 0 < first.weights["b"]
    assert first.along is not None
    assert first.along.prediction[-1] > first.along.prediction[0] + 5
    assert list(first.along.x) == sorted(first.along.x)
    assert all(
        low <= middle <= high
        for low, middle, high in zip(first.along.low, first.along.prediction, first.along.high, strict=True)
    )


def test_a_strong_direction_is_certain(linear: Case) -> None:
    directions = explain_model(linear.model).directions
    assert directions.effective_rank == pytest.approx(1.0, abs=0.3)
    assert directions.found[0].angle is not None
    assert directions.found[0].angle < 5
    assert directions.found[0].group == 1


def test_equally_steep_directions_are_tied_and_have_no_sign() -> None:
    """The squared distance from the origin is as steep in any direction of the plane."""
    a, b, c = noise(500, 3, seed=32)
    case = fit_case({"a": a, "b": b, "c": c, "y": a**2 + b**2})
    directions = explain_model(case.model).directions
    first, second = directions.found[:2]
    assert first.group == second.group
    assert not first.oriented
    assert first.angle is not None
    assert first.angle < 20  # of the plane
    assert directions.effective_rank == pytest.approx(2.0, abs=0.4)


def test_of_several_classes_one_is_named(three_classes: Case) -> None:
    first = explain_model(three_classes.model).directions.found[0]
    assert first.along is not None
    assert first.along.output in ("low", "mid", "top")
    assert np.all(np.array(first.along.prediction) <= 1 + 1e-9)
