"""Bad input: one line that names the place, the fact and the way out, and status 2."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROWS = "\n".join(f"{number},{number % 3},{'ab'[number % 2]},{number * 2.5}" for number in range(40))
TABLE = "x,level,kind,y\n" + ROWS + "\n"


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (TABLE, "--target yy", "no column 'yy'. Did you mean 'y'?"),
        (TABLE, "--target y --drop knid", "Did you mean 'kind'?"),
        (TABLE, "--target y --weight kind", "kind"),
        (TABLE, "--target y --metric auc", "auc"),
        (TABLE, "--target y --metric rsme", "Did you mean 'rmse'?"),
        (TABLE, "--target y --set bandwith=3", "Did you mean 'bandwidth'?"),
        (TABLE, "--target y --set ridge=-1", "ridge"),
        (TABLE, "--target kind --task regression", "kind"),
        (TABLE, "--target kind --positive c", "c"),
        (TABLE, "--target y --valid nowhere.csv", "nowhere.csv"),
        (TABLE, "--target y --memory 1KB", "--memory"),
        ("", "--target y", "data.csv"),
        ("x,y\n", "--target y", "data.csv"),
        ("x,y\n1,2\n", "--target y", "data.csv"),
        ("x,y\n1,5\n2,5\n3,5\n4,5\n", "--target y", "'y'"),
        ("x,y\n1,a\n2,a\n3,a\n4,a\n", "--target y", "'y'"),
        ("x,y\n1,\n2,\n3,\n", "--target y", "missing in every row"),
        ("x,y\n1,2\n2,3,4\n3,4\n", "--target y", "row 2"),
        ("y\n1\n2\n3\n", "--target y", "data.csv"),
        ("x,x,y\n1,1,2\n2,2,3\n", "--target y", "'x'"),
    ],
)
def test_a_fit_that_cannot_be(
    content: str, arguments: str, message: str, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "data.csv").write_text(content)
    outcome = xrfm("fit", "data.csv", "--trials", "0", *arguments.split(), folder=tmp_path)
    assert outcome.status == 2, outcome.err
    assert message in outcome.error
    assert outcome.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere.csv", None, "nowhere.csv"),
        ("*.csv", None, "no file matches"),
        ("data.parquet", b"PAR1 and then nothing", "data.parquet"),
        ("data.csv.gz", b"\x1f\x8b\x08\x00 cut", "data.csv.gz"),
        ("data.arrow", b"ARROW1 cut", "data.arrow"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", "picture.csv"),
    ],
)
def test_a_file_that_is_no_table(
    name: str, content: bytes | None, message: str, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    outcome = xrfm("fit", name, "--target", "y", folder=tmp_path)
    assert outcome.status == 2, outcome.err
    assert message in outcome.error


def test_a_needed_column_that_is_missing(tmp_path: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    (tmp_path / "new.csv").write_text("area,romos,town\n50,2,Graz\n60,2,Linz\n")
    for command in ("predict", "explain"):
        outcome = xrfm(command, "new.csv", "--model", regression, folder=tmp_path)
        assert outcome.status == 2
        assert "'rooms'" in outcome.error
        assert "Did you mean 'romos'?" in outcome.error
        assert "new.csv" in outcome.error


@pytest.mark.parametrize(
    "command", ["predict new.csv", "explain", "evaluate new.csv", "info", "fit new.csv --from"]
)
@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "text"])
def test_a_damaged_model_file(
    command: str, damage: str, tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    whole = regression.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "cut": whole[:middle],
        "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "empty": b"",
        "text": b"area,rooms,town\n",
    }
    (tmp_path / "bad.xrfm").write_bytes(damaged[damage])
    (tmp_path / "new.csv").write_text("area,rooms,town,price\n50,2,Graz,1\n60,2,Linz,2\n")
    words = command.split()
    outcome = xrfm(
        *words, *(["bad.xrfm"] if words[-1] == "--from" else ["--model", "bad.xrfm"]), folder=tmp_path
    )
    assert outcome.status == 2
    assert "bad.xrfm" in outcome.error


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nowhere/model.xrfm", "no directory 'nowhere'"),
        ("data.csv/model.xrfm", "'data.csv' is not a directory"),
        (".", "is a directory"),
    ],
)
def test_a_model_that_cannot_be_written_is_refused_before_the_fit(
    model: str, message: str, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "data.csv").write_text(TABLE)
    outcome = xrfm("fit", "data.csv", "--target", "y", "--model", model, folder=tmp_path)
    assert outcome.status == 2
    assert message in outcome.error
    assert "reading" not in outcome.err


def test_a_folder_without_write_permission_is_refused_before_the_fit(
    tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "data.csv").write_text(TABLE)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.access(locked, os.W_OK):  # the superuser may write everywhere, but not create files in /proc
        locked = Path("/proc/self")
        if not locked.exists():
            pytest.skip("no folder that the superuser cannot write to")
    outcome = xrfm("fit", "data.csv", "--target", "y", "--model", locked / "model.xrfm", folder=tmp_path)
    assert outcome.status == 2
    assert "cannot write" in outcome.error
    assert "reading" not in outcome.err


@pytest.mark.parametrize(
    "words",
    [
        "fit link --target y",
        "fit link.parquet --target y",
        "fit data.csv --target y --valid link",
        "fit data.csv --from link",
        "fit data.csv --target y --config link",
        "predict link --model m",
        "predict data.csv --model link",
        "evaluate link --model m",
        "explain --model link",
        "info --model link",
    ],
)
@pytest.mark.posix("symbolic links")
def test_a_link_to_nowhere_is_said_to_be_one(
    words: str, regression: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "data.csv").write_text(TABLE)
    (tmp_path / "m").write_bytes(regression.read_bytes())
    name = next(word for word in words.split() if word.startswith("link"))
    (tmp_path / name).symlink_to("nowhere")
    outcome = xrfm(*words.split(), folder=tmp_path)
    assert outcome.status == 2
    assert f"{name}: " in outcome.error
    assert "is a link to nowhere, which does not exist." in outcome.error
    assert "Did you mean" not in outcome.error
