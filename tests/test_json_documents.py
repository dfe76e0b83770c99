"""``docs/json.md`` against what the commands really print."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from xrfm_cli.datasets import sample_path
from xrfm_cli.main import run

PAGE = (Path(__file__).parents[1] / "docs" / "json.md").read_text(encoding="utf-8")
COMMANDS = {
    "fit": ("--target", "price", "--trials", "0"),
    "explain": (),
    "evaluate": ("--fail-under", "r2=0.1"),
    "predict": ("--output", "predictions.csv"),
    "info": (),
    "doctor": (),
    "sample": ("wine",),
    "demo": ("--output", "demo"),
}
WITH_DATA = {"fit", "evaluate", "predict"}


def documented() -> dict[str, dict[str, set[str]]]:
    """By command the names in its table, with the names that their meaning mentions."""
    found: dict[str, dict[str, set[str]]] = {}
    for section in PAGE.split("\n## ")[1:]:
        rows = re.findall(r"^\| (`.*?) \| (.*) \|$", section.split("\n### ")[0], flags=re.MULTILINE)
        names = {name: set(words(meaning)) for cell, meaning in rows for name in words(cell)}
        found[section.split("\n")[0]] = names
    return found


def words(text: str) -> list[str]:
    return re.findall(r"`([a-z_]+)`", text)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every command's document, from one model of a sample table."""
    documents = {}
    with contextlib.chdir(tmp_path_factory.mktemp("documents")), pytest.MonkeyPatch.context() as patch:
        patch.setattr("xrfm_cli.commands.demo.TRIALS", 0)
        for command, options in COMMANDS.items():
            data = [str(sample_path("autos.csv"))] if command in WITH_DATA else []
            out = io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                assert run([command, *data, *options, "--json"]) == 0
            documents[command] = json.loads(out.getvalue())
        for command, name in (("fit", "report"), ("explain", "explain")):
            written = json.loads(Path(f"model.{name}.json").read_text(encoding="utf-8"))
            assert written == documents[command]
    return documents


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_documented_is_printed(command: str, printed: dict[str, Any]) -> None:
    document = printed[command]
    assert {"schema_version", "command", "xrfm_version"} <= set(document)
    assert document["command"] == command
    names = documented()[command]
    assert names
    assert set(names) - set(document) == set()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("fit", "columns"),
        ("fit", "baselines"),
        ("fit", "trials"),
        ("fit", "ensemble"),
        ("fit", "leaves"),
        ("fit", "repairs"),
        ("explain", "importances"),
        ("explain", "directions"),
        ("predict", "repairs"),
        ("evaluate", "thresholds"),
    ],
)
def test_items_of_a_list_have_the_documented_names(command: str, name: str, printed: dict[str, Any]) -> None:
    expected = documented()[command][name] - set(COMMANDS)
    assert printed[command][name]
    for item in printed[command][name]:
        assert expected - set(item) == set()


def test_shares_add_to_one_and_are_in_order(printed: dict[str, Any]) -> None:
    for command in ("fit", "explain"):
        shares = [item["share"] for item in printed[command]["importances"]]
        assert sum(shares) == pytest.approx(1.0)
        assert shares == sorted(shares, reverse=True)
        assert all(item["low"] <= item["high"] for item in printed[command]["importances"])
