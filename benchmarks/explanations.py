"""Explanations of models fitted to planted functions, compared with the known answer.

    python -m benchmarks.explanations

Every table is a function with known shares of the variance, known effects and known interactions, plus
columns that have nothing to do with the target and decoys that are correlated (0.8) with columns that have.
One line for each figure: the mean over seeds, or the share of seeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.measurements import Recorder, benchmark_parser
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.reports import Explanation, explain_model
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.explain.region_facts import Region
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel

Array = NDArray[np.float64]
TRUE_SHARES = (0.31, 0.25, 0.20, 0.15, 0.08)
LEVELS = {"graz": 0.0, "linz": 1.0, "wien": -0.5, "bonn": 2.0}
CITIES = tuple(LEVELS)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A table with its answers."""

    columns: dict[str, object]
    shares: dict[str, float]  # of the columns that matter, adding to one; empty for noise
    decoys: tuple[str, ...] = ()
    pairs: tuple[frozenset[str], ...] = ()
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
    """Two classes whose log odds are a sum of three columns."""
    draws = np.random.default_rng([seed, 6])
    x = draws.normal(size=(n, d))
    odds = 3 * x[:, 0] - 2 * x[:, 1] + 1.2 * x[:, 2]
    y = np.where(draws.random(n) < 1 / (1 + np.exp(-odds)), "yes", "no")
    shares = {"v00": 9.0, "v01": 4.0, "v02": 1.44}
    total = sum(shares.values())
    return Planted(
        columns=_columns(x) | {"y": y},
        shares={name: share / total for name, share in shares.items()},
        effects={"v00": lambda v: v, "v01": lambda v: -v, "v02": lambda v: v},
    )


TABLES: dict[str, tuple[Callable[..., Planted], tuple[int, ...]]] = {
    "additive": (additive, (500, 2_000)),
    "product": (product, (500, 2_000)),
    "rotated": (rotated, (1_000,)),
    "gated": (gated, (2_000,)),
    "categories": (categories, (1_000,)),
    "two classes": (two_classes, (1_000,)),
    "noise": (noise, (500,)),
}


def main() -> None:
    """Fit and explain every table, and record the figures."""
    parser = benchmark_parser(__doc__, "explanations")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--noise-seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--most-rows", type=int, default=2_000)
    args = parser.parse_args()
    recorder = Recorder("explanations", args.results)
    for name in args.tables:
        make, sizes = TABLES[name]
        for n in (size for size in sizes if size <= args.most_rows):
            seeds = args.noise_seeds if name == "noise" else args.seeds
            found: list[dict[str, float]] = []
            explained: list[Explanation] = []
            for seed in range(seeds):
                planted = make(n, seed)
                model = fit(planted, trials=args.trials, seed=seed)
                began = time.process_time()
                explanation = explain_model(model, effects=["all"], regions=True)
                seconds = time.process_time() - began
                explained.append(explanation)
                found.append(dict(figures(planted, explanation)) | {"explain_cpu_s": seconds})
            if name != "noise":
                found.append({"range_covers_another_draw": coverage(explained)})
            table = f"{name}, {n:,} rows"
            for metric in sorted({metric for item in found for metric in item}):
                values = [item[metric] for item in found if metric in item]
                value = float(np.mean(values))
                recorder.add(table, metric, value, extra={"seeds": seeds, "trials": args.trials})
                print(f"{table}: {metric} {value:.3f}", flush=True)


def fit(planted: Planted, *, trials: int, seed: int) -> FittedModel:
    """Fit a model to a planted table."""
    table = Table(pa.table(planted.columns), source="planted table")
    schema = infer_schema(table, SchemaOverrides(target="y"))
    return fit_model(table, schema, infer_target(table, "y"), FitConfig(trials=trials, seed=seed))


def figures(planted: Planted, explanation: Explanation) -> Iterator[tuple[str, float]]:
    """Yield the figures of one explanation."""
    shares = {item.column: item.share for item in explanation.importances}
    agop = {item.column: item.share for item in explanation.agop}
    yield "flagged_as_no_better", float(not explanation.quality.is_better)
    null = [name for name in shares if name not in planted.shares and name not in planted.decoys]
    yield "null_above_chance", float(np.mean([name in explanation.above_chance for name in null]))
    pairs = [frozenset(pair.columns) for pair in explanation.pairs]
    yield "pairs_wrongly_found", float(sum(pair not in planted.pairs for pair in pairs))
    regions = explanation.regions.regions
    yield "regions_found", float(len(regions))
    if planted.gate is not None:
        yield from _gate_figures(planted.gate, regions)
    if not planted.shares:
        return
    truth = np.array(list(planted.shares.values()))
    for name, measured in (("", shares), ("agop_", agop)):
        own = np.array([measured[column] for column in planted.shares])
        if len(set(planted.shares.values())) == len(truth) > 2:
            yield f"{name}rank_correlation", float(spearmanr(own, truth).statistic)
        outside = sum(share for column, share in measured.items() if column not in planted.shares)
        yield f"{name}half_l1", float((np.abs(own - truth).sum() + outside) / 2)
        yield f"{name}null_share", sum(measured[column] for column in null)
        if planted.decoys:
            yield f"{name}decoy_share", sum(measured[column] for column in planted.decoys)
    yield "columns_found", float(np.mean([name in explanation.above_chance for name in planted.shares]))
    if planted.pairs:
        yield "pairs_found", float(np.mean([pair in pairs for pair in planted.pairs]))
    for effect in explanation.effects:
        shape = planted.effects.get(effect.column)
        if shape is not None:
            x = np.array(effect.x, dtype=np.float64)
            yield f"effect_correlation_{effect.column}", float(np.corrcoef(shape(x), effect.effect)[0, 1])
        known = planted.levels.get(effect.column)
        if known is not None:
            true = np.array([known[str(level)] for level in effect.x])
            own = np.array(effect.effect)
            true, own = true - true.mean(), own - own.mean()
            yield "level_error", float(np.abs(own - true).max() / np.ptp(true))


def _gate_figures(gate: tuple[str, str, str], regions: Sequence[Region]) -> Iterator[tuple[str, float]]:
    """Yield whether the two sides of a gate were found, how far off, and the share of the right column."""
    column, below, above = gate
    found = [own for own in regions if len(own.conditions) == 1 and own.conditions[0].column == column]
    yield "gate_found", float(len(found) == len(regions) == 2)
    for region in found:
        (condition,) = region.conditions
        assert isinstance(condition.value, float)
        right = above if condition.operator == "above" else below
        yield "gate_error", abs(condition.value)
        yield (
            f"share_{condition.operator.replace(' ', '_')}",
            next((own.share for own in region.columns if own.column == right), 0.0),
        )


def coverage(explained: list[Explanation]) -> float:
    """Return how often a share above 1 % of one draw's model has that of another draw in its range."""
    hits = []
    for one in explained:
        for two in explained:
            if one is two:
                continue
            others = {item.column: item.share for item in two.importances}
            hits += [
                item.low <= others[item.column] <= item.high for item in one.importances if item.share > 0.01
            ]
    return float(np.mean(hits)) if hits else float("nan")


def _names(d: int) -> list[str]:
    return [f"v{k:02d}" for k in range(d)]


def _columns(x: Array) -> dict[str, object]:
    return dict(zip(_names(x.shape[1]), x.T, strict=True))


if __name__ == "__main__":
    main()
