r"""Test errors of the command, or of other methods, on the tables of the benchmark folder.

    python -m benchmarks.accuracy ../shared/bench --group core --time-limit 60
    python -m benchmarks.accuracy ../shared/bench --tables adult kin8nm --time-limit 15 -- --preset quick
    python -m benchmarks.accuracy ../shared/bench --group big --max-train 1000000
    python -m benchmarks.accuracy ../shared/bench --group published --tables abalone --time-limit 120 \
        --max-train 1000000 --metric rmse

The folder's ``run.py`` splits each table, runs ``xrfm fit`` and ``xrfm predict`` as a user would, and scores
the test rows. ``error`` is RMSE over the deviation of the test target, 1 - AUC or log loss. What stands after
``--`` are further options of ``xrfm fit``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.measurements import OURS, RESULTS, Recorder
from benchmarks.suite import read_entries, suite_parser

MOST_TRAIN = 10_000  # run.py's own default, which no setting needs to name
TAKE_A_LIMIT = (OURS, "xrfm_ref_hpo", "autogluon_best")


def main() -> None:
    """Measure table by table and method by method."""
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    fit_options = sys.argv[cut + 1 :]
    parser = suite_parser(__doc__, "core", ())
    parser.set_defaults(results=None)
    parser.add_argument("--group", default="core", help="a group of suite.json; names the file of results")
    parser.add_argument("--methods", nargs="+", default=[OURS])
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--max-train", type=int, default=MOST_TRAIN)
    parser.add_argument("--metric", help="what xrfm optimises and what is recorded, in place of ``error``")
    args = parser.parse_args(sys.argv[1:cut])
    recorder = Recorder(args.group, args.results or RESULTS / f"{args.group}.jsonl")
    extra_options = [] if args.max_train == MOST_TRAIN else ["--max-train", str(args.max_train)]
    extra_options += ["--metric", args.metric] if args.metric else []
    setting = " ".join([*extra_options, *fit_options]) or None
    names = [name for name, entry in read_entries(args.suite).items() if args.group in entry["groups"]]
    for name in args.tables or names:
        for method in args.methods:
            command = [sys.executable, str(args.suite / "run.py"), name, method, *extra_options]
            command += ["--budget", f"{args.time_limit:g}", "--seed", str(args.seed), "--", *fit_options]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            document = json.loads(done.stdout.splitlines()[-1])
            metric = args.metric or "error"
            row = recorder.add(
                name, metric, **to_facts(document, metric, setting if method == OURS else None)
            )
            print(row.to_line(), flush=True)


def to_facts(document: dict[str, Any], metric: str, setting: str | None) -> dict[str, Any]:
    """Turn a line of ``run.py`` into the fields of a measurement."""
    method = document["peer"]
    facts = {
        "method": method,
        "setting": setting,
        "seed": document["seed"],
        "time_limit_s": document["budget"] if method in TAKE_A_LIMIT else None,
        "value": document.get(metric),
        "seconds": document.get("fit_s"),
    }
    kept = ("failed", "predict_s", "peak_mb", "n_train", "n_test", "rmse", "accuracy", "auc", "log_loss")
    return facts | {"extra": {name: document[name] for name in kept if name in document}}


if __name__ == "__main__":
    main()
