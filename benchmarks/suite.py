"""The tables of the benchmark folder: arguments that name them, and their splits as ``run.py`` makes them."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measurements import benchmark_parser
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel

MOST_TRAIN, MOST_TEST = 10_000, 20_000


def suite_parser(description: str | None, suite: str, tables: Sequence[str]) -> argparse.ArgumentParser:
    """Arguments of every command over tables of the folder; ``tables`` are those it takes unless asked.

    ``suite`` names the file of results.
    """
    parser = benchmark_parser(description, suite)
    parser.add_argument("suite", type=Path, help="the folder with suite.json and data/")
    parser.add_argument("--tables", nargs="*", default=list(tables))
    parser.add_argument("--seed", type=int, default=0)
    return parser


def read_entries(suite: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of ``suite.json``, by table name."""
    return {entry["name"]: entry for entry in json.loads((suite / "suite.json").read_text())}


class Split(NamedTuple):
    """Training and test rows of a table of the benchmark folder, a target of classes as text."""

    train: Table
    test: Table
    target: str
    task: Literal["regression", "binary", "multiclass"]


def read_split(suite: Path, name: str, *, seed: int, most_train: int = MOST_TRAIN) -> Split:
    """Split a table as ``run.py`` does."""
    entry = read_entries(suite)[name]
    target, task = entry["target"], entry["task"]
    data = pq.read_table(suite / "data" / f"{name}.parquet")
    data = data.filter(data.column(target).is_valid())
    if task != "regression":
        text = data.column(target).cast(pa.string())
        data = data.set_column(data.column_names.index(target), target, text)
    order = np.random.default_rng(seed).permutation(data.num_rows)
    cut = min(round(0.2 * data.num_rows), MOST_TEST)
    train, test = (
        Table(data.take(pa.array(rows)), source="rows") for rows in (order[cut:][:most_train], order[:cut])
    )
    return Split(train, test, target, task)


def fit_split(split: Split, *, metric: str, time_limit_s: float, seed: int) -> FittedModel:
    """Fit the training rows."""
    started = time.monotonic()
    schema = infer_schema(split.train, SchemaOverrides(target=split.target))
    described = infer_target(split.train, split.target, task=split.task)
    config = FitConfig(metric=metric, time_limit_s=time_limit_s, seed=seed)
    return fit_model(split.train, schema, described, config, started=started)
