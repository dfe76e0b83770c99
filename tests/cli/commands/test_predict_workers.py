"""Worker processes that predict blocks of a table change how soon the output is there, not its bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Command, houses
from xrfm_cli.commands.blocks import block_workers
from xrfm_cli.tuning.search.pools import forks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has worker processes")
ROWS = 5_000  # of new.csv, in ten blocks


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_workers, "LEAST_BYTES", 1)
    monkeypatch.setattr("xrfm_cli.tuning.model.fitted_model.FittedModel.block_rows", 512)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many workers were started."""
    counts, start = list[int](), forks.Forks.start

    def counted(some: forks.Forks, count: int, answer: forks.Answer) -> None:
        counts.append(count)
        start(some, count, answer)

    monkeypatch.setattr(forks.Forks, "start", counted)
    return counts


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("new.csv", ("--interval", "0.9", "--id", "house", "--check-drift", "9")),
        ("new.parquet", ("--keep-columns",)),
    ],
)
def test_any_number_of_workers_gives_the_same_bytes(
    data: str, words: tuple[str, ...], folder: Path, regression: Path, xrfm: Command, started: list[int]
) -> None:
    found = []
    for count in (1, 3):
        told = ("--model", regression, "--workers", count, "--output", f"{count}.csv", "--json")
        done = xrfm("predict", data, *told, *words, folder=folder)
        assert done.status == 0, done.err
        document = done.document
        document.pop("seconds")
        found.append(((folder / f"{count}.csv").read_bytes(), document))
        (folder / f"{count}.csv").unlink()
    assert found[0] == found[1]
    assert found[0][1]["repairs"]  # of cells that are missing
    assert started == [3]
    assert not psutil.Process().children()


def test_small_tables_and_streams_have_no_workers(
    folder: Path, regression: Path, xrfm: Command, started: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_workers, "LEAST_BYTES", 1 << 30)
    told = ("--model", regression, "--workers", "2", "--output", "out.csv")
    assert xrfm("predict", "new.csv", *told, folder=folder).status == 0
    monkeypatch.setattr(block_workers, "LEAST_BYTES", 1)
    monkeypatch.setattr(block_workers, "WORKER_BYTES", 1 << 30)
    assert xrfm("predict", "new.csv", *told, "--memory", "1GiB", folder=folder).status == 0
    assert not started
    done = xrfm("predict", "-", *told[:-2], "--each-line", folder=folder)
    assert done.status == 2
    assert "--each-line: --workers is for whole tables" in done.error


def test_workers_that_are_killed_are_told_of_and_all_rows_are_written(
    folder: Path, regression: Path, xrfm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ("predict", "new.csv", "--model", regression, "--output", "out.csv", "--workers")
    assert xrfm(*told, "1", folder=folder).status == 0
    alone = (folder / "out.csv").read_bytes()
    give = forks.Forks.give

    def give_and_kill(some: forks.Forks, key: object, request: bytes) -> None:
        give(some, key, request)
        if key == 5 * 512:
            for child in psutil.Process().children():
                child.kill()

    monkeypatch.setattr(forks.Forks, "give", give_and_kill)
    done = xrfm(*told, "2", folder=folder)
    assert done.status == 0, done.err
    assert done.err.count(forks.LOST) == 2
    assert (folder / "out.csv").read_bytes() == alone


def test_a_wrong_row_is_named_as_without_workers(folder: Path, xrfm: Command, tmp_path: Path) -> None:
    table = houses(2_000)
    table = table.append_column("years", pa.array([1.0] * 2_000)).select(["area", "years", "price"])
    pq.write_table(table.slice(0, 100), tmp_path / "train.parquet")
    words = ("--target", "price", "--offset", "years", "--trials", "0", "--set", "kernel=linear")
    assert xrfm("fit", "train.parquet", *words, "--format", "json", folder=tmp_path).status == 0
    years = pa.array([1.0] * 1_500 + [-1.0] + [1.0] * 499)
    pq.write_table(table.set_column(1, "years", years), tmp_path / "bad.parquet")
    errors = []
    for count in ("1", "2"):
        done = xrfm("predict", "bad.parquet", "--workers", count, "--output", "out.csv", folder=tmp_path)
        assert done.status == 2
        errors.append(done.error)
        assert not (tmp_path / "out.csv").exists()
    assert errors[0] == errors[1]
    assert "row 1501" in errors[0]
