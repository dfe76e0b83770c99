"""Fits of a table that is kept in files: killed and resumed, with other options, and when files go wrong."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Command
from tests.cli.test_interrupts import start, wait_for
from tests.processes import KILLED, run_python
from xrfm_cli.datasets import readers

KEPT = "its columns are kept in files in"
# An eighth of the smallest --memory is 2 MiB, which the rows do not fit into.
ROWS = 25_000
SMALL, LARGE = ("--memory", "16MiB"), ("--memory", "1GiB")
FIT = ("--target", "y", "--folds", "2", "--search-rows", "400", "--device", "cpu")
TREE = ("--set", "kernel=linear", "--set", "leaf_size=7500", "--format", "json")
SEARCHED = (*FIT, *TREE, "--trials", "2")
QUICK = (*FIT, *TREE, "--trials", "0")


def table(n: int, d: int, *, seed: int = 0) -> pa.Table:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, d))
    y = np.sin(x[:, 0]) + x[:, 1] * (x[:, 2] > 0) + generator.normal(0, 0.1, n)
    town = [f"town {k}" for k in generator.integers(0, 30, n)]
    numbers = {f"x{k}": x[:, k] for k in range(d - 1)} | {f"x{d - 1}": x[:, -1].astype(np.float32)}
    return pa.table(numbers | {"town": town, "y": y})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table that is kept in files, and a small one."""
    folder = tmp_path_factory.mktemp("large")
    pq.write_table(table(ROWS, 10), folder / "t.parquet", row_group_size=5_000)
    pq.write_table(table(2_000, 10, seed=1), folder / "other.parquet")
    return folder


@pytest.fixture
def alone(place: Path) -> Iterator[Path]:
    """That folder; what a test leaves there is removed."""
    before = set(place.iterdir())
    yield place
    for path in set(place.iterdir()) - before:
        path.unlink()


CLOCK = ("seconds", "ended_s", "created", "peak_memory_bytes", "trial_seconds", "files", "memory_bytes")


def without_machine(document: Any) -> Any:
    """A fit's document without what depends on the clock and on ``--memory``."""
    if isinstance(document, dict):
        return {name: without_machine(value) for name, value in document.items() if name not in CLOCK}
    if isinstance(document, list):
        return [without_machine(item) for item in document if KEPT not in str(item)]
    return document


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--weight", "x7", "--holdout", "0.2"),
        ("--valid", "other.parquet"),
        ("--compress", "half", "--set", "kernel=norm", "--set", "leaf_size=400", "--fit-rows", "4000"),
        ("--transfer-from", "base.xrfm"),
    ],
    ids=lambda words: words[0],
)
def test_options_give_the_same_model_as_in_memory(words: tuple[str, ...], alone: Path, xrfm: Command) -> None:
    if "--weight" in words:
        data = pq.read_table(alone / "t.parquet")
        data = data.set_column(7, "x7", pa.array(np.arange(ROWS) % 10))
        pq.write_table(data, alone / "weighted.parquet")
    if "--transfer-from" in words:
        assert xrfm("fit", "other.parquet", *QUICK, "--model", "base.xrfm", folder=alone).status == 0
        words += ("--trials", "2")
    data = "weighted.parquet" if "--weight" in words else "t.parquet"
    found = []
    for name, memory in (("files", SMALL), ("memory", LARGE)):
        done = xrfm("fit", data, *QUICK, *words, *memory, "--json", "--model", f"{name}.xrfm", folder=alone)
        assert done.status == 0, done.err
        assert (KEPT in done.err) == (name == "files")
        told = ("--model", f"{name}.xrfm", "--output", f"{name}.csv", "--device", "cpu")
        assert xrfm("predict", "other.parquet", *told, folder=alone).status == 0
        found.append((without_machine(done.document), (alone / f"{name}.csv").read_bytes()))
    assert found[0] == found[1]


def test_a_large_table_of_valid_is_kept_in_files_and_its_sample_validates(alone: Path, xrfm: Command) -> None:
    words = ("--valid", "t.parquet", *SMALL, "--trials", "1", "--json", "--model", "m.xrfm")
    done = xrfm("fit", "other.parquet", *QUICK, *words, folder=alone)
    assert done.status == 0, done.err
    assert f"t.parquet: is larger than 2 MiB, so {KEPT}" in done.err
    said = re.search(r"trials are validated on ([0-9,]+) of the 25,000 rows of t.parquet, drawn", done.err)
    assert said is not None
    assert 1_000 < int(said[1].replace(",", "")) < ROWS / 2
    whole = xrfm("evaluate", "t.parquet", "--model", "m.xrfm", "--json", folder=alone).document
    # The score is that of a model of the 400 rows of the search.
    assert done.document["score"] == pytest.approx(whole["metrics"]["rmse"], rel=0.05)


@pytest.mark.slow
def test_a_model_is_refitted_on_a_table_in_files(alone: Path, xrfm: Command) -> None:
    assert xrfm("fit", "other.parquet", *QUICK, "--model", "old.xrfm", folder=alone).status == 0
    for name, memory in (("files", SMALL), ("memory", LARGE)):
        told = ("--from", "old.xrfm", "--model", f"{name}.xrfm", "--device", "cpu", "--format", "json")
        done = xrfm("fit", "t.parquet", *told, *memory, folder=alone)
        assert done.status == 0, done.err
        assert (KEPT in done.err) == (name == "files")
    assert (alone / "files.xrfm").read_bytes() == (alone / "memory.xrfm").read_bytes()


