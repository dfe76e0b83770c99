"""The real command, run in this process or a separate one, on small tables."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.processes import XRFM, run_process
from xrfm_cli.main import run

TINY = ("--trials", "1", "--folds", "2", "--preset", "quick", "--device", "cpu")


@pytest.fixture(scope="module", autouse=True)
def cheap_fits(few_trees: None) -> None:
    """Use few trees in every module of this folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The status and the output of a run of the command."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """Return the one line on standard error that says why it failed."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert self.err.rstrip().endswith(lines[0]), self.err
        assert "Traceback" not in self.err
        return lines[0]


Command = Callable[..., Outcome]


def run_here(*arguments: object, folder: Path | None = None) -> Outcome:
    """Run the command in this process, as ``xrfm ARGUMENTS`` in a folder."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    place = contextlib.chdir(folder) if folder else contextlib.nullcontext()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), place:
        status = run([str(item) for item in arguments])
    out.flush()
    return Outcome(status=status, out=out.buffer.getvalue().decode(), err=err.getvalue())


def run_apart(*arguments: object, folder: Path | None = None, **environment: str) -> Outcome:
    """Run the command in a separate process."""
    done = run_process([*XRFM, *arguments], folder=folder, environment=environment)
    return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture(scope="session")
def xrfm() -> Command:
    """The command in this process: quick."""
    return run_here


@pytest.fixture(scope="session")
def xrfm_process() -> Command:
    """The command in a separate process: real signals, pipes and imports."""
    return run_apart


def houses(n: int, *, seed: int = 0) -> pa.Table:
    """A table with numbers, categories, gaps and an identifier; ``price`` follows from the others."""
    generator = np.random.default_rng(seed)
    area, rooms = generator.uniform(30, 200, n).round(1), generator.integers(1, 7, n)
    town = generator.choice(["Graz", "Linz", "Wien"], n)
    price = 1000 * area + 20_000 * rooms + np.where(town == "Wien", 80_000, 0) + generator.normal(0, 5000, n)
    return pa.table(
        {
            "house": [f"h{number:05d}" for number in range(n)],
            "area": [None if number % 17 == 5 else value for number, value in enumerate(area.tolist())],
            "rooms": rooms,
            "town": town.tolist(),
            "price": price.round(2),
            "sold": np.where(price > np.median(price), "yes", "no").tolist(),
        }
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables to learn from and to predict, as CSV and as Parquet, and two models."""
    place = tmp_path_factory.mktemp("houses")
    for name, n, seed in (("train", 120, 0), ("new", 5000, 1), ("test", 90, 2)):
        table = houses(n, seed=seed)
        pyarrow.csv.write_csv(table, place / f"{name}.csv")
        pq.write_table(table, place / f"{name}.parquet")
    return place


@pytest.fixture(scope="session")
def regression(folder: Path, xrfm: Command) -> Path:
    """A regression model in the folder."""
    arguments = ("--target", "price", "--drop", "sold", "--model", "price.xrfm", *TINY)
    outcome = xrfm("fit", "train.csv", *arguments, folder=folder)
    assert outcome.status == 0, outcome.err
    return folder / "price.xrfm"


@pytest.fixture(scope="session")
def classification(folder: Path, xrfm: Command) -> Path:
    """A binary model in the folder."""
    arguments = ("--target", "sold", "--drop", "price", "--model", "sold.xrfm", *TINY)
    outcome = xrfm("fit", "train.csv", *arguments, folder=folder)
    assert outcome.status == 0, outcome.err
    return folder / "sold.xrfm"


@pytest.fixture(scope="session")
def shell_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which shells find this package's command as ``xrfm``."""
    place = tmp_path_factory.mktemp("bin")
    (place / "xrfm").write_text(f'#!/bin/sh\nexec {sys.executable} -m xrfm_cli "$@"\n')
    (place / "xrfm").chmod(0o755)
    return os.environ | {"PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}
