"""Validate the arrays of a stored encoder, since model files are untrusted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def check_vectors(column: str, arrays: Mapping[str, np.ndarray], *names: str) -> None:
    """Raise ValueError unless the arrays have exactly these names and are float64 (k,)."""
    if set(arrays) != set(names):
        raise ValueError(f"'{column}': its encoder needs other tensors")
    if any(arrays[name].ndim != 1 or arrays[name].dtype != np.float64 for name in names):
        raise ValueError(f"'{column}': its encoder needs one-dimensional float64 tensors")


def check_increasing(column: str, values: np.ndarray) -> None:
    """Raise ValueError unless there are at least two values that increase strictly."""
    if len(values) < 2 or not (values[1:] > values[:-1]).all():
        raise ValueError(f"'{column}': the knots of its encoder do not increase")


def check_levels(column: str, levels: tuple[str, ...]) -> None:
    """Raise ValueError if a level occurs twice."""
    if len(set(levels)) != len(levels):
        raise ValueError(f"'{column}': its encoder has a level twice")
