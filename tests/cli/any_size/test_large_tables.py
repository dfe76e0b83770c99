"""Tables that do not fit into the memory of a fit, and what goes wrong with them: one line, status 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tests.processes import run_python
from xrfm_cli.datasets import read_chunks
from xrfm_cli.datasets.scratch import Scratch
from xrfm_cli.errors import FileReadError, OptionError

# Fits a small table to load what a fit needs, then a large one; prints by how much the peak has grown.
GROWTH = """
import resource, sys
from xrfm_cli.main import run

def fit(table, *words):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = ["--target", "y", "--trials", "0", "--folds", "2", "--set", "kernel=linear", "--format", "json"]
    with open("out.json", "w") as sys.stdout:
        machine = ["--quiet", "--json", "--threads", "1", "--model", "m.xrfm"]
        assert run(["fit", table, *told, *machine, *words]) == 0
    sys.stdout = sys.__stdout__
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

fit("small.arrow")
print(fit("large.arrow", "--memory", "16MiB", "--search-rows", "400", "--set", "leaf_size=5000"))
"""


def numbers(n: int, d: int) -> pa.Table:
    x = np.random.default_rng(0).normal(size=(n, d))
    return pa.table({f"x{k}": x[:, k] for k in range(d)} | {"y": np.sin(x[:, 0]) + x[:, 1]})


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the unit of the peak is that of Linux")
def test_fifty_thousand_rows_do_not_fit_and_are_fitted(tmp_path: Path) -> None:
    table = numbers(50_000, 70)
    for name, part in (("small", table.slice(0, 200)), ("large", table)):
        feather.write_feather(part, tmp_path / f"{name}.arrow", compression="uncompressed", chunksize=10_000)
    grown_kib = int(run_python(GROWTH, folder=tmp_path).strip())
    assert 1024 * grown_kib < table.nbytes  # encoded rows, folds and the model would come on top of it
    assert '"rows": 50000' in (tmp_path / "m.report.json").read_text()
    assert {file.suffix for file in tmp_path.iterdir()} == {".arrow", ".json", ".xrfm"}


@pytest.mark.slow
def test_rows_left_out_are_the_first_line_of_the_summary(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    pq.write_table(numbers(60, 2), tmp_path / "t.parquet")
    words = ("--trials", "0", "--fit-rows", "40", "--format", "json")
    done = xrfm("fit", "t.parquet", "--target", "y", *words, folder=tmp_path)
    assert done.status == 0
    said = "fitted on 40 of 60 rows (--fit-rows all uses all of them)\n"
    assert said in done.out + done.err
    assert (done.out + done.err).index(said) < (done.out + done.err).index("target 'y'")


def test_a_scratch_folder_that_is_none_is_refused(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    pq.write_table(numbers(60, 2), tmp_path / "t.parquet")
    done = xrfm("fit", "t.parquet", "--target", "y", "--scratch", "nowhere", folder=tmp_path)
    assert done.status == 2
    assert "--scratch nowhere: is not a folder" in done.error


def test_a_scratch_folder_without_room_is_refused(
    tmp_path: Path, xrfm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    feather.write_feather(numbers(30_000, 10), tmp_path / "t.arrow", compression="uncompressed")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1 << 20}))
    words = ("--target", "y", "--memory", "16MiB", "--trials", "0")
    done = xrfm("fit", "t.arrow", *words, folder=tmp_path)
    assert done.status == 2
    assert "has 1 MiB left, but" in done.error
    assert "--scratch" in done.error
    assert not (tmp_path / "model.xrfm").exists()


def test_a_scratch_folder_that_vanishes_is_said_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    scratch = Scratch(folder=folder, memory_bytes=1 << 20)
    kept = scratch.matrix(100, 3)
    folder.rmdir()  # the files have no names, so that it is empty
    kept[:] = 2.0
    assert kept.sum() == 600
    with pytest.raises(OptionError, match="cannot hold files") as fault:
        scratch.matrix(100, 3)
    assert "\n" not in str(fault.value)


def test_more_text_than_a_column_may_hold_is_refused_unless_it_is_dropped(
    tmp_path: Path, xrfm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    prose = pa.array([f"a long story of the row {k}" for k in range(60)])
    pq.write_table(numbers(60, 2).append_column("story", prose), tmp_path / "t.parquet")
    monkeypatch.setattr("xrfm_cli.datasets.table.MOST_TEXT_BYTES", 1_000)
    words = ("fit", "t.parquet", "--target", "y", "--trials", "0", "--format", "json")
    done = xrfm(*words, folder=tmp_path)
    assert done.status == 2
    assert "t.parquet: column 'story' holds" in done.error
    assert "leave it out with --drop" in done.error
    assert xrfm(*words, "--drop", "story", "--resume", folder=tmp_path).status == 0


def test_a_damaged_row_group_is_said_and_nothing_is_written(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(numbers(40_000, 10), path, row_group_size=5_000, compression="zstd")
    places = pq.read_metadata(path).row_group(5).column(3)
    content = bytearray(path.read_bytes())
    begin = places.data_page_offset
    content[begin : begin + 400] = bytes(400)
    path.write_bytes(content)
    done = xrfm("fit", "t.parquet", "--target", "y", "--memory", "16MiB", "--trials", "0", folder=tmp_path)
    assert done.status == 2
    assert "t.parquet: is not a complete Parquet file" in done.error
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"{k},{k % 7}\n" for k in range(200_000)))
    chunks = read_chunks(path, chunk_rows=1_000)
    next(chunks)
    with path.open("a") as file:
        file.write("1,2\n")
    with pytest.raises(FileReadError, match="has changed while it was read"):
        list(chunks)


@pytest.mark.posix("a file that is mapped by one process can be shortened by another one")
@pytest.mark.parametrize("size", [0, 1 << 16])
def test_an_arrow_file_that_becomes_shorter_while_it_is_read_is_refused(size: int, tmp_path: Path) -> None:
    """Its pages are mapped: reading one that is gone would end the process."""
    path = tmp_path / "t.arrow"
    feather.write_feather(numbers(60_000, 10), path, compression="uncompressed", chunksize=20_000)
    chunks = read_chunks(path, chunk_rows=1_000)
    first = next(chunks)
    with path.open("r+b") as file:
        file.truncate(size)
    with pytest.raises(FileReadError, match="has changed while it was read"):
        list(chunks)
    assert np.isfinite(first.column("x3").to_numpy()).all()  # what was read is still there
