"""``xrfm fit --transfer-from``: what is said before, during and after, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.csv
import pytest

from tests.cli.conftest import TINY, houses
from xrfm_cli.tuning import load_model, save_model


@pytest.fixture(scope="module")
def few(folder: Path) -> Path:
    """A table of few houses, at other prices and with one more column."""
    table = houses(30, seed=5)
    price = [2 * value for value in table.column("price").to_pylist()]
    table = table.set_column(table.column_names.index("price"), "price", [price])
    pyarrow.csv.write_csv(table.append_column("garden", [list(range(30))]), folder / "few.csv")
    return folder / "few.csv"


@pytest.fixture(scope="module")
def helped(folder: Path, few: Path, regression: Path, xrfm: Callable[..., Any]) -> Path:
    """A model of these houses with the base inside."""
    outcome = xrfm(
        *("fit", few, "--target", "price", "--drop", "sold", "--model", "helped.xrfm"),
        *("--transfer-from", regression, "--set", "transfer=both", *TINY),
        folder=folder,
    )
    assert outcome.status == 0, outcome.err
    assert "price.xrfm shares 3 columns ('area', 'rooms', 'town')" in outcome.err
    assert "only the table has 1 column ('garden')" in outcome.err
    return folder / "helped.xrfm"


def test_the_plan_names_what_is_shared(
    folder: Path, few: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    arguments = ("fit", few, "--target", "price", "--drop", "sold", "--transfer-from", regression)
    plan = xrfm(*arguments, "--dry-run", "--json", folder=folder).document["plan"]
    assert plan["transfer"].startswith("price.xrfm shares 3 columns")
    assert f'transfer_from = "{regression}"' in xrfm(*arguments, "--print-config", folder=folder).out


def test_info_names_the_base(helped: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    base = xrfm("info", "--model", helped, "--json").document["base"]
    assert base == {
        "name": "price.xrfm",
        "target": "price",
        "rows": 120,
        "shared": ["area", "rooms", "town"],
        "absent": [],
    }
    assert "price.xrfm: price of 120 rows, 3 shared columns" in " ".join(
        xrfm("info", "--model", helped).out.split()
    )
    assert xrfm("info", "--model", regression, "--json").document["base"] is None


def test_the_model_works_without_the_file_of_its_base(
    helped: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    alone = tmp_path / "model.xrfm"
    alone.write_bytes(helped.read_bytes())
    table = houses(40, seed=9).append_column("garden", [list(range(40))])
    pyarrow.csv.write_csv(table, tmp_path / "new.csv")
    for command in (
        ("predict", "new.csv", "--output", "out.csv", "--interval", "0.9"),
        ("evaluate", "new.csv"),
        ("explain", "new.csv", "--output", "why.csv"),
        ("explain", "new.csv", "--row", "3"),
        ("fit", "new.csv", "--from", "model.xrfm", "--model", "again.xrfm"),
    ):
        outcome = xrfm(*command, folder=tmp_path)
        assert outcome.status == 0, (command, outcome.err)
    report = json.loads((helped.parent / "helped.report.json").read_text())
    assert "base model" in [item["name"] for item in report["baselines"]]


def test_a_column_that_a_table_lacks_may_be_missing_if_allowed(
    helped: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    pyarrow.csv.write_csv(houses(5, seed=9), tmp_path / "new.csv")
    refused = xrfm("predict", "new.csv", "--model", helped, folder=tmp_path)
    assert refused.status == 2
    assert "--allow-missing-columns" in refused.err
    allowed = xrfm("predict", "new.csv", "--model", helped, "--allow-missing-columns", folder=tmp_path)
    assert allowed.status == 0, allowed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "rooms", "--drop", "sold"), "it reads 'rooms', the target of"),
        (
            ("--target", "sold", "--drop", "area", "--drop", "rooms", "--drop", "town"),
            "shares no column with",
        ),
        (("--target", "price", "--set", "transfer=all"), "transfer='all'"),
    ],
)
def test_one_line_says_why_a_model_is_no_base(
    folder: Path,
    few: Path,
    regression: Path,
    xrfm: Callable[..., Any],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    outcome = xrfm("fit", few, *arguments, "--transfer-from", regression, *TINY, folder=folder)
    assert outcome.status == 2, outcome.err
    assert said in outcome.err


def test_its_own_table_and_files_of_other_versions_are_refused(
    folder: Path,
    few: Path,
    regression: Path,
    xrfm: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = xrfm("fit", "train.csv", "--target", "price", "--transfer-from", regression, *TINY, folder=folder)
    assert own.status == 2
    assert "was fitted on 120 of the 120 rows of train.csv" in own.err
    other = tmp_path / "other.xrfm"
    with monkeypatch.context() as patched:
        patched.setattr("xrfm_cli.trees.model_file.FORMAT_VERSION", 9)
        save_model(load_model(regression), other)
    outcome = xrfm("fit", few, "--target", "price", "--transfer-from", other, *TINY, folder=folder)
    assert outcome.status == 2
    assert "has format version 9" in outcome.err
    absent = xrfm("fit", few, "--target", "price", "--transfer-from", "no.xrfm", folder=folder)
    assert absent.status == 2
    assert "no such model file" in absent.err


def test_a_refit_takes_no_base(folder: Path, few: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("fit", few, "--from", regression, "--transfer-from", regression, folder=folder)
    assert outcome.status == 2
    assert "--transfer-from: --from refits the model as it is" in outcome.err
