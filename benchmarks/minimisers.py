"""Compare the Newton steps that fit calibrators with SciPy's L-BFGS-B, on every calibrator of a search.

    python -m benchmarks.minimisers ../shared/bench

Each fit runs both on the same objective, one after the other with one thread, and keeps Newton's.
``value`` is the ratio of L-BFGS-B's seconds to those of the Newton steps; ``extra`` holds the number of
calibrators, the seconds of both, and the largest difference of their minima (above 0: Newton's is lower).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablated import minimise_with_scipy
from benchmarks.measurements import Recorder
from benchmarks.suite import read_split, suite_parser
from xrfm_cli.datasets import SchemaOverrides, infer_schema, infer_target
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.scoring import calibration

TABLES = (
    *("hepatitis", "credit_g", "spambase", "telco_churn", "sick", "online_shoppers"),
    *("soybean", "mfeat_factors", "splice", "pendigits", "dry_bean", "letter"),
)
MOST_TRAIN = 3_000  # rows, so that calibrators are a visible part of a trial


class Both:
    """Runs both minimisers and sums what they took."""

    def __init__(self) -> None:
        self.newton = calibration._minimise
        self.seconds = {"newton": 0.0, "lbfgs": 0.0}
        self.calls, self.largest_difference = 0, 0.0

    def __call__(
        self, objective: Any, start: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return Newton's minimum; measure both."""
        since = time.process_time()
        ours = self.newton(objective, start, low, high)
        between = time.process_time()
        theirs = minimise_with_scipy(objective, start, low, high)
        self.seconds["newton"] += between - since
        self.seconds["lbfgs"] += time.process_time() - between
        self.calls += 1
        difference = objective.value(theirs) - objective.value(ours)
        if abs(difference) > abs(self.largest_difference):
            self.largest_difference = difference
        return ours


def main() -> None:
    """Measure each table and print the ratio of the seconds."""
    parser = suite_parser(__doc__, "minimisers", TABLES)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--trials", type=int, default=8)
    args = parser.parse_args()
    recorder = Recorder("minimisers", args.results)
    newton = calibration._minimise
    for name in args.tables:
        for seed in args.seeds:
            both = Both()
            calibration._minimise = both
            since = time.process_time()
            try:
                with compute_threads(1):
                    fit(args, name, seed)
            finally:
                calibration._minimise = newton
            seconds = {key: round(value, 3) for key, value in both.seconds.items()}
            facts = {"calibrators": both.calls, "largest_difference": both.largest_difference, **seconds}
            ratio = both.seconds["lbfgs"] / both.seconds["newton"]
            row = recorder.add(
                name,
                "seconds of L-BFGS-B over those of Newton steps",
                round(ratio, 3),
                seed=seed,
                seconds=round(time.process_time() - since, 1),
                extra=facts,
            )
            print(row.to_line(), flush=True)


def fit(args: Any, name: str, seed: int) -> None:
    """Search on the first training rows of a table."""
    split = read_split(args.suite, name, seed=seed)
    table = split.train.slice(0, MOST_TRAIN)
    schema = infer_schema(table, SchemaOverrides(target=split.target))
    target = infer_target(table, split.target, task=split.task)
    fit_model(table, schema, target, FitConfig(trials=args.trials, seed=seed, metric="log_loss"))


if __name__ == "__main__":
    main()
