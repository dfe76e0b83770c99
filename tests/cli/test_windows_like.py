"""Everyday commands without features that Windows lacks; no open file is deleted or replaced."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import TINY, Outcome
from tests.processes import KILLED, run_process, run_python, started
from xrfm_cli import windows_names
from xrfm_cli.terminal import streams
from xrfm_cli.terminal.streams import GuardedStream
from xrfm_cli.tuning.problem import baselines

HERE = Path(__file__).parents[1] / "windows_like.py"
FIT = ("fit", "train.csv", "--target", "price", "--drop", "sold", *TINY)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="open files are looked up in /proc")


def xrfm_there(*words: object, folder: Path, **environment: str) -> Outcome:
    """Run commands, separated by +, in a process that lacks what Windows lacks; all must succeed."""
    done = run_process([sys.executable, HERE, *words], folder=folder, environment=environment)
    assert done.returncode == 0, done.stderr
    return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture(scope="module")
def place(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tables and two models that were fitted there."""
    place = tmp_path_factory.mktemp("windows")
    for name in ("train.csv", "test.csv"):
        shutil.copy(folder / name, place)
    shared = (*FIT, "--storage", "tuning.journal", "--model", "shared.xrfm")
    outcome = xrfm_there(*shared, "+", *FIT, folder=place)
    assert "xrfm predict new.csv --output predictions.csv" in outcome.out
    return place


def test_the_pretence_refuses_what_windows_refuses(tmp_path: Path) -> None:
    program = """
import mmap, os, pathlib, sys
sys.path.insert(0, sys.argv[1])
import windows_like; windows_like.hide()
for name in ("resource", "fcntl"):
    try: __import__(name)
    except ImportError: print("no", name)
other = pathlib.Path("other"); other.write_bytes(b"x")
path = pathlib.Path("file"); path.write_bytes(b"x")
file = path.open("rb"); mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
link, move = lambda: path.symlink_to("a"), lambda: path.rename("new")
for act in (path.unlink, move, lambda: other.replace(path), link):
    try: act()
    except OSError as fault: print(fault.strerror)
    if not file.closed: file.close()  # it is mapped still
mapped.close(); path.unlink(); print("deleted")
"""
    said = run_python(program, HERE.parent, folder=tmp_path).splitlines()
    refused = ["The file is open"] * 3 + ["A required privilege is not held by the client"]
    assert said == ["no resource", "no fcntl", *refused, "deleted"]


@pytest.mark.slow
def test_a_fit_leaves_no_locks_behind(place: Path) -> None:
    assert {path.name for path in place.iterdir() if "lock" in path.name or path.is_dir()} == set()
    assert (place / "shared.xrfm").is_file()


def test_the_model_is_the_same_as_elsewhere(
    place: Path, tmp_path: Path, xrfm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "TREES", 100)  # as many as in the other process
    shutil.copy(place / "train.csv", tmp_path)
    assert xrfm(*FIT, folder=tmp_path).status == 0
    assert (tmp_path / "model.xrfm").read_bytes() == (place / "model.xrfm").read_bytes()


@pytest.mark.slow
def test_what_is_there_is_replaced(place: Path, tmp_path: Path) -> None:
    for name in ("train.csv", "test.csv", "model.xrfm"):
        shutil.copy(place / name, tmp_path)
    outputs = [tmp_path / f"out.{ending}" for ending in ("csv", "parquet", "arrow")]
    words: list[object] = ["fit", "train.csv", "--from", "model.xrfm"]
    for path in outputs:
        path.write_bytes(b"old")
        words += ["+", "predict", "test.csv", "--output", path]
    xrfm_there(*words, folder=tmp_path)
    assert all(path.read_bytes() != b"old" for path in outputs)
    assert (tmp_path / "model.xrfm").read_bytes() != (place / "model.xrfm").read_bytes()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_copies_of_compressed_tables_are_deleted(place: Path, tmp_path: Path) -> None:
    table = pyarrow.csv.read_csv(place / "test.csv")
    with pa.ipc.new_file(tmp_path / "test.arrow", table.schema) as writer:
        writer.write_table(table)
    pq.write_table(table, tmp_path / "test.parquet")
    for path in list(tmp_path.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / "temporary").mkdir()
    paths = ("test.arrow", "test.arrow.gz", "test.parquet.gz")
    words = [word for path in paths for word in ("+", "predict", tmp_path / path, "--quiet")][1:]
    outcome = xrfm_there(*words, folder=place, TMPDIR=str(tmp_path / "temporary"))
    assert len(outcome.out.splitlines()) == 3 * 91
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.slow
def test_explanations_and_facts_are_told(place: Path) -> None:
    explain = ("explain", "test.csv", "--output", "attributions.csv", "--quiet")
    outcome = xrfm_there(
        *explain, "+", "evaluate", "test.csv", "--quiet", "+", "doctor", "--json", folder=place
    )
    assert "area" in (place / "attributions.csv").read_text(encoding="utf-8")
    memory = json.loads(outcome.out[outcome.out.index("{") :])["memory"]
    assert 0 < memory["available_bytes"] <= memory["total_bytes"]
    report = json.loads((place / "model.report.json").read_text(encoding="utf-8"))
    assert report["peak_memory_bytes"] > 0


@pytest.mark.slow
def test_a_killed_fit_goes_on(place: Path, tmp_path: Path) -> None:
    shutil.copy(place / "train.csv", tmp_path)
    words = [*FIT, "--trials", "8", "--resume"]
    with started([sys.executable, HERE, *words], folder=tmp_path) as process:
        until = time.monotonic() + 60
        while len(list((tmp_path / "model.run").glob("*.step"))) < 4:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.005)
        process.send_signal(KILLED)
        process.communicate(timeout=60)
    assert "resuming from model.run" in xrfm_there(*words, folder=tmp_path).err
    assert not (tmp_path / "model.run").exists()


@pytest.mark.parametrize("name", ["aux.csv", "NUL", "sub/Com1.log", "what?.log", "x.log:hidden", "x.log."])
def test_names_that_windows_does_not_give_are_refused_at_once(
    name: str, place: Path, xrfm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_names, "IS_WINDOWS", True)
    (place / "sub").mkdir(exist_ok=True)
    outcome = xrfm("predict", "test.csv", "--log-file", name, "--output", "out.csv", folder=place)
    assert outcome.status == 2
    assert outcome.error.startswith(f"error: --log-file {name}: ")
    assert outcome.error.endswith("; choose another name")
    assert not (place / "out.csv").exists()


def test_a_closed_pipe_of_windows_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def fileno(self) -> int:
            raise ValueError

        def write(self, data: str) -> int:
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(streams, "NO_READER", {22, 32})
    assert GuardedStream(Closed(), ignored=BrokenPipeError).write("seen enough") == 0
    with pytest.raises(BrokenPipeError):
        GuardedStream(Closed(), ignored=()).write("rows")
