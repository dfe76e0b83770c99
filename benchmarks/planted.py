"""Planted functions: tables whose true importances, effects and interactions are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TRUE_SHARES = (0.31, 0.25, 0.20, 0.15, 0.08)
LEVELS = {"graz": 0.0, "linz": 1.0, "wien": -0.5, "bonn": 2.0}
CITIES = tuple(LEVELS)
QUADRATURE_POINTS = 60


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A table with its answers."""

    columns: dict[str, object]
    shares: dict[str, float]  # of the columns that matter, adding to one; empty for noise
    decoys: tuple[str, ...] = ()
    pairs: tuple[frozenset[str], ...] = ()
    triples: tuple[frozenset[str], ...] = ()
    effects: dict[str, Callable[[Array], Array]] = field(default_factory=dict)
    levels: dict[str, dict[str, float]] = field(default_factory=dict)
    gate: tuple[str, str, str] | None = None  # a column, and those that matter where it is below and above 0


def additive(n: int, seed: int, *, d: int = 20) -> Planted:
    """A sum of a line, a wave, a parabola, a step and a bend, with two decoys."""
    draws = np.random.default_rng([seed, 1])
    x = draws.normal(size=(n, d))
    shapes: list[Callable[[Array], Array]] = [
        lambda v: v,
        lambda v: np.sin(2 * v),
        np.square,
        np.sign,
        lambda v: np.tanh(2 * v),
    ]
    total = sum(TRUE_SHARES)
    parts = [f(x[:, k]) for k, f in enumerate(shapes)]
    y = sum(np.sqrt(s / total) * part / part.std() for s, part in zip(TRUE_SHARES, parts, strict=True))
    x[:, -2] = 0.8 * x[:, 0] + 0.6 * x[:, -2]
    x[:, -1] = 0.8 * x[:, 2] + 0.6 * x[:, -1]
    names = _names(d)
    return Planted(
        columns=_columns(x) | {"y": y + 0.3 * draws.normal(size=n)},
        shares={name: share / total for name, share in zip(names, TRUE_SHARES, strict=False)},
        decoys=tuple(names[-2:]),
        effects=dict(zip(names, shapes, strict=False)),
    )


def product(n: int, seed: int, *, d: int = 10) -> Planted:
    """A product of two columns and a third column."""
    draws = np.random.default_rng([seed, 2])
    x = draws.normal(size=(n, d))
    y = x[:, 0] * x[:, 1] + 0.7 * x[:, 2] + 0.2 * draws.normal(size=n)
    shares = {"v00": 0.5 / 1.49, "v01": 0.5 / 1.49, "v02": 0.49 / 1.49}
    return Planted(columns=_columns(x) | {"y": y}, shares=shares, pairs=(frozenset(("v00", "v01")),))


def products(n: int, seed: int, *, d: int = 100) -> Planted:
    """A product of two columns, one of three, and a line."""
    draws = np.random.default_rng([seed, 8])
    x = draws.normal(size=(n, d))
    y = x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] * x[:, 4] + 0.7 * x[:, 5] + 0.2 * draws.normal(size=n)
    names = _names(d)
    shares = dict(zip(names, (1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3, 0.49), strict=False))
    total = sum(shares.values())
    together = [names[:2], *combinations(names[2:5], 2)]
    return Planted(
        columns=_columns(x) | {"y": y},
        shares={name: share / total for name, share in shares.items()},
        pairs=tuple(frozenset(pair) for pair in together),
        triples=(frozenset(names[2:5]),),
    )


def gated(n: int, seed: int, *, d: int = 12) -> Planted:
    """One column where another is above 0, and a third one elsewhere."""
    draws = np.random.default_rng([seed, 7])
    x = draws.normal(size=(n, d))
    y = np.where(x[:, 10] > 0, 2 * x[:, 0], 2 * x[:, 1]) + 0.2 * draws.normal(size=n)
    pairs = (frozenset(("v00", "v10")), frozenset(("v01", "v10")))
    # Of the variance 4, each line has 1 by itself, and each product with the side of the gate as much.
    shares = {"v00": 0.375, "v01": 0.375, "v10": 0.25}
    return Planted(columns=_columns(x) | {"y": y}, shares=shares, pairs=pairs, gate=("v10", "v01", "v00"))


def rotated(n: int, seed: int, *, d: int = 10) -> Planted:
    """A wave along a diagonal direction of two columns, and a line."""
    draws = np.random.default_rng([seed, 3])
    x = draws.normal(size=(n, d))
    y = np.sin((x[:, 0] + x[:, 1]) / np.sqrt(2)) + 0.5 * x[:, 2] + 0.2 * draws.normal(size=n)
    wave = (1 - np.exp(-2)) / 2  # the variance of the sine of a normal number
    shares = {"v00": wave / 2, "v01": wave / 2, "v02": 0.25}
    total = sum(shares.values())
    return Planted(
        columns=_columns(x) | {"y": y},
        shares={name: share / total for name, share in shares.items()},
        pairs=(frozenset(("v00", "v01")),),
    )


