"""``xrfm evaluate``: the model's metrics on rows whose target is known, and thresholds on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.text import Text

from xrfm_cli.commands.compute import prepare_device
from xrfm_cli.commands.options import EvaluateOptions
from xrfm_cli.commands.promises import Promise, promises_of
from xrfm_cli.commands.reading import read_whole, say_repairs
from xrfm_cli.commands.session import Session
from xrfm_cli.commands.tables import metrics_table
from xrfm_cli.commands.thresholds import check_thresholds, judge
from xrfm_cli.datasets import (
    Table,
    drop_rows_without_target,
    encode_target,
    merge_repairs,
    read_weights,
)
from xrfm_cli.datasets.errors import TargetError
from xrfm_cli.streaming import in_blocks
from xrfm_cli.tuning.metrics import evaluate_metrics
from xrfm_cli.tuning.model import FittedModel, Prediction
from xrfm_cli.tuning.report import FitReport
from xrfm_cli.tuning.storage import load_model

UNSEEN = -2  # encode_target's code of a label that training did not have


def run(options: EvaluateOptions, session: Session) -> int:
    """Evaluate a table; returns 1 if a threshold was missed."""
    device = prepare_device(options.device, threads=options.threads)
    model = load_model(Path(options.model), device=device)
    check_thresholds(options.fail_under, model.target, option="--fail-under")
    check_thresholds(options.fail_over, model.target, option="--fail-over")
    whole = read_whole(options.data, options, session)
    table, dropped = drop_rows_without_target(whole, model.target)
    if dropped:
        session.renderer.note(
            f"{dropped:,} row{'s' if dropped > 1 else ''} without a target left out", kind="repair"
        )
    metrics = _measure(model, table, session)
    verdicts = [
        *judge("fail_under", options.fail_under, metrics),
        *judge("fail_over", options.fail_over, metrics),
    ]
    promises = promises_of(model.report, metrics, rows=table.n_rows)
    session.renderer.result(
        metrics_table(metrics, verdicts, promises, rows=table.n_rows),
        Text(_legend(model.report, promises), style="dim"),
    )
    thresholds = [
        {
            "option": item.option,
            "metric": item.metric,
            "limit": item.limit,
            "value": item.value if np.isfinite(item.value) else None,
            "passed": item.passed,
        }
        for item in verdicts
    ]
    values = {name: value if np.isfinite(value) else None for name, value in metrics.items()}
    session.renderer.document(
        "evaluate",
        {
            "rows": table.n_rows,
            "repairs": [asdict(item) for item in whole.repairs],
            "metrics": values,
            "out_of_fold": {name: item.value for name, item in promises.items()},
            "worse_by": {name: item.worse_by for name, item in promises.items()},
            "thresholds": thresholds,
        },
    )
    return 0 if all(item.passed for item in verdicts) else 1


def _legend(report: FitReport, promises: Mapping[str, Promise]) -> str:
    """What the columns of the promises mean."""
    whose = " of the model that it was refitted from" if report.stopped_by == "refit" else ""
    text = f"out of fold: the fit's own score{whose}, on rows held out in turn"
    if any(item.worse_by is not None for item in promises.values()):
        text += "\nworse by: in standard deviations between the folds; negative is better"
    return text


def _measure(model: FittedModel, table: Table, session: Session) -> dict[str, float]:
    """The metrics of a table whose rows all have a target."""
    truth = encode_target(table, model.target)
    if model.target.classes and (truth == UNSEEN).any():
        first = int(np.argmax(truth == UNSEEN))
        label = table.column(model.target.name)[first].as_py()
        raise TargetError(
            f"{table.source}: row {first + 1} has the class '{label}', which the model was not trained on; "
            "leave such rows out or fit again with them"
        )
    session.renderer.stage(f"scoring {table.n_rows:,} rows")
    parts = [model.predict(block) for block in in_blocks([table])]
    say_repairs(merge_repairs(item for part in parts for item in part.repairs), session)
    weighted = [item.name for item in model.schema.columns if item.role == "weight"]
    weights = None
    if weighted and weighted[0] in table.column_names:
        weights = read_weights(table, model.schema)
        session.renderer.note(f"rows weighted by '{weighted[0]}', as in training")
    prediction = np.concatenate([_answer(part) for part in parts])
    return evaluate_metrics(model.target, truth, prediction, weights, model.threshold)


def _answer(part: Prediction) -> np.ndarray:
    """Values (n,) or probabilities (n, classes), whichever the task has."""
    answer = part.values if part.probabilities is None else part.probabilities
    assert answer is not None
    return answer
