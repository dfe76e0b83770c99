"""``xrfm predict``: predict the rows of a table in order, in a stream."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from xrfm_cli.commands.blocks.block_workers import Block, block_workers, predicted_blocks
from xrfm_cli.commands.common.compute import prepare_device
from xrfm_cli.commands.common.digits import rounded
from xrfm_cli.commands.common.drift_monitor import DriftMonitor
from xrfm_cli.commands.common.models import open_model
from xrfm_cli.commands.common.outputs import open_output
from xrfm_cli.commands.common.reading import known_rows, pass_through, read_blocks, say_repairs
from xrfm_cli.commands.common.session import Session
from xrfm_cli.commands.predict_lines import answer_lines
from xrfm_cli.datasets import Repair, TargetSchema, UnreadColumns, merge_repairs
from xrfm_cli.errors import OptionError
from xrfm_cli.options.declarations import PredictOptions
from xrfm_cli.printable import counted
from xrfm_cli.tuning.model.fitted_model import FittedModel, Prediction


def run(options: PredictOptions, session: Session) -> int:
    """Predict a table; return 1 if its rows have drifted beyond the given threshold."""
    begun = time.monotonic()
    device = prepare_device(options.device, threads=options.threads)
    model = open_model(options.model, session, device=device, memory=options.memory)
    _check_task(model, options)
    pass_through(options.ids, _written_columns(model.target, options))
    if options.each_line:
        return _answer_lines(model, options, session)
    session.renderer.stage(f"predicting {options.data}")
    is_text = options.output is None or Path(options.output).suffix == ".csv"
    rows, repairs, left_out = 0, tuple[Repair, ...](), list[Repair]()
    unread = UnreadColumns(model.schema)
    monitor = DriftMonitor(
        model,
        path=options.model,
        threshold=options.check_drift,
        allows_absent=options.allow_missing_columns,
    )
    total, deviation = known_rows(options.data), _deviation(model)

    def seen_blocks() -> Generator[Block, None, None]:
        before = 0
        for read in read_blocks(
            options.data,
            options,
            session,
            chunk_rows=options.chunk_rows,
            on_repair=left_out.append,
            rows=model.block_rows,
        ):
            if options.keep_columns and before == 0:
                pass_through(read.column_names, _written_columns(model.target, options), "--keep-columns")
            yield Block(read=read, seen=monitor.look(read), before=before)
            before += read.n_rows

    with (
        block_workers(model, options, session) as workers,
        open_output(options.output) as writer,
        closing(seen_blocks()) as blocks,
    ):
        for given, prediction in predicted_blocks(model, blocks, workers, interval=options.interval):
            block = given.read
            names = block.column_names if options.keep_columns else options.ids
            copied = {name: block.stored(name) for name in names}
            columns = prediction_columns(
                model, prediction, proba=options.proba, is_text=is_text, deviation=deviation
            )
            writer.write(pa.table(copied | columns))
            rows += block.n_rows
            repairs = merge_repairs((*repairs, *prediction.repairs))
            unread.look(block, prediction.repairs)
            session.renderer.advance_rows(rows, total=total)
    seconds = time.monotonic() - begun
    session.renderer.close()
    say_repairs(repairs, unread, session)
    monitor.tell(session)
    session.renderer.note(f"{counted(rows, 'row')} predicted in {seconds:.1f} s" + _place(options.output))
    mended = [asdict(item) for item in merge_repairs((*left_out, *repairs))]
    document = {"rows": rows, "repairs": mended, **monitor.document(), "seconds": round(seconds, 3)}
    session.renderer.document("predict", document)
    return 0 if monitor.passed else 1


def _answer_lines(model: FittedModel, options: PredictOptions, session: Session) -> int:
    """Answer each line of standard input at once."""
    session.renderer.close()
    columns = partial(
        prediction_columns, model, proba=options.proba, is_text=True, deviation=_deviation(model)
    )
    written = _written_columns(model.target, options)
    served = answer_lines(model, options, session, columns=columns, written=written)
    stopped = "stopped: " if served.was_stopped else ""
    refused = f", {served.refused:,} refused" if served.refused else ""
    session.renderer.note(f"{stopped}{counted(served.rows, 'line')} answered{refused}")
    return 0


def prediction_columns(
    model: FittedModel, prediction: Prediction, *, proba: bool, is_text: bool, deviation: float
) -> dict[str, pa.Array]:
    """Return the output columns: the prediction, and probabilities or interval if requested.

    Text has nine significant digits, and fewer for numbers near 0 compared with the ``deviation`` of the
    target. Other formats hold the exact numbers.
    """
    if prediction.probabilities is None:
        found = {"prediction": prediction.values, "lower": prediction.lower, "upper": prediction.upper}
        values = {name: np.asarray(own, dtype=np.float64) for name, own in found.items() if own is not None}
        return {name: pa.array(rounded(own, deviation) if is_text else own) for name, own in values.items()}
    codes = pa.array(np.asarray(model.labels(prediction.probabilities), dtype=np.int64))
    columns = {"prediction": pa.array(list(model.target.classes)).take(codes)}
    if proba:
        shares = np.asarray(prediction.probabilities, dtype=np.float64)
        shares = rounded(shares) if is_text else shares
        columns |= {
            name: pa.array(np.ascontiguousarray(shares[:, number]))
            for number, name in enumerate(_probability_names(model.target))
        }
    return columns


def _deviation(model: FittedModel) -> float:
    """Return the standard deviation of the target in the validation rows."""
    return float(np.std(np.asarray(model.report.oof["target"], dtype=np.float64)))


def _probability_names(target: TargetSchema) -> list[str]:
    return [f"probability_{label}" for label in target.classes]


def _written_columns(target: TargetSchema, options: PredictOptions) -> list[str]:
    more = _probability_names(target) if options.proba else []
    return ["prediction", *more, *(["lower", "upper"] if options.interval is not None else [])]


def _check_task(model: FittedModel, options: PredictOptions) -> None:
    if options.proba and model.target.task == "regression":
        raise OptionError(f"--proba: {options.model} predicts numbers, which have no class probabilities")
    if options.interval is not None and model.target.task != "regression":
        raise OptionError(f"--interval: {options.model} predicts classes; use --proba")
    if options.interval is not None and model.intervals is not None:
        model.intervals.half_width(options.interval)  # raises for a level that needs more validation rows


def _place(output: str | None) -> str:
    return f", written to {output}" if output else ""
