"""``xrfm sample`` and ``xrfm demo``: a first model without a clone and without a table."""

from __future__ import annotations

import json
import re
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xrfm_cli.commands.demo import can_open_browser
from xrfm_cli.datasets import SchemaOverrides, infer_schema, infer_target, read_table, sample_path
from xrfm_cli.datasets.sample_tables import SAMPLES, SAMPLES_FOLDER, Sample, sample_names

DISPLAY = {"DISPLAY": ":0"}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_samples_are_as_they_are_described(sample: Sample) -> None:
    table = read_table(sample_path(sample.file))
    schema = infer_schema(table, SchemaOverrides(target=sample.target))
    assert (table.n_rows, len(table.column_names)) == (sample.rows, sample.columns)
    assert infer_target(table, sample.target, task="auto").task == sample.task
    assert schema.with_role("target")[0].name == sample.target
    page = (SAMPLES_FOLDER / "README.md").read_text(encoding="utf-8")
    row = rf"^\| `{re.escape(sample.file)}` \| {sample.rows:,} \| {sample.columns} \| `{sample.target}` "
    assert re.search(row, page, flags=re.MULTILINE)


def test_every_sample_is_listed(xrfm: Callable[..., Any]) -> None:
    assert tuple(sample.file for sample in SAMPLES) == sample_names()
    shown = xrfm("sample")
    assert shown.status == 0
    assert all(f"  {sample.name} " in shown.out for sample in SAMPLES)
    assert all(sample.name in xrfm("sample", "--help").out for sample in SAMPLES)


def test_a_sample_is_written_once(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("sample", "autos", folder=tmp_path)
    assert outcome.status == 0
    assert "xrfm fit autos.csv --target price" in outcome.out
    assert (tmp_path / "autos.csv").read_bytes() == sample_path("autos.csv").read_bytes()
    (tmp_path / "autos.csv").write_text("mine")
    again = xrfm("sample", "autos", folder=tmp_path)
    assert again.status == 2
    assert again.error == "error: autos.csv: exists already; choose another name with --output"
    assert (tmp_path / "autos.csv").read_text() == "mine"
    other = xrfm("sample", "bikes.parquet", "--output", "rentals.parquet", "--json", folder=tmp_path)
    assert other.document["written"] == "rentals.parquet"
    assert (tmp_path / "rentals.parquet").read_bytes() == sample_path("bikes.parquet").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["auto"], "Did you mean 'autos'?"),
        (["autos", "--output", "cars.txt"], "is a .csv file"),
        (["autos", "--output", "nowhere/cars.csv"], "create it first"),
        (["--output", "cars.csv"], "name the sample"),
    ],
)
def test_what_cannot_be_written_is_refused(
    arguments: list[str], words: str, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    outcome = xrfm("sample", *arguments, folder=tmp_path)
    assert outcome.status == 2
    assert words in outcome.error
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_demo_fits_a_model_and_says_where_its_report_is(
    tmp_path: Path, xrfm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_browser(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", open_browser)
    monkeypatch.setattr("xrfm_cli.commands.demo.TRIALS", 1)
    outcome = xrfm("demo", "--output", "new/demo", folder=tmp_path)
    assert outcome.status == 0, outcome.err
    folder = tmp_path / "new" / "demo"
    names = {"autos.csv", "demo.xrfm", "demo.report.html", "demo.report.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert opened == []  # no terminal
    assert str(folder / "demo.report.html") in outcome.out
    monkeypatch.setattr("xrfm_cli.commands.demo.can_open_browser", lambda *_: True)
    # Only what is opened differs from here on.
    document = json.loads((folder / "demo.report.json").read_text())
    monkeypatch.setattr("xrfm_cli.commands.demo.fit_table", lambda *_: (0, document))
    again = xrfm("demo", "--output", "new/demo", folder=tmp_path)
    assert again.status == 0, again.err
    assert opened == [(folder / "demo.report.html").as_uri()]
    for option in ("--no-open", "--json"):
        assert xrfm("demo", "--output", "new/demo", option, folder=tmp_path).status == 0
    assert len(opened) == 1


def test_the_demo_replaces_no_table(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    (tmp_path / "autos.csv").write_text("price\n1\n")
    outcome = xrfm("demo", folder=tmp_path)
    assert outcome.status == 2
    assert outcome.error.startswith("error: autos.csv: exists and is not the sample table")
    outcome = xrfm("demo", "--output", "autos.csv", folder=tmp_path)
    assert outcome.error == "error: --output autos.csv: is a file or inside one; give a folder"
    assert [path.name for path in tmp_path.iterdir()] == ["autos.csv"]


@pytest.mark.parametrize(
    ("environment", "platform", "is_terminal", "expected"),
    [
        (DISPLAY, "linux", True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True, True),
        ({}, "linux", True, False),
        ({}, "darwin", True, True),
        ({}, "win32", True, True),
        ({"SSH_CONNECTION": "a b"}, "darwin", True, False),
        (DISPLAY | {"CI": "true"}, "linux", True, False),
        (DISPLAY, "linux", False, False),
    ],
)
def test_a_browser_opens_only_before_somebody(
    environment: dict[str, str],
    platform: str,
    is_terminal: bool,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: is_terminal, raising=False)
    assert can_open_browser(environment, platform) is expected
