"""Checks of the arrays that a stored encoder brings along: a stranger's file may hold any."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def check_vectors(column: str, arrays: Mapping[str, np.ndarray], *names: str) -> None:
    """Refuse with ValueError arrays of other names than these, or that are not float64 (k,)."""
    if set(arrays) != set(names):
        raise ValueError(f"'{column}': its encoder needs other tensors")
    if any(arrays[name].ndim != 1 or arrays[name].dtype != np.float64 for name in names):
        raise ValueError(f"'{column}': its encoder needs tensors of float64 with one side")


def check_increasing(column: str, values: np.ndarray) -> None:
    """Refuse with ValueError fewer than two values, and values that do not increase strictly."""
    if len(values) < 2 or not (values[1:] > values[:-1]).all():
        raise ValueError(f"'{column}': the knots of its encoder do not increase")


def check_levels(column: str, levels: tuple[str, ...]) -> None:
    """Refuse with ValueError a level that is there twice."""
    if len(set(levels)) != len(levels):
        raise ValueError(f"'{column}': its encoder has a level twice")
