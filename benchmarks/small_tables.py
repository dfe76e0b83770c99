"""Compare ways to weight an ensemble on tables of at most 2,000 rows.

    python -m benchmarks.small_tables ../shared/bench --seeds 0 1 --keep FOLDER

From the repository's root. Each table is searched once, with `--preset best` and the same time limit. Every
trial that an ensemble might be chosen from is fitted on all training rows, so the test errors of all rules
follow from one search: "balanced" and "best" are the presets' own, with six and twelve members at most,
"early" is "balanced" after a fifth of the time and two trials at least. FOLDER keeps the predictions.

The last candidates are validated again on further draws of the folds (`benchmarks.repeated_folds`), with time
of their own. "best, repeated folds" averages their predictions over the draws, "best, repeated losses" the
losses of an ensemble.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measurements import Measurement, Recorder, read
from benchmarks.repeated_folds import halves, last_candidates, repeated_outputs
from benchmarks.suite import Split, read_split, suite_parser
from xrfm_cli.datasets import SchemaOverrides, encode_target, infer_schema, infer_target
from xrfm_cli.events import ignore_event
from xrfm_cli.tuning import fit
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.ensemble.candidates import IDLE_SHARE, CandidatePool
from xrfm_cli.tuning.ensemble.final_fit import _refit
from xrfm_cli.tuning.ensemble.final_tree import Refitter
from xrfm_cli.tuning.ensemble.selection import greedy_weights
from xrfm_cli.tuning.ensemble.softness import HeldBack
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.scoring.calibration import fit_temperature
from xrfm_cli.tuning.scoring.metrics import METRICS, compute_metric, default_metric
from xrfm_cli.tuning.search.trial_records import SearchResult

Array = NDArray[np.float64]
TABLES = (
    "autos_imports85", "concrete", "ames_housing", "hepatitis", "credit_g", "arrhythmia", "soybean",
    "mfeat_factors",
)  # fmt: skip
MOST_TRAIN = 2_000
EARLY = 0.2  # of the search
TOO_FEW_TEST_ROWS = ("hepatitis",)  # 31 decide nothing, so the means leave it out


@dataclass(frozen=True, kw_only=True)
class Library:
    """The predictions of trials, best first, for validation rows and for test rows."""

    task: str
    valid: Array  # (trials, n) or (trials, n, classes), out of fold
    test: Array
    y_valid: NDArray[Any]
    y_test: NDArray[Any]
    ended: Array  # (trials,) share of the search's time that had passed
    in_pool: NDArray[np.bool_]  # (trials,) whether `best` chooses from it; others are of the early pool alone
    in_early_pool: NDArray[np.bool_]
    last: NDArray[np.int64]  # the last candidates' places among the trials
    repeated: Array  # (draws, last candidates, n), or with classes: out of fold, the first draw as ``valid``

    def loss(self, y: NDArray[Any], predictions: Array) -> float:
        """Return what is minimised: the root mean square error, 1 - AUC or the log loss."""
        metric = METRICS[default_metric(self.task)]  # type: ignore[arg-type]
        return metric.loss(compute_metric(metric, y, predictions, None))

    def error(self, weights: Array) -> float:
        """Return the test error of an ensemble, as the benchmark folder ranks by."""
        combined = np.tensordot(weights, self.test, 1)
        if self.task == "regression":
            return self.loss(self.y_test, combined) / float(np.std(self.y_test))
        if self.task == "binary":
            return 1 - compute_metric(METRICS["auc"], self.y_test, combined, None)
        calibration = fit_temperature(np.tensordot(weights, self.valid, 1), self.y_valid)
        return self.loss(self.y_test, calibration.probabilities(combined))


def greedy(library: Library, rows: NDArray[Any], pool: NDArray[np.bool_], members: int) -> Array:
    """Return greedy weights of a pool by some validation rows."""
    places, weights = np.flatnonzero(pool), np.zeros(len(pool))
    y = library.y_valid[rows]
    weights[places] = greedy_weights(
        [library.valid[k][rows] for k in places], lambda p: library.loss(y, p), max_members=members
    )
    return weights


def fewest(library: Library, rows: NDArray[Any], members: int) -> Array:
    """Return greedy weights of the fewest members that are nearly as good, as the preset `best` does."""
    y, weights = library.y_valid[rows], 0 * library.ended
    predictions = library.valid[library.in_pool][:, rows]
    weights[library.in_pool] = fewest_weights(predictions, lambda p: library.loss(y, p), members)
    return weights


def fewest_weights(predictions: Array, loss: Callable[[Array], float], members: int) -> Array:
    """Return greedy weights of the fewest of some predictions whose average is nearly as good."""

    def weigh(most: int) -> tuple[Array, float]:
        weights = np.array(greedy_weights(list(predictions), loss, max_members=most))
        return weights, loss(np.tensordot(weights, predictions, 1))

    most, least = weigh(members)
    for fewer in range(1, int(np.count_nonzero(most))):
        weights, found = weigh(fewer)
        if found <= least + IDLE_SHARE * abs(least):
            return weights
    return most


def by_repeated_folds(library: Library, rows: NDArray[Any]) -> Array:
    """Return weights of the last candidates by their predictions, averaged over all draws of the folds."""
    averages, y, weights = library.repeated.mean(0)[:, rows], library.y_valid[rows], 0 * library.ended
    weights[library.last] = fewest_weights(averages, lambda p: library.loss(y, p), 12)
    return weights


def by_repeated_losses(library: Library, rows: NDArray[Any]) -> Array:
    """Return weights of the last candidates by the mean loss of their ensemble over all draws of folds."""
    y, weights = library.y_valid[rows], 0 * library.ended

    def mean_loss(predictions: Array) -> float:  # (draws, ...)
        return float(np.mean([library.loss(y, of_draw) for of_draw in predictions]))

    of_each = library.repeated[:, :, rows].swapaxes(0, 1)  # (candidates, draws, ...)
    weights[library.last] = fewest_weights(of_each, mean_loss, 12)
    return weights


def shrunk(weights: Array, share: float) -> Array:
    """Return weights of which a share is divided equally among the members."""
    members = weights > 0
    return np.asarray((1 - share) * weights + share * members / members.sum())


def shrunk_by_halves(library: Library, rows: NDArray[Any]) -> Array:
    """Return weights shrunk by the share that suits weights of a random half best on the other half."""
    shares, losses = (0.0, 0.25, 0.5, 0.75, 1.0), np.zeros(5)
    for half in halves(len(rows)):
        weights = greedy(library, half, library.in_pool, 12)
        others = np.setdiff1d(rows, half)
        for k, share in enumerate(shares):
            combined = np.tensordot(shrunk(weights, share), library.valid[:, others], 1)
            losses[k] += library.loss(library.y_valid[others], combined)
    return shrunk(fewest(library, rows, 12), shares[int(np.argmin(losses))])


def bagged(library: Library, rows: NDArray[Any]) -> Array:
    """Return the mean of greedy weights of random halves, of the twelve largest."""
    mean = np.mean([greedy(library, half, library.in_pool, 12) for half in halves(len(rows))], axis=0)
    mean[np.argsort(-mean, kind="stable")[12:]] = 0
    return np.asarray(mean / mean.sum())


RULES: dict[str, Callable[[Library, NDArray[Any]], Array]] = {
    "balanced": lambda library, rows: greedy(library, rows, library.in_pool, 6),
    "best": lambda library, rows: fewest(library, rows, 12),
    "early": lambda library, rows: greedy(library, rows, library.in_early_pool, 6),
    "best, half equal": lambda library, rows: shrunk(fewest(library, rows, 12), 0.5),
    "best, equal": lambda library, rows: shrunk(fewest(library, rows, 12), 1.0),
    "best, shrunk by halves": shrunk_by_halves,
    "best, mean over halves": bagged,
    "best, repeated folds": by_repeated_folds,
    "best, repeated losses": by_repeated_losses,
}


def main() -> None:
    """Measure table by table; those whose lines of all rules the file has already are not searched again."""
    parser = suite_parser(__doc__, "small_tables", TABLES)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--time-limit", type=float, default=30.0, help="of each search, in seconds")
    parser.add_argument("--keep", type=Path, help="a folder for the predictions of all trials")
    args = parser.parse_args()
    torch.set_num_threads(1)
    recorder = Recorder("small_tables", args.results)
    known = read("small_tables", args.results.parent)
    done = {(row.table, row.seed, row.time_limit_s, row.setting) for row in known}
    for name in args.tables:
        for seed in args.seeds:
            if all((name, seed, args.time_limit, rule) in done for rule in RULES):
                continue
            split = read_split(args.suite, name, seed=seed, most_train=MOST_TRAIN)
            since = time.process_time()
            library, facts = search(split, seed=seed, time_limit_s=args.time_limit)
            if args.keep is not None:
                args.keep.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(args.keep / f"{name}-{seed}.npz", **vars(library))
            for setting, rule in RULES.items():
                weights = rule(library, np.arange(len(library.y_valid)))
                members = int(np.count_nonzero(weights))
                row = recorder.add(
                    name,
                    "error",
                    round(library.error(weights), 6),
                    setting=setting,
                    seed=seed,
                    time_limit_s=args.time_limit,
                    seconds=round(time.process_time() - since, 1),
                    extra={**facts, "members": members},
                )
                print(f"| {name} | {seed} | {setting} | {row.value} | {members} |", flush=True)
    for other in ("balanced", "best", "early"):
        print("\n".join(summary(read("small_tables", args.results.parent), other)))


def search(split: Split, *, seed: int, time_limit_s: float) -> tuple[Library, dict[str, Any]]:
    """Search once, and predict with every trial that an ensemble might be chosen from."""
    caught: list[tuple[Problem, SearchResult]] = []
    original = fit.fit_final_ensemble

    def fit_final_ensemble(problem: Problem, result: SearchResult, **rest: Any) -> Any:
        caught.append((problem, result))
        return original(problem, result, **rest)

    fit.fit_final_ensemble = fit_final_ensemble  # type: ignore[attr-defined]
    schema = infer_schema(split.train, SchemaOverrides(target=split.target))
    target = infer_target(split.train, split.target, task=split.task)
    config = FitConfig(preset="best", time_limit_s=time_limit_s, seed=seed, threads=1, workers=1)
    model = fit.fit_model(split.train, schema, target, config)
    fit.fit_final_ensemble = original  # type: ignore[attr-defined]
    problem, result = caught[0]
    ended = {record.number: record.ended_s for record in result.records}
    first_two = sorted(ended[number] for number, _ in result.validation_results)[:2]
    early = max(EARLY * max(ended.values()), first_two[-1])
    before = replace(
        result, validation_results=[item for item in result.validation_results if ended[item[0]] <= early]
    )
    pool, early_pool = CandidatePool.of(problem, result), CandidatePool.of(problem, before)
    entries = {entry.number: entry for entry in (*pool.entries, *early_pool.entries)}
    refitter = Refitter(
        data=problem.final.data,
        rows=problem.final.rows,
        memory_bytes=problem.memory_bytes,
        on_event=ignore_event,
    )
    held_back = HeldBack(problem=problem, on_event=ignore_event)
    members = [_refit(problem, entry, 1.0, refitter, held_back) for entry in entries.values()]
    last = [pool.entries[place] for place in last_candidates(np.array(pool.weights(12)))]
    since, numbers = time.process_time(), list(entries)
    repeated = repeated_outputs(problem, last)
    repeat_s = time.process_time() - since
    y_test = encode_target(split.test, target)
    known = y_test >= 0 if target.classes else np.full(len(y_test), True)
    library = Library(
        task=split.task,
        valid=np.array([entry.output for entry in entries.values()]),
        test=np.array([_predict(model, member, split)[known] for member in members]),
        y_valid=problem.scorer.y_valid,
        y_test=y_test[known],
        ended=np.array([ended[number] for number in entries]) / max(ended.values()),
        in_pool=np.array([number in {e.number for e in pool.entries} for number in entries]),
        in_early_pool=np.array([number in {e.number for e in early_pool.entries} for number in entries]),
        last=np.array([numbers.index(entry.number) for entry in last]),
        repeated=repeated,
    )
    facts = {"trials": len(result.records), "validated": len(result.validation_results)}
    return library, facts | {"repeated": len(last), "repeat_s": round(repeat_s, 1)}


def _predict(model: FittedModel, member: Any, split: Split) -> Array:
    alone = replace(model, members=(member,))
    return alone._combined(alone.encode(split.test)[0])


def summary(rows: list[Measurement], other: str) -> list[str]:
    """Return one line for each rule: its errors over those of another rule, as means over tables."""
    value = {(row.setting, row.table, row.seed, row.time_limit_s): row.value for row in rows}
    lines = [f"| rule | splits | error over {other} | twice the standard error | at worst | 1 % worse |"]
    for rule in RULES:
        by_table: dict[str, list[float]] = {}
        for setting, table, *rest in value:
            if setting == rule and table not in TOO_FEW_TEST_ROWS:
                own, base = value[rule, table, *rest], value[other, table, *rest]
                by_table.setdefault(table, []).append(float(np.log((own or 0) / (base or 1))))
        logs = np.array([np.mean(found) for found in by_table.values()])
        each = np.concatenate([*by_table.values(), []])
        if rule == other or len(logs) < 2:
            continue
        twice, worse = 2 * logs.std(ddof=1) / len(logs) ** 0.5, int((each > np.log(1.01)).sum())
        lines.append(
            f"| {rule} | {len(each)} | {np.expm1(logs.mean()):+.2%} | {twice:.2%} "
            f"| {np.expm1(each.max()):+.1%} | {worse} |"
        )
    return lines


if __name__ == "__main__":
    main()
