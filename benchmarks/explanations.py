"""Explanations of models fitted to planted functions, compared with the known answer.

    python -m benchmarks.explanations

Every table is a function with known shares of the variance, known effects and known interactions, plus
columns that have nothing to do with the target and decoys that are correlated (0.8) with columns that have.
One line for each figure: the mean over seeds, or the share of seeds. Models have three trials; with another
number, it is part of the table's name.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

from benchmarks.measurements import Recorder, benchmark_parser
from benchmarks.planted import TABLES, Array, Planted
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.reports import Explanation, explain_model
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.explain.regions.facts import Region
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel

TRIALS = 3
FRESH_SEED, FRESH_ROWS = 1_000, 2_000  # of the rows that the models are scored on


def main() -> None:
    """Fit and explain every table, and record the figures."""
    parser = benchmark_parser(__doc__, "explanations")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--noise-seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=TRIALS)
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
                figure = dict(figures(planted, explanation)) | {"explain_cpu_s": seconds}
                if not model.target.classes:
                    figure["r2"] = r2(model, make(FRESH_ROWS, FRESH_SEED + seed))
                found.append(figure)
            hits = [] if name == "noise" else covered(explained)
            if hits:  # there are two draws, and columns that matter
                found.append({"range_covers_another_draw": float(np.mean(hits))})
            table = f"{name}, {n:,} rows" + (f", {args.trials} trials" if args.trials != TRIALS else "")
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


def r2(model: FittedModel, fresh: Planted) -> float:
    """Return the R2 of a model on fresh rows of its function."""
    y = np.asarray(fresh.columns["y"], dtype=np.float64)
    values = model.predict(Table(pa.table(fresh.columns), source="fresh rows")).values
    assert values is not None
    return 1 - float(np.mean(np.square(y - values)) / y.var())


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
            yield f"{name}rank_correlation", correlation(rankdata(own), rankdata(truth))
        outside = sum(share for column, share in measured.items() if column not in planted.shares)
        yield f"{name}half_l1", float((np.abs(own - truth).sum() + outside) / 2)
        yield f"{name}null_share", sum(measured[column] for column in null)
        if planted.decoys:
            yield f"{name}decoy_share", sum(measured[column] for column in planted.decoys)
    yield "columns_found", float(np.mean([name in explanation.above_chance for name in planted.shares]))
    if planted.pairs:
        yield "pairs_found", float(np.mean([pair in pairs for pair in planted.pairs]))
    triples = [frozenset(item.columns) for item in explanation.triples]
    yield "triples_wrongly_found", float(sum(triple not in planted.triples for triple in triples))
    if planted.triples:
        yield "triples_found", float(np.mean([triple in triples for triple in planted.triples]))
    for effect in explanation.effects:
        shape = planted.effects.get(effect.column)
        if shape is not None:
            x = np.array(effect.x, dtype=np.float64)
            yield f"effect_correlation_{effect.column}", correlation(shape(x), np.array(effect.effect))
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


def correlation(one: Array, two: Array) -> float:
    """Return the correlation of two lists of numbers; 0 if one of them is constant, as of a mean model."""
    return float(np.corrcoef(one, two)[0, 1]) if np.ptp(one) > 0 and np.ptp(two) > 0 else 0.0


def covered(explained: Sequence[Explanation]) -> list[bool]:
    """Return, for each share above 1 % and each other draw, whether the range holds that draw's share."""
    hits = []
    for one, two in permutations(explained, 2):
        others = {item.column: item.share for item in two.importances}
        hits += [
            item.low <= others[item.column] <= item.high for item in one.importances if item.share > 0.01
        ]
    return hits


if __name__ == "__main__":
    main()
