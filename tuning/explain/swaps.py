"""Predictions of rows whose values in some columns come from other rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.explain.effort import prediction_ns
from xrfm_cli.tuning.explain.sample import Matrices, Sample
from xrfm_cli.tuning.model.fitted_model import FittedModel

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
CLASS_NS = 220.0  # of calibrating the probability of one class in one row
BATCH_CELLS = 4_000_000  # encoded cells predicted at once


def row_ns(model: FittedModel) -> float:
    """Estimate the nanoseconds of predicting a row on one core, all members together."""
    classes = len(model.target.classes)
    own = sum(prediction_ns(member.tree) + CLASS_NS * classes for member in model.members)
    return own + (row_ns(model.base.model) if model.base is not None else 0.0)


def predict_rows(model: FittedModel, matrices: Matrices) -> Array:  # -> (n, k)
    """Return values ``(n, 1)``, the probability of the positive class ``(n, 1)``, or of each class."""
    out = model.predict_encoded(model.refreshed(matrices))
    if out.ndim == 1:
        return out[:, None]
    return out[:, 1:] if out.shape[1] == 2 else out


def swap_predictions(
    model: FittedModel,
    sample: Sample,
    plain: Array,  # (n, k)
    swaps: Sequence[tuple[tuple[int, ...], Rows]],
) -> Iterator[Array]:
    """Yield the predictions ``(n, k)`` after each swap: columns, and the rows (n,) of their values.

    Rows whose partner has the same values keep their prediction and cost nothing.
    """
    size = max(1, BATCH_CELLS // max(1, sum(x.shape[1] for x in sample.matrices.values())))
    changed = [_changed(sample, columns, other) for columns, other in swaps]
    start = 0
    while start < len(swaps):
        stop, rows = start, 0
        while stop < len(swaps) and (stop == start or rows + len(changed[stop]) <= size):
            rows += len(changed[stop])
            stop += 1
        parts = [
            sample.swapped(columns, own, other[own])
            for (columns, other), own in zip(swaps[start:stop], changed[start:stop], strict=True)
        ]
        joined = {key: np.concatenate([part[key] for part in parts]) for key in sample.matrices}
        values = predict_rows(model, joined) if rows else plain[:0]
        cuts = np.cumsum([len(own) for own in changed[start:stop]])[:-1]
        for own, found in zip(changed[start:stop], np.split(values, cuts), strict=True):
            out = plain.copy()
            out[own] = found
            yield out
        start = stop


def _changed(sample: Sample, columns: tuple[int, ...], other: Rows) -> Rows:
    """Return the rows that a swap changes; a joint swap changes the rows that any of its columns changes."""
    found = np.zeros(len(other), dtype=bool)
    for column in columns:
        found |= sample.differs(column, other)
    return np.flatnonzero(found)
