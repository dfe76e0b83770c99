"""Outputs for programs lose no character, whatever the encoding of standard output is."""

from __future__ import annotations

import io
import json
import tomllib
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from xrfm_cli.main import run

Command = Callable[..., Any]
ENCODINGS = ("utf-8", "cp1252", "ascii", "cp437", "utf-8-sig")


def printed(encoding: str, folder: Path, *words: str) -> bytes:
    """The bytes of standard output, which is opened as the command opens it."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    with redirect_stdout(out), redirect_stderr(io.StringIO()) as said, chdir(folder):
        status = run(words)
    out.flush()
    assert status == 0, said.getvalue()
    return out.buffer.getvalue()


def measured_apart(text: str) -> Any:
    """A document without the planned memory, which starts from the size of this process when it is asked."""
    document = json.loads(text)
    if "plan" in document:
        assert document["plan"].pop("memory_bytes") > 0
    return document


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, xrfm: Command) -> Path:
    """A table and a model whose names, levels and classes are beyond Latin-1 and beyond two bytes."""
    place = tmp_path_factory.mktemp("größe")
    rows = [f"{k * 7 % 13}.5,{['東京', '大阪'][k % 2]},{['😀', 'no'][k % 3 == 0]}" for k in range(60)]
    (place / "東京.csv").write_text("\n".join(["größe,stadt,y", *rows]), encoding="utf-8")
    outcome = xrfm("fit", "東京.csv", "--target", "y", "--trials", "0", folder=place)
    assert outcome.status == 0, outcome.err
    return place


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "東京.csv", "--by", "stadt"),
        ("info",),
        ("explain", "--rows", "20"),
        ("fit", "東京.csv", "--target", "y", "--dry-run"),
    ],
)
def test_documents_are_equal_in_every_encoding(words: tuple[str, ...], place: Path) -> None:
    wanted = printed("utf-8", place, *words, "--json").decode()
    assert not wanted.isascii()  # where it can be read, it is written so
    for encoding in ENCODINGS:
        found = printed(encoding, place, *words, "--json").decode(encoding)
        assert measured_apart(found) == measured_apart(wanted), encoding


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_rows_and_options_are_utf8_in_every_encoding(encoding: str, place: Path) -> None:
    rows = printed(encoding, place, "predict", "東京.csv", "--id", "stadt", "--proba", "--quiet").decode()
    assert rows.startswith("stadt,prediction,probability_no,probability_😀\n東京,")
    page = printed(encoding, place, "fit", "東京.csv", "--target", "größe", "--drop", "東", "--print-config")
    options = tomllib.loads(page.decode())["fit"]
    assert (options["target"], options["drop"]) == ("größe", ["東"])


@pytest.mark.parametrize(("encoding", "is_shown"), [("utf-8", True), ("cp1252", False)])
def test_commands_to_paste_are_shown_only_as_they_are(encoding: str, is_shown: bool, place: Path) -> None:
    out = printed(encoding, place, "fit", "東京.csv", "--target", "größe", "--trials", "0", "--model", "東")
    text = out.decode(encoding)
    assert ("xrfm predict new.csv --model '東'" in text) == is_shown
    assert ("xrfm explain --model '東'" in text) == is_shown
    assert "--model '?" not in text


def test_names_that_are_no_text_are_no_fault(place: Path) -> None:
    """A name of a file may be any bytes, which Python holds as half characters."""
    table, schema = "\udcff.csv", "\udcff.toml"
    (place / table).write_bytes((place / "東京.csv").read_bytes())
    fit = ("fit", table, "--target", "y", "--trials", "0", "--schema", schema, "--model", "\udcff.xrfm")
    assert "\udcff" not in printed("utf-8", place, *fit, "--json").decode()
    assert "# The columns of \\udcff.csv" in (place / schema).read_text()
    assert printed("utf-8", place, *fit, "--print-config").startswith(
        b"# The options of: xrfm fit '\\udcff.csv'"
    )


def test_every_command_names_the_positive_class(place: Path, xrfm: Command) -> None:
    fit = ("fit", "東京.csv", "--target", "y", "--metric", "f1", "--trials", "0", "--model", "p")
    outcome = xrfm(*fit, folder=place)
    assert "positive: 😀 (--positive changes it)" in outcome.out
    assert "The positive class is 😀" in (place / "p.report.html").read_text(encoding="utf-8")
    assert json.loads((place / "p.report.json").read_text(encoding="utf-8"))["positive"] == "😀"
    assert "positive: no (" in xrfm(*fit, "--dry-run", "--positive", "no", folder=place).out
    assert xrfm(*fit, "--dry-run", "--positive", "no", "--json", folder=place).document["positive"] == "no"
    for words in (("evaluate", "東京.csv"), ("explain", "--rows", "20"), ("info",)):
        assert xrfm(*words, "--model", "p", "--json", folder=place).document["positive"] == "😀"
    assert "positive: 😀\n" in xrfm("evaluate", "東京.csv", "--model", "p", folder=place).out
    assert "positive class is 😀." in (place / "p.explain.html").read_text(encoding="utf-8")
    refit = xrfm("fit", "東京.csv", "--from", "p", "--model", "q", folder=place)
    assert "positive: 😀\n" in refit.out
    assert "--positive changes it" not in (place / "q.report.html").read_text(encoding="utf-8")


def test_a_regression_names_no_positive_class(regression: Path, folder: Path, xrfm: Command) -> None:
    arguments = ("evaluate", "test.csv", "--model", regression)
    assert xrfm(*arguments, "--json", folder=folder).document["positive"] is None
    assert "positive" not in xrfm(*arguments, folder=folder).out
