"""Log loss before and after calibration, and calibration error beside that of a perfect forecaster.

    python -m benchmarks.calibration ../shared/bench --time-limit 30

Each table is split and fitted as ``run.py`` of the benchmark folder does. ``before`` takes the same models
without their calibrators, scores clipped and scaled to add to one. The expected calibration error is that
of the most probable class in 15 bins of equal width (Guo et al., ICML 2017). ``chance`` is its mean over
200 draws of labels from the predicted probabilities themselves: what a perfect forecaster shows on as many
rows.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measurements import Recorder
from benchmarks.suite import Split, fit_split, read_split, suite_parser
from xrfm_cli.datasets import Table, encode_target
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.scoring.calibration import MemberCalibrator

Array = NDArray[np.float64]
TABLES = (
    "spambase",
    "telco_churn",
    "online_shoppers",
    "magic_telescope",
    "credit_default_taiwan",
    "bank_marketing",
    "adult",
    "splice",
    "mfeat_factors",
    "pendigits",
    "dry_bean",
    "letter",
)
METRICS = ("log_loss", "calibration_error", "calibration_error_by_chance", "calibration_excess")
BINS, DRAWS = 15, 200


def main() -> None:
    """Measure table by table."""
    parser = suite_parser(__doc__, "calibration", TABLES)
    parser.add_argument("--time-limit", type=float, default=30.0)
    args = parser.parse_args()
    torch.set_num_threads(2)
    recorder = Recorder("calibration", args.results)
    print("| table | test rows | log loss before | after | calibration error | chance | excess |")
    print("|---|---|---|---|---|---|---|")
    for name in args.tables:
        began = time.monotonic()
        figures = measure(read_split(args.suite, name, seed=args.seed), args)
        facts = {"seed": args.seed, "time_limit_s": args.time_limit, "extra": {"test_rows": figures[0]}}
        facts["seconds"] = round(time.monotonic() - began, 2)
        recorder.add(name, "log_loss", figures[1], setting="not calibrated", **facts)
        for metric, value in zip(METRICS, figures[2:], strict=True):
            recorder.add(name, metric, value, **facts)
        print(
            f"| {name} | {figures[0]:.0f} | " + " | ".join(f"{v:.4f}" for v in figures[1:]) + " |", flush=True
        )


def measure(split: Split, args: argparse.Namespace) -> list[float]:
    """The figures of one table."""
    metric = "auc" if split.task == "binary" else "log_loss"
    model = fit_split(split, metric=metric, time_limit_s=args.time_limit, seed=args.seed)
    codes = encode_target(split.test, model.target).astype(np.int64)
    before, after = (probabilities_of(m, split.test) for m in (without_calibration(model), model))
    error, chance = calibration_error(after, codes), error_by_chance(after, seed=args.seed)
    return [len(codes), log_loss(before, codes), log_loss(after, codes), error, chance, error - chance]


def without_calibration(model: FittedModel) -> FittedModel:
    """The same members and weights, their scores taken as probabilities."""
    plain = MemberCalibrator()
    members = tuple(replace(member, calibrator=plain) for member in model.members)
    return replace(model, members=members, calibration=plain)


def probabilities_of(model: FittedModel, table: Table) -> Array:
    """Probabilities ``(n, classes)``."""
    found = model.predict(table).probabilities
    assert found is not None
    return found


def log_loss(probabilities: Array, codes: NDArray[np.int64]) -> float:
    """Mean negative logarithm of the probability of the true class."""
    return float(-np.log(probabilities[np.arange(len(codes)), codes]).mean())


def calibration_error(probabilities: Array, codes: NDArray[np.int64]) -> float:
    """Mean distance of confidence and accuracy over bins of the confidence, weighted by their rows."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == codes
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(codes))


def error_by_chance(probabilities: Array, *, seed: int) -> float:
    """The mean calibration error where the probabilities are true."""
    generator = np.random.default_rng(seed)
    edges = probabilities.cumsum(axis=1)[:, :-1]
    errors = [
        calibration_error(probabilities, (generator.random((len(edges), 1)) > edges).sum(axis=1))
        for _ in range(DRAWS)
    ]
    return float(np.mean(errors))


if __name__ == "__main__":
    main()
