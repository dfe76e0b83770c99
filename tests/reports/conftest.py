"""Small models of known functions, fitted once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.tuning import FitConfig, FittedModel, fit_model

HOSTILE = (
    "<script>alert(1)</script>",
    "$x_1^2$",
    "{{ 7 * 7 }}",
    "größe \u4f4f\u5b85 \U0001f600",
    'quo"te & co',
    "a\nb",
)


@pytest.fixture(scope="module", autouse=True)
def cheap_fits(few_trees: None) -> None:
    """Use few trees in every module of this folder."""


@dataclass(frozen=True)
class Case:
    table: Table
    model: FittedModel


def fit_case(columns: dict[str, object], *, target: str = "y", trials: int = 0, **pinned: object) -> Case:
    table = Table(pa.table(columns), source="test table")
    schema = infer_schema(table, SchemaOverrides(target=target))
    config = FitConfig(trials=trials, pinned=pinned, folds=2)
    return Case(table=table, model=fit_model(table, schema, infer_target(table, target), config))


def noise(n: int, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, n))


@pytest.fixture(scope="session")
def linear() -> Case:
    """y = 3 a + b; c is irrelevant."""
    a, b, c = noise(300, 3)
    return fit_case({"a": a, "b": b, "c": c, "y": 3 * a + b})


@pytest.fixture(scope="session")
def product() -> Case:
    """y = a b + c: a and b interact, c adds, d is irrelevant."""
    a, b, c, d = noise(500, 4, seed=1)
    return fit_case({"a": a, "b": b, "c": c, "d": d, "y": a * b + 0.7 * c})


@pytest.fixture(scope="session")
def ensemble() -> Case:
    """A search over a table with missing numbers, levels and dates."""
    a, b = noise(160, 2, seed=2)
    draws = np.random.default_rng(3)
    city = draws.choice(["graz", "linz", "wien"], 160)
    days = np.datetime64("2024-01-01") + draws.integers(0, 700, 160)
    y = 2 * a + (city == "linz") + 0.3 * b * a + 0.1 * draws.normal(size=160)
    holes = [None if k % 9 == 0 else float(v) for k, v in enumerate(b)]
    columns = {"a": a, "b": holes, "city": city, "day": days, "same": ["x"] * 160, "y": y}
    return fit_case(columns, trials=6)


@pytest.fixture(scope="session")
def logarithms() -> Case:
    """An ensemble of members that learned a price and of members that learned its logarithm."""
    a, b, c, d = noise(160, 4, seed=9)
    return fit_case({"a": a, "b": b, "c": c, "y": np.exp(a + 0.5 * b * a + 0.3 * d)}, trials=4)


@pytest.fixture(scope="session")
def two_classes() -> Case:
    a, b = noise(240, 2, seed=4)
    noisy = a + 0.5 * noise(240, 1, seed=5)[0]
    return fit_case({"a": a, "b": b, "y": np.where(noisy > 0, "yes", "no")})


@pytest.fixture(scope="session")
def three_classes() -> Case:
    a, b, c = noise(240, 3, seed=6)
    return fit_case(
        {"a": a, "b": b, "c": c, "y": np.array(["low", "mid", "top"])[np.digitize(a + b, [-0.7, 0.7])]}
    )


@pytest.fixture(scope="session")
def leaves() -> Case:
    """A tree of several leaves: a matters on one side of b, c on the other."""
    a, b, c = noise(900, 3, seed=7)
    b = 4 * b
    return fit_case({"a": a, "b": b, "c": c, "y": np.where(b > 0, a, c) + b}, leaf_size=300)


@pytest.fixture(scope="session")
def hostile() -> Case:
    """A table whose names a page or a figure could misinterpret."""
    values = noise(120, len(HOSTILE), seed=8)
    level = np.where(values[0] > 0, "</td><img src=x onerror=alert(1)>", "$a$")
    columns = dict(zip(HOSTILE, values, strict=True))
    return fit_case({**columns, "level": level, "<b>y</b>": values.sum(0)}, target="<b>y</b>")
