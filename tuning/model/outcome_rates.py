"""A model's prediction as a function of its trees' outputs, and its change between two outputs.

Trees predict standardised targets, logarithms or class scores. The ensemble decodes, calibrates and averages
them. An explanation in the units of the prediction needs the rate at which each output changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.scoring.calibration import outcomes
from xrfm_cli.tuning.scoring.class_transforms import ClassTransform, LogitTransform

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
NODES = 16  # of the quadrature along the straight line between two outputs; softmax is smooth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomeChange:
    """The change of the prediction between outputs, and the part of each member's outputs in it."""

    rates: tuple[Array, ...]  # (n, c) each: the mean slope of the prediction by the outputs of a member
    changes: tuple[Array, ...]  # (n,) each; they add up to the change of the prediction
    before: Array  # (n,) the prediction at the first outputs
    after: Array  # (n,) and at the last


def tree_outputs(member: Member, x: Tensor) -> Array:
    """Return the raw predictions ``(n, c)`` of a member; raise NumericalError if one is not finite."""
    found = member.outputs(x)
    member.require_finite(found)
    return found


def predicted(model: FittedModel, outputs: Sequence[Array], explained: Codes) -> Array:
    """Return the prediction ``(n,)`` from the outputs ``(n, c)`` of each member's tree.

    It is the value, or the calibrated probability of the ``explained`` class ``(n,)``, as ``predict`` returns
    it.
    """
    combined = _combined(model, outputs)
    if model.calibration is None:
        return combined[:, 0]
    return model.calibration.probabilities(combined)[np.arange(len(combined)), explained]


def outcome_change(
    model: FittedModel, starts: Sequence[Array], ends: Sequence[Array], explained: Codes
) -> OutcomeChange:
    """Return how the prediction changes from ``starts`` to ``ends``, the outputs ``(n, c)`` of each member.

    The slopes are averaged over the straight line between the two, on which all members move together. The
    slope of a value is that of the secant. For classes, quadrature leaves a small remainder, which is shared
    by the members' weights.
    """
    if model.calibration is None:
        rates = [
            member.weight * member.target_transform.rates(start, end)[:, 0]
            for member, start, end in zip(model.members, starts, ends, strict=True)
        ]
    else:
        rates = [np.zeros_like(end) for end in ends]
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        for position, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            at = [start + position * (end - start) for start, end in zip(starts, ends, strict=True)]
            for total, slopes in zip(rates, _class_slopes(model, at, explained), strict=True):
                total += weight * slopes
    changes = [
        (rate * (end - start)).sum(axis=1) for rate, start, end in zip(rates, starts, ends, strict=True)
    ]
    before, after = (predicted(model, outputs, explained) for outputs in (starts, ends))
    remainder = after - before - sum(changes)
    mass = sum(member.weight for member in model.members)
    changes = [
        change + member.weight / mass * remainder
        for change, member in zip(changes, model.members, strict=True)
    ]
    return OutcomeChange(rates=tuple(rates), changes=tuple(changes), before=before, after=after)


def _combined(model: FittedModel, outputs: Sequence[Array]) -> Array:
    """Return the weighted average of the members' decoded and calibrated predictions."""
    total: Array = np.zeros((len(outputs[0]), max(len(model.target.classes), 1)))
    for member, own in zip(model.members, outputs, strict=True):
        decoded = outcomes(member.target_transform.decode(own), member.calibrator)
        total += member.weight * decoded.reshape(total.shape)
    return total


def _class_slopes(model: FittedModel, outputs: Sequence[Array], explained: Codes) -> list[Array]:
    """Return the slopes of the explained class's probability by the outputs of each member."""
    assert model.calibration is not None
    chosen = np.zeros((len(explained), len(model.target.classes)))
    chosen[np.arange(len(explained)), explained] = 1.0
    slopes = model.calibration.pulled_back(_combined(model, outputs), chosen)
    found = []
    for member, own in zip(model.members, outputs, strict=True):
        transform = member.target_transform
        assert isinstance(transform, ClassTransform | LogitTransform)
        upstream = member.weight * slopes
        if member.calibrator is not None:
            upstream = member.calibrator.pulled_back(transform.decode(own), upstream)
        found.append(transform.pulled_back(own, upstream))
    return found
