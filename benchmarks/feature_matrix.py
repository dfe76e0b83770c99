"""Compare the two feature matrices: the AGOP, and that of first-order optimality (FACT).

    python -m benchmarks.feature_matrix ../shared/bench --tables yacht --seeds 0 1

The same search with kernel leaves, once with each matrix pinned, scored on test rows.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.measurements import Recorder
from benchmarks.suite import Split, read_split, suite_parser
from xrfm_cli.datasets import SchemaOverrides, encode_target, infer_schema, infer_target
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.scoring.metrics import METRICS, compute_metric

TABLES = (
    "yacht",
    "autos_imports85",
    "concrete",
    "airfoil",
    "hepatitis",
    "breast_cancer_wdbc",
    "credit_g",
    "wine_cultivar",
)


def main() -> None:
    """Measure each table with each matrix and print the errors."""
    parser = suite_parser(__doc__, "feature_matrix", TABLES)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--trials", type=int, default=30)
    args = parser.parse_args()
    recorder = Recorder("feature_matrix", args.results)
    for name in args.tables:
        for seed in args.seeds:
            split = read_split(args.suite, name, seed=seed)
            for matrix in ("agop", "fact"):
                since = time.process_time()
                model = fit(split, matrix, trials=args.trials, seed=seed)
                metric, value = error(model, split)
                seconds = round(time.process_time() - since, 1)
                recorder.add(name, metric, round(value, 5), setting=matrix, seed=seed, seconds=seconds)
                print(name, seed, matrix, metric, round(value, 5), seconds, flush=True)


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
    return "log loss", compute_metric(METRICS["log_loss"], y, prediction.probabilities, None)


if __name__ == "__main__":
    main()
