"""``fit --holdout``: set rows aside before a fit, and score the model on them afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.commands.common.scoring import UNSEEN, score_table
from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Table, TableSchema, TargetSchema, encode_target, read_groups, read_time
from xrfm_cli.datasets.schema.splits import make_holdout
from xrfm_cli.errors import OptionError
from xrfm_cli.printable import counted
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.rows import HoldoutRow, WorstRow

LEAST_ROWS = 2  # with a target, on either side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """A table divided into training rows and test rows."""

    train: Table
    test: Table
    positions: NDArray[np.int64]  # of the training rows in the whole table
    share: float  # that was asked for
    how: str


def hold_out(table: Table, schema: TableSchema, target: TargetSchema, *, share: float, seed: int) -> HeldOut:
    """Divide a table as validation rows are chosen: by class, by group, or the latest rows by time.

    Rows without a target stay among the training rows, where they are left out and counted.
    """
    y_true = encode_target(table, target)
    known = np.flatnonzero(y_true != -1 if target.classes else ~np.isnan(y_true))
    if len(known) < 2 * LEAST_ROWS:
        raise OptionError(
            f"--holdout {share:g}: {table.source} has only {counted(len(known), 'row')} with a target"
        )
    labelled = table if len(known) == table.n_rows else table.take(known)
    groups, time = read_groups(labelled, schema), read_time(labelled, schema)
    strata = y_true[known].astype(np.int64) if target.classes else None
    _, chosen = make_holdout(len(known), share=share, seed=seed, strata=strata, groups=groups, time=time)
    how = "drawn at random" + (", each class in proportion" if strata is not None else "")
    if time is not None:
        how = f"the latest by '{schema.with_role('time')[0].name}'"
    elif groups is not None:
        how = f"whole groups of '{schema.with_role('group')[0].name}'"
    test = known[chosen]
    train = np.setdiff1d(np.arange(table.n_rows), test)
    return HeldOut(train=table.take(train), test=table.take(test), positions=train, share=share, how=how)


def score_held_out(model: FittedModel, held: HeldOut, session: Session) -> FittedModel:
    """Return the model with the test's metrics in its report, and with row numbers of the whole table."""
    test, codes = held.test, encode_target(held.test, model.target)
    unseen = int((codes == UNSEEN).sum()) if model.target.classes else 0
    if unseen:
        session.renderer.note(
            f"{unseen:,} test rows are of classes that no training row has; they are left out", kind="warning"
        )
        test = test.take(np.flatnonzero(codes != UNSEEN))
    facts: HoldoutRow | None = None
    if test.n_rows:
        metrics = score_table(model, test, session).metrics()
        facts = {"rows": test.n_rows, "share": held.share, "how": held.how, "metrics": metrics}
    summary = model.report.oof_summary
    if summary and summary.get("worst") and model.report.validation["scheme"] != "given rows":
        worst: list[WorstRow] = [
            {**item, "row": int(held.positions[item["row"] - 1]) + 1} for item in summary["worst"]
        ]
        summary = {**summary, "worst": worst}
    return replace(model, report=replace(model.report, test=facts, oof_summary=summary))
