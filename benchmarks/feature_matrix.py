"""Compare the two feature matrices: the AGOP, and that of first-order optimality (FACT).

    python -m benchmarks.feature_matrix ../shared/bench --seeds 0 1

The same search with kernel leaves, once with each matrix pinned, scored on test rows. The validation losses
of both searches are kept, so the figures also say what a choice between them would gain. Lines that the file
has already are not measured again.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.measurements import Measurement, Recorder, read
from benchmarks.suite import Split, read_split, suite_parser
from benchmarks.tables import MISSING, markdown, number
from xrfm_cli.datasets import SchemaOverrides, encode_target, infer_schema, infer_target
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.scoring.metrics import METRICS, compute_metric, default_metric

TABLES = (
    "yacht", "autos_imports85", "concrete", "ames_housing", "wine_quality", "california_housing", "credit_g",
    "spambase", "telco_churn", "mice_protein", "pendigits",
)  # fmt: skip
MOST_TRAIN = 2_000  # rows: a fit takes seconds
LEAST_ERROR = 0.02  # both matrices solve a table with smaller errors, whose ratio says nothing


def main() -> None:
    """Measure each table with each matrix and print the errors."""
    parser = suite_parser(__doc__, "feature_matrix", TABLES)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--trials", type=int, default=6)
    args = parser.parse_args()
    torch.set_num_threads(1)
    recorder = Recorder("feature_matrix", args.results)
    known = read("feature_matrix", args.results.parent)
    done = {(row.table, row.seed, row.setting, row.extra.get("trials")) for row in known}
    for name in args.tables:
        for seed in args.seeds:
            split = read_split(args.suite, name, seed=seed, most_train=MOST_TRAIN)
            for matrix in ("agop", "fact"):
                if (name, seed, matrix, args.trials) in done:
                    continue
                since = time.process_time()
                model = fit(split, matrix, trials=args.trials, seed=seed)
                metric, value = error(model, split)
                validation = METRICS[default_metric(split.task)].loss(model.report.score)
                row = recorder.add(
                    name,
                    metric,
                    round(value, 5),
                    setting=matrix,
                    seed=seed,
                    seconds=round(time.process_time() - since, 1),
                    extra={"trials": args.trials, "validation": round(validation, 6)},
                )
                print(name, seed, matrix, metric, row.value, row.seconds, row.extra, flush=True)
    print(matrices_table(read("feature_matrix", args.results.parent)))


def matrices_table(rows: list[Measurement] | None = None) -> str:
    """Return the mean test errors of both matrices, and of the one with the lower validation loss."""
    rows = read("feature_matrix") if rows is None else rows
    found = {(row.table, row.seed, row.setting): row for row in rows if "validation" in row.extra}
    lines, ratios = [], []
    for table in dict.fromkeys(table for table, *_ in found):
        seeds = sorted(seed or 0 for name, seed, setting in found if (name, setting) == (table, "fact"))
        if not seeds:
            continue
        pairs = [(found[table, seed, "agop"], found[table, seed, "fact"]) for seed in seeds]
        chosen = [min(pair, key=lambda row: row.extra["validation"]) for pair in pairs]
        of_agop, of_fact = ([float(row.value or 0) for row in own] for own in zip(*pairs, strict=True))
        of_chosen = [float(row.value or 0) for row in chosen]
        changes = (MISSING, MISSING)
        if max(of_agop + of_fact) >= LEAST_ERROR:  # both solve the table otherwise
            ratios.append([_log_ratio(of_fact, of_agop), _log_ratio(of_chosen, of_agop)])
            changes = (f"{np.expm1(ratios[-1][0]):+.1%}", f"{np.expm1(ratios[-1][1]):+.1%}")
        means = (number(float(np.mean(values))) for values in (of_agop, of_fact, of_chosen))
        lines.append((table, pairs[0][0].metric, *means, *changes, ", ".join(map(str, seeds))))
    if len(ratios) > 1:
        logs = np.array(ratios)
        twice = 2 * logs.std(axis=0, ddof=1) / len(logs) ** 0.5
        means_of_all = (f"{np.expm1(m):+.1%} ({t:.1%})" for m, t in zip(logs.mean(0), twice, strict=True))
        lines.append((f"mean of {len(logs)}, twice its standard error", "", "", "", "", *means_of_all, ""))
    head = ("table", "error", "AGOP", "FACT", "chosen", "FACT over AGOP", "chosen over AGOP", "splits")
    return markdown(head, lines)


def _log_ratio(errors: list[float], others: list[float]) -> float:
    return float(np.mean(np.log(errors) - np.log(others)))


def fit(split: Split, matrix: str, *, trials: int, seed: int) -> FittedModel:
    """Search with one feature matrix; linear leaves, which have none of the two, take no part in either."""
    schema = infer_schema(split.train, SchemaOverrides(target=split.target))
    target = infer_target(split.train, split.target, task=split.task)
    pinned = {"feature_matrix": matrix, "bandwidth_mode": "adaptive"}
    return fit_model(split.train, schema, target, FitConfig(trials=trials, seed=seed, pinned=pinned))


def error(model: FittedModel, split: Split) -> tuple[str, float]:
    """Return the error on the test rows: of numbers over their deviation, else the log loss."""
    y, prediction = encode_target(split.test, model.target), model.predict(split.test)
    if prediction.values is not None:
        return "rmse over deviation", float(np.sqrt(np.mean((prediction.values - y) ** 2)) / np.std(y))
    assert prediction.probabilities is not None
    return "log loss", compute_metric(METRICS["log_loss"], y, prediction.probabilities, None)


if __name__ == "__main__":
    main()
