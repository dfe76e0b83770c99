"""Target leakage: columns that determine the target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets import Table, find_copies, infer_schema

N = 200
NOISE = np.random.default_rng(0)
FEE = NOISE.normal(size=N).round(3)
TOWN = NOISE.choice(["Graz", "Linz", "Wien"], N)
CLASS = np.where(TOWN == "Wien", 1.0, 0.0)


def copies(columns: dict[str, Any], truth: np.ndarray, classes: int = 0) -> tuple[str, ...]:
    table = Table(pa.table(columns))
    return find_copies(table, infer_schema(table), truth, classes=classes)


@pytest.mark.parametrize(
    "copy",
    [
        FEE,
        2.2 * FEE + 1,
        -FEE,
        np.exp(FEE),
        [f"{value:.3f}" for value in FEE],
        [f"{value:.3f} EUR" for value in FEE],
        np.where(np.arange(N) % 5 == 0, np.nan, FEE),  # where it is known
    ],
)
def test_numbers_in_the_order_of_the_target_are_copies(copy: Any) -> None:
    assert copies({"copy": copy, "other": NOISE.normal(size=N)}, FEE) == ("copy",)


def test_numbers_that_are_nearly_in_order_are_none() -> None:
    swapped = FEE.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    rounded = FEE.round(1)
    assert copies({"swapped": swapped, "rounded": rounded, "squared": FEE**2}, FEE) == ()


def test_a_target_of_few_numbers_is_easily_ordered() -> None:
    few = np.arange(N) % 10
    assert copies({"same": few * 2.0}, few.astype(float)) == ()


def test_levels_of_one_class_each_are_copies() -> None:
    columns = {"town": TOWN, "flag": np.where(CLASS == 1, "yes", "no"), "code": CLASS * 7, "fee": FEE}
    assert copies(columns, CLASS, classes=2) == ("town", "flag", "code")


def test_a_level_of_two_classes_is_none() -> None:
    mixed = CLASS.copy()
    mixed[0] = 1 - mixed[0]
    assert copies({"town": TOWN}, mixed, classes=2) == ()


def test_few_rows_tell_nothing() -> None:
    assert copies({"fee": FEE[:30]}, FEE[:30]) == ()
    assert copies({"town": TOWN[:30]}, CLASS[:30], classes=2) == ()


def test_the_largest_numbers_are_compared_without_a_warning() -> None:
    far = np.where(np.arange(N) % 2, 1.7e308, -1.7e308) * ((1 + np.arange(N)) / N)
    assert copies({"copy": far, "other": -np.abs(far)}, FEE) == ()
    assert copies({"copy": far * 0.5, "other": np.abs(far)}, far) == ("copy",)