def noise(n: int, seed: int, *, d: int = 20) -> Planted:
    """A target that has nothing to do with the columns."""
    x = np.random.default_rng([seed, 4]).normal(size=(n, d + 1))
    return Planted(columns=_columns(x[:, :d]) | {"y": x[:, d]}, shares={})


def categories(n: int, seed: int, *, d: int = 8) -> Planted:
    """Levels of a city and a line."""
    draws = np.random.default_rng([seed, 5])
    x = draws.normal(size=(n, d))
    city = draws.choice(CITIES, n)
    y = np.array([LEVELS[name] for name in city]) + 0.8 * x[:, 0] + 0.3 * draws.normal(size=n)
    shares = {"city": float(np.var(list(LEVELS.values()))), "v00": 0.64}
    total = sum(shares.values())
    return Planted(
        columns=_columns(x) | {"city": city, "y": y},
        shares={name: share / total for name, share in shares.items()},
        effects={"v00": lambda v: v},
        levels={"city": LEVELS},
    )


def two_classes(n: int, seed: int, *, d: int = 10) -> Planted:
    """Two classes whose log odds are a sum of three columns.

    Shares are those of the log odds, and effects those of the probability, as explanations show them.
    """
    draws = np.random.default_rng([seed, 6])
    x = draws.normal(size=(n, d))
    slopes = {"v00": 3.0, "v01": -2.0, "v02": 1.2}
    odds = sum(slope * x[:, k] for k, slope in enumerate(slopes.values()))
    y = np.where(draws.random(n) < 1 / (1 + np.exp(-odds)), "yes", "no")
    shares = {name: slope**2 for name, slope in slopes.items()}
    total = sum(shares.values())
    return Planted(
        columns=_columns(x) | {"y": y},
        shares={name: share / total for name, share in shares.items()},
        effects={
            name: partial(mean_chance, slope, variance=total - slope**2) for name, slope in slopes.items()
        },
    )


def mean_chance(slope: float, values: Array, *, variance: float) -> Array:
    """Return the mean probability at log odds ``slope * values`` plus normal ones of this variance.

    >>> mean_chance(3.0, np.array([0.0, 40.0]), variance=4.0).round(6).tolist()
    [0.5, 1.0]
    """
    points, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE_POINTS)
    odds = slope * values[:, None] + variance**0.5 * points
    return 1 / (1 + np.exp(-odds)) @ weights / weights.sum()


def classes_product(n: int, seed: int, *, d: int = 10) -> Planted:
    """Two classes whose log odds are a product and a third column; shares are those of the log odds."""
    draws = np.random.default_rng([seed, 10])
    x = draws.normal(size=(n, d))
    odds = 2 * x[:, 0] * x[:, 1] + 1.5 * x[:, 2]
    y = np.where(draws.random(n) < 1 / (1 + np.exp(-odds)), "yes", "no")
    shares = {"v00": 2 / 6.25, "v01": 2 / 6.25, "v02": 2.25 / 6.25}
    return Planted(columns=_columns(x) | {"y": y}, shares=shares, pairs=(frozenset(("v00", "v01")),))


def three_classes(n: int, seed: int, *, d: int = 10) -> Planted:
    """Three classes, two of them by one column and the third by another; shares are those of the log odds."""
    draws = np.random.default_rng([seed, 9])
    x = draws.normal(size=(n, d))
    odds = np.column_stack([2 * x[:, 0], -2 * x[:, 0], 2 * x[:, 1]])
    y = np.array(["low", "mid", "top"])[(odds + draws.gumbel(size=odds.shape)).argmax(1)]
    return Planted(columns=_columns(x) | {"y": y}, shares={"v00": 0.75, "v01": 0.25})


TABLES: dict[str, tuple[Callable[..., Planted], tuple[int, ...]]] = {
    "additive": (additive, (500, 2_000)),
    "product": (product, (500, 2_000)),
    "products": (products, (10_000,)),
    "rotated": (rotated, (1_000,)),
    "gated": (gated, (2_000,)),
    "categories": (categories, (1_000,)),
    "two classes": (two_classes, (1_000,)),
    "three classes": (three_classes, (1_000,)),
    "product of classes": (classes_product, (1_000,)),
    "noise": (noise, (500,)),
}


def _names(d: int) -> list[str]:
    return [f"v{k:02d}" for k in range(d)]


def _columns(x: Array) -> dict[str, object]:
    return dict(zip(_names(x.shape[1]), x.T, strict=True))
