"""Conventions of command-line tools: colours, wrapped messages, hints in any case, no silent overwriting."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from tests.cli.conftest import TINY
from xrfm_cli.commands.common.digits import rounded
from xrfm_cli.terminal.rendering import Renderer, print_error
from xrfm_cli.terminal.tables import linked


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def as_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard error a colour terminal of 60 columns."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    for name, value in (("TERM", "xterm-256color"), ("COLUMNS", "60")):
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return stream


def test_errors_are_red_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, xrfm: Callable[..., Any]) -> None:
    terminal = as_terminal(monkeypatch)
    print_error("no such file")
    assert terminal.getvalue() == "\x1b[1;31merror:\x1b[0m no such file\n"
    monkeypatch.setenv("NO_COLOR", "1")
    print_error("no such file")
    assert "31m" not in terminal.getvalue().splitlines()[1]
    assert xrfm("fit", "d.csv", "--trials", "x").err.startswith("error: --trials")


def test_a_terminal_wraps_messages_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = as_terminal(monkeypatch)
    path = "/data/" + "long-name-" * 8 + "of-a-file.csv"
    Renderer().note(f"{path}: {'several words ' * 9}", kind="warning")
    lines = terminal.getvalue().replace("\x1b[33m", "").replace("\x1b[0m", "").splitlines()
    assert any(path in line for line in lines)
    assert all(len(line) <= 60 for line in lines if path not in line)
    assert " ".join(" ".join(lines).split()) == f"warning: {path}: {'several words ' * 9}".strip()


def test_a_path_can_be_clicked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    Console(file=stream, force_terminal=True, width=200).print(linked(tmp_path / "a b.html"))
    assert f"{(tmp_path / 'a b.html').as_uri()}\x1b\\" in stream.getvalue()
    terminal = as_terminal(monkeypatch)
    Renderer().note("full report: [1].html", files=[Path("[1].html")])
    assert terminal.getvalue().count(Path("[1].html").absolute().as_uri()) == 1
    assert "full report: " in terminal.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        "fit train.csv --target PRICE",
        "fit train.csv --target price --drop Town",
        "fit train.csv --target price --id Town",
        "fit train.csv --target price --weight Rooms",
        "fit train.csv --target price --group TOWN",
        "fit train.csv --target price --time TOWN",
        "fit train.csv --target price --categorical TOWN",
        "fit train.csv --target price --metric RMSE",
        "fit train.csv --target sold --positive YES",
        "predict new.csv --model price.xrfm --id TOWN",
        "explain new.csv --model price.xrfm --id TOWN --output out.csv",
        "evaluate test.csv --model price.xrfm --by TOWN",
        "evaluate test.csv --model price.xrfm --fail-over RMSE=3",
    ],
)
def test_hints_ignore_case(arguments: str, folder: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm(*arguments.split(), folder=folder)
    assert outcome.status == 2
    wrong = next(word for word in arguments.split() if word != word.lower()).partition("=")[0]
    assert f"Did you mean '{wrong.lower()}'?" in outcome.error


def test_a_fit_says_what_it_replaces_and_how_it_went(
    folder: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    fit = ("fit", folder / "train.csv", "--target", "price", "--drop", "sold", *TINY)
    first = xrfm(*fit, folder=tmp_path)
    assert "replace" not in first.out + first.err
    assert "6 columns: 2 dropped, 2 numeric, 1 categorical, 1 target (--verbose lists them)" in first.out
    assert "whole numbers" not in first.out
    ending = first.out.rstrip().splitlines()[-6:]
    assert ending[0].strip() == "Result"
    score = ending[1].strip().split()[1]
    assert ending[1].startswith(f"  rmse {score} on held-out rows, R2 0.9")
    assert ending[-2:] == ["  xrfm explain", "  xrfm predict new.csv --output predictions.csv"]
    kept = (tmp_path / "model.xrfm").read_bytes()
    refused = xrfm(*fit, "--no-clobber", folder=tmp_path)
    assert refused.status == 2
    assert "--model model.xrfm: exists already, and --no-clobber keeps it" in refused.error
    assert "reading" not in refused.err
    assert (tmp_path / "model.xrfm").read_bytes() == kept
    again = xrfm(*fit, "--verbose", folder=tmp_path)
    assert f"model.xrfm (rmse {score}) will be replaced; --no-clobber keeps it" in again.err
    assert f"  model.xrfm, replaces rmse {score}" in again.out
    assert "whole numbers" in again.out
    (tmp_path / "model.xrfm").write_text("something else")
    assert "replaces a file that is no model" in xrfm(*fit, folder=tmp_path).out


def test_all_columns_can_be_kept(folder: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    plain = xrfm("predict", "test.csv", "--model", regression, folder=folder).out.split()
    kept = xrfm("predict", "test.csv", "--model", regression, "--keep-columns", folder=folder)
    rows = list(csv.reader(io.StringIO(kept.out)))
    given = list(csv.reader((folder / "test.csv").read_text().splitlines()))
    assert rows == [[*row, prediction] for row, prediction in zip(given, plain, strict=True)]
    both = ("--keep-columns", "--id", "house")
    assert (
        "leave out one of them"
        in xrfm("predict", "test.csv", "--model", regression, *both, folder=folder).error
    )


def test_a_kept_column_cannot_hide_a_prediction(
    folder: Path, tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    table = pq.read_table(folder / "test.parquet").rename_columns({"house": "prediction"})
    pq.write_table(table, tmp_path / "t.parquet")
    outcome = xrfm("predict", "t.parquet", "--model", regression, "--keep-columns", folder=tmp_path)
    assert outcome.status == 2
    assert "--keep-columns prediction: the output already has a column 'prediction'" in outcome.error


def test_predictions_have_the_digits_that_mean_something(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    found = xrfm("predict", "test.csv", "--model", regression, "--interval", "0.9", folder=folder).out
    cells = [cell for line in found.splitlines()[1:] for cell in line.split(",")]
    assert max(len(cell.replace(".", "").replace("-", "")) for cell in cells) <= 10
    values = np.array([float(cell) for cell in cells])
    np.testing.assert_array_equal(values, rounded(values, 1e4))


@pytest.mark.parametrize("deviation", [0.0, 1.0, 1e-300, 1e300, float("nan"), float("inf")])
def test_rounding_keeps_nine_digits(deviation: float) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=5000) * 10.0 ** generator.integers(-290, 290, 5000)
    np.testing.assert_allclose(rounded(values, deviation), values, rtol=5.1e-9)
    odd = np.array([np.inf, -np.inf, np.nan, 0.0, 5e-324, 1.7e308])
    np.testing.assert_array_equal(rounded(odd, deviation)[:4], odd[:4])


def test_whole_numbers_with_gaps_have_no_exponent(
    tmp_path: Path, regression: Path, folder: Path, xrfm: Callable[..., Any]
) -> None:
    table = pq.read_table(folder / "test.parquet").slice(0, 3)
    table = table.append_column("key", pa.array([12345678901.0, None, 5e20]))
    pq.write_table(table, tmp_path / "t.parquet")
    lines = xrfm("predict", "t.parquet", "--model", regression, "--id", "key", folder=tmp_path).out.split()
    assert [line.split(",")[0] for line in lines[1:]] == ["12345678901", "", "5e+20"]
