"""``xrfm explain``: global explanation, and attributions of rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from xrfm_cli.commands import explain_row


@pytest.mark.slow
def test_the_document_and_its_files(folder: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("explain", "--model", "price.xrfm", "--json", folder=folder)
    assert outcome.status == 0, outcome.err
    document = outcome.document
    assert {"importances", "directions", "pairs", "leaves"} <= set(document)
    shares = [item["share"] for item in document["importances"]]
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)
    assert {item["column"] for item in document["importances"]} >= {"area", "rooms", "town"}
    written = json.loads((folder / "price.explain.json").read_text())
    assert written["command"] == "explain"
    assert "<html" in (folder / "price.explain.html").read_text()


def test_what_the_terminal_shows(folder: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    before = (folder / "price.report.json").read_bytes()
    outcome = xrfm("explain", "--model", "price.xrfm", folder=folder)
    assert outcome.status == 0
    assert "area" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "price.explain.html" in outcome.err
    assert (folder / "price.report.json").read_bytes() == before


@pytest.mark.slow
def test_attributions_go_to_standard_output_or_to_a_file(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    options = ("--model", "price.xrfm", "--id", "house")
    outcome = xrfm("explain", "test.csv", *options, folder=folder)
    assert outcome.status == 0, outcome.err
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert len(rows) == 90
    assert rows[0]["house"] == "h00000"
    to_file = xrfm("explain", "test.csv", *options, "--output", "a.parquet", "--json", folder=folder)
    assert to_file.status == 0
    assert to_file.document["importances"]
    assert pq.read_table(folder / "a.parquet").column_names == list(rows[0])


@pytest.mark.slow
def test_nothing_is_said_under_quiet_where_no_folder_is_the_users(
    regression: Path, tmp_path: Path, xrfm_process: Callable[..., Any]
) -> None:
    """Containers often have no HOME. Matplotlib would warn about that."""
    (tmp_path / "m.xrfm").write_bytes(regression.read_bytes())
    words = ("explain", "--model", "m.xrfm", "--rows", "20", "--quiet")
    nowhere = {"HOME": "/proc", "MPLCONFIGDIR": "", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}
    outcome = xrfm_process(*words, folder=tmp_path, **nowhere)
    assert (outcome.status, outcome.err) == (0, "")


def test_data_gives_the_rows_and_effects_are_those_asked_for(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    options = ("--model", "price.xrfm", "--output", "a.csv", "--json", "--effects", "town", "--curves")
    document = xrfm("explain", "test.csv", *options, folder=folder).document
    assert document["rows_from"] == "data"
    assert document["sampled_rows"] <= document["rows"] == 90
    assert {effect["column"] for effect in document["effects"]} == {"town"}
    assert document["quality"]["is_better"]
    assert {item["column"] for item in document["permutation"]} == {
        item["column"] for item in document["importances"]
    }
    outcome = xrfm("explain", "--model", "price.xrfm", "--effects", "twon", folder=folder)
    assert outcome.status == 2
    assert "town" in outcome.err


def test_one_row_is_shown_in_the_terminal(folder: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    options = ("--model", "price.xrfm", "--top", "2")
    outcome = xrfm("explain", "test.csv", "--row", "3", *options, folder=folder)
    assert outcome.status == 0, outcome.err
    assert max(map(len, outcome.out.splitlines())) <= 80
    for part in (
        "Row 3: price is predicted as",
        "90% interval",
        "area",
        "Training rows that contribute most",
    ):
        assert part in outcome.out
    assert "show them only to those who may see" in " ".join(outcome.out.split())
    by_name = xrfm("explain", "test.csv", "--where", "house=h00002", *options, "--json", folder=folder)
    by_number = xrfm("explain", "test.csv", "--row", "3", *options, "--json", folder=folder)
    assert by_name.document == by_number.document
    document = by_number.document
    added = sum(item["contribution"] for item in document["contributions"])
    added += document["others"]["contribution"] + document["baseline"]
    assert added == pytest.approx(document["prediction"], rel=1e-6)
    assert [len(document["contributions"]), document["row"]] == [2, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--row", "3"), "--row needs DATA"),
        (("--baseline", "test.csv"), "--baseline needs DATA"),
        (("test.csv", "--row", "91"), "--row 91: test.csv has 90 rows"),
        (("test.csv", "--where", "house=h1"), "--where house=h1: no row of test.csv has 'h1'"),
        (("test.csv", "--where", "hous=h1"), "has no column 'hous'. Did you mean 'house'"),
        (("test.csv", "--where", "house"), "--where house: write COLUMN=VALUE"),
        (("test.csv", "--where", "house=h1", "--row", "1"), "--row and --where name one row each"),
        (("test.csv", "--top", "3"), "--top is for --row and --where"),
        (("test.csv", "--row", "1", "--open"), "--open: --row and --where write no page"),
        (("test.csv", "--row", "1", "--output", "a.csv"), "leave out --row and --where"),
        (("test.csv", "--row", "1", "--class", "a"), "--class: is for classes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_contradictions_are_refused(
    words: tuple[str, ...], message: str, folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    outcome = xrfm("explain", *words, "--model", "price.xrfm", folder=folder)
    assert outcome.status == 2
    assert message in " ".join(outcome.err.split())


@pytest.mark.slow
def test_the_baseline_may_be_the_rows_of_a_file(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    options = ("--model", "price.xrfm", "--output", "b.parquet", "--baseline", "test.csv")
    assert xrfm("explain", "test.csv", *options, folder=folder).status == 0
    found = pq.read_table(folder / "b.parquet")
    predicted = found.column("prediction").to_numpy()
    assert found.column("baseline").to_numpy() == pytest.approx(predicted.mean())


def test_the_chart_of_a_row_fits_into_80_columns() -> None:
    """Cells of any length are shortened, so that no bar goes on in the next line."""
    long = "a long name or value " * 3
    items = [
        {"column": long, "value": long, "typical": long, "contribution": added} for added in (0.061881, -0.05)
    ]
    document = {"contributions": items, "others": {"columns": 0, "contribution": 0.0}}
    console = Console(width=80)
    with console.capture() as shown:
        console.print(explain_row._chart(document))
    assert len(shown.get().splitlines()) == 2 + len(items)