def test_a_table_in_files_is_evaluated_the_same(alone: Path, xrfm: Command) -> None:
    assert xrfm("fit", "other.parquet", *QUICK, "--model", "m.xrfm", folder=alone).status == 0
    words = ("evaluate", "t.parquet", "--model", "m.xrfm", "--by", "town", "--json")
    small, large = (xrfm(*words, *memory, folder=alone) for memory in (SMALL, LARGE))
    assert small.status == large.status == 0, small.err
    assert KEPT in small.err
    assert KEPT not in large.err
    assert small.document == large.document


def test_more_rows_than_the_memory_has_room_for_are_said_at_once(
    alone: Path, xrfm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xrfm_cli.commands.fit_view.ROW_BYTES", 800)
    done = xrfm("fit", "t.parquet", *QUICK, *SMALL, "--dry-run", folder=alone)
    assert done.status == 0
    assert "numbers of each row, such as its target, need about 0.0 GiB of memory, more than the" in done.err


def wait_for_files(process: Any, folder: Path, ending: str, count: int) -> None:
    """Wait until a fit has written ``count`` files with this ending."""
    until = time.monotonic() + 100
    while len(list(folder.glob(f"*{ending}"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "count"), [(".step", 2), (".leaf", 3)])
def test_a_killed_fit_goes_on_to_the_same_model(
    ending: str, count: int, alone: Path, xrfm: Command, tmp_path: Path
) -> None:
    words: tuple[str, ...] = ("fit", str(alone / "t.parquet"), *FIT, *SMALL, "--set", "kernel=norm")
    words += ("--set", "leaf_size=800", "--set", "iterations=1", "--format", "json", "--threads", "1")
    words += ("--trials", "2", "--fit-rows", "4000")
    with start(tmp_path, *words, "--resume") as process:
        wait_for_files(process, tmp_path / "model.run", ending, count)
        process.send_signal(KILLED)
        process.communicate(timeout=60)
    assert [path.name for path in tmp_path.iterdir()] == ["model.run"]  # the files of the table are gone
    done = xrfm(*words, "--resume", folder=tmp_path)
    assert done.status == 0, done.err
    assert "resuming from model.run with" in done.err
    assert (ending == ".leaf") == (" leaves" in done.err.partition("resuming from")[2].partition("\n")[0])
    assert not (tmp_path / "model.run").exists()
    assert xrfm(*words, "--model", "whole.xrfm", folder=tmp_path).status == 0
    assert (tmp_path / "model.xrfm").read_bytes() == (tmp_path / "whole.xrfm").read_bytes()


@pytest.mark.slow
def test_a_scratch_folder_that_vanishes_ends_the_fit_and_resume_goes_on(
    alone: Path, xrfm: Command, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = ("fit", str(alone / "t.parquet"), *SEARCHED, *SMALL, "--scratch", str(scratch), "--resume")
    with start(tmp_path, *words) as process:
        wait_for(process, "searching")
        scratch.rmdir()  # it is empty: the files have no names
        _, messages = process.communicate(timeout=100)
    assert process.returncode == 2, messages
    last = messages.rstrip().splitlines()[-1]
    assert last.startswith(f"error: {scratch}: cannot hold files")
    assert "Traceback" not in messages
    assert [path.name for path in tmp_path.iterdir()] == ["model.run"]
    scratch.mkdir()
    done = xrfm(*words, folder=tmp_path)
    assert done.status == 0, done.err
    assert "resuming from" in done.err
    assert xrfm(*words[:-1], "--model", "whole.xrfm", folder=tmp_path).status == 0
    assert (tmp_path / "model.xrfm").read_bytes() == (tmp_path / "whole.xrfm").read_bytes()


FULL = """
import resource, sys
from xrfm_cli.main import run

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))  # a disk that is full from there on
sys.exit(run(sys.argv[2:]) != 2)
"""


@pytest.mark.slow
@pytest.mark.posix("a limit on the size of files")
@pytest.mark.parametrize("size", [1 << 20, 3 << 20])
def test_a_disk_that_fills_up_is_said_in_one_line(size: int, alone: Path, tmp_path: Path) -> None:
    """The file of the columns is larger than 1 MiB, and that of the encoded rows larger than 3 MiB."""
    words = ("fit", alone / "t.parquet", *QUICK, *SMALL, "--quiet", "--log-file", tmp_path / "log")
    run_python(FULL, size, *words, folder=tmp_path)
    lines = (tmp_path / "log").read_text().splitlines()
    said = [line for line in lines if "ERROR" in line]
    assert len(said) == 1
    assert "cannot hold files (File too large); make room, or give another folder with --scratch" in said[0]
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.slow
def test_scratch_on_another_device(alone: Path, xrfm: Command) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == alone.stat().st_dev:
        pytest.skip("there is no other device that can be written to")
    for name, words in (("here", ()), ("there", ("--scratch", str(memory)))):
        done = xrfm("fit", "t.parquet", *QUICK, *SMALL, *words, "--model", f"{name}.xrfm", folder=alone)
        assert done.status == 0, done.err
    assert f"{KEPT} {memory}" in done.err
    assert (alone / "here.xrfm").read_bytes() == (alone / "there.xrfm").read_bytes()


def test_a_file_that_changes_while_it_is_read_ends_the_fit(
    alone: Path, xrfm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "t.parquet"
    copy.write_bytes((alone / "t.parquet").read_bytes())
    read = readers.part_tables

    def read_and_change(*arguments: Any) -> Iterator[Any]:
        yield from read(*arguments)
        os.utime(copy, ns=(0, 0))

    monkeypatch.setattr(readers, "part_tables", read_and_change)
    done = xrfm("fit", "t.parquet", *QUICK, *SMALL, "--resume", folder=tmp_path)
    assert done.status == 2
    assert "t.parquet: has changed while it was read; read it when it is complete" in done.error
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
