"""Bad usage: one line that names what was typed and the way out, and status 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CODECS = ("hex", "rot13", "undefined", "zlib", "punycode", "nosuch")  # of bytes, of names, and of nothing


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, xrfm: Callable[..., Any]) -> Path:
    """A folder with a small table and its model."""
    folder = tmp_path_factory.mktemp("edges")
    rows = [f"{k % 17},{k % 17 * 2 + k % 3}" for k in range(40)]
    (folder / "t.csv").write_text("\n".join(["a,y", *rows]) + "\n")
    assert xrfm("fit", "t.csv", "--target", "y", "--trials", "0", folder=folder).status == 0
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("fitt data.csv", "xrfm: no command 'fitt'. Did you mean 'fit'?"),
        ("fit", "xrfm fit: missing argument 'DATA'"),
        ("fit data.csv", "--target is missing"),
        ("fit data.csv --targt y", "no option '--targt'. Did you mean '--target'?"),
        ("fit data.csv --target", "'--target' requires an argument"),
        ("fit data.csv more.csv --target y", "more.csv"),
        ("fit data.csv --target y --trials many", "--trials: 'many' is not a whole number"),
        ("fit data.csv --target y --time-limit soon", "--time-limit: 'soon' is not a duration"),
        ("fit data.csv --target y --task binray", "--task: 'binray' is not one of"),
        ("fit data.csv --target y --preset fast", "--preset: 'fast' is not one of"),
        ("fit data.csv --target y --set kernel", "--set: 'kernel' is not a setting"),
        ("fit data.csv --target y --device gpu", "--device: 'gpu' is not a device"),
        ("fit data.csv --target y --device cuda:99", "--device: cuda:99"),
        *[
            (f"fit data.csv --target y {option} {2**63}", f"{option}: '{2**63}' is more than")
            for option in ("--trials", "--folds", "--seed")
        ],
        ("fit data.csv --motor dask", "no option '--motor'"),
        ("predict", "xrfm predict: missing argument 'DATA'"),
        ("predict new.csv --interval 90", "--interval: '90' is not a level"),
        ("predict new.csv --check-drift none", "--check-drift: 'none' is not a number above 0"),
        ("predict new.csv --json", "--json needs --output"),
        ("predict new.csv --output new.xlsx", "new.xlsx: must end in .csv, .parquet or .arrow"),
        ("explain --output a.csv", "--output and --id need DATA"),
        ("explain new.csv --json", "--json with DATA needs --output"),
        ("explain new.csv --method path", "xrfm explain: no option '--method'"),
        ("evaluate test.csv --fail-under r2", "--fail-under: 'r2' is not a threshold"),
        ("info --model nowhere.xrfm", "nowhere.xrfm"),
    ],
)
def test_one_line_and_status_2(
    arguments: str, message: str, xrfm: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text("a,y\n1,2\n")
    outcome = xrfm(*arguments.split(), folder=tmp_path)
    assert outcome.status == 2
    assert message in outcome.error
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *((f"predict t.csv --encoding {name}", f"there is no text encoding '{name}'") for name in CODECS),
        ("predict t.csv --threads 100000", "--threads: '100000' is more than"),
        ("fit t.csv --target y --memory 9999999TiB", "--memory: '9999999TiB' is more than"),
        (f"fit t.csv --target y --memory {'9' * 400}", "more than a computer can address"),
        (f"fit t.csv --target y --time-limit {'9' * 400}", "is longer than 100 years"),
        ("fit t.csv --target y --time-limit nan", "--time-limit: 'nan' is not a duration"),
        ("fit t.csv --target y --time-limit 0", "--time-limit: '0' is not a duration above zero"),
        ("fit t.csv --target y --folds 1", "--folds: '1' is not a whole number of at least 2"),
        ("fit t.csv --target y --seed -1", "--seed: '-1' is not a whole number of at least 0"),
        (f"fit t.csv --target y --set ridge={'9' * 30}", "must be a number above 0 and at most 1e+15"),
        ("fit t.csv --target y --set ridge=nan", "ridge='nan': must be a number"),
        ("fit t.csv --target y --set agop_rows=1e300", "agop_rows=1e+300: must be a number"),
        ("evaluate t.csv --fail-under r2=nan", "--fail-under: 'r2=nan' is not a threshold"),
        ("predict t.csv --interval 1", "--interval: '1' is not a level"),
        ("predict t.csv --check-drift inf", "--check-drift: 'inf' is not a number above 0"),
    ],
)
def test_values_out_of_range_are_refused(
    arguments: str, message: str, xrfm: Callable[..., Any], fitted: Path
) -> None:
    outcome = xrfm(*arguments.split(), folder=fitted)
    assert outcome.status == 2
    assert message in outcome.error


@pytest.mark.parametrize("rows", ["1", "9223372036854775807"])
def test_any_number_of_rows_to_hold_gives_the_same(rows: str, xrfm: Callable[..., Any], fitted: Path) -> None:
    plain, outcome = (xrfm("predict", "t.csv", *more, folder=fitted) for more in ((), ("--chunk-rows", rows)))
    assert outcome.status == 0
    assert outcome.out == plain.out


@pytest.mark.parametrize("option", ["--seed", "--trials", "--folds", "--threads"])
def test_a_number_beyond_64_bits_is_refused(option: str, xrfm: Callable[..., Any], fitted: Path) -> None:
    outcome = xrfm("fit", "t.csv", "--target", "y", option, 2**63, folder=fitted)
    assert outcome.status == 2
    assert f"{option}: '{2**63}' is more than" in outcome.error
    assert xrfm("predict", "t.csv", "--chunk-rows", 2**63, folder=fitted).status == 2


@pytest.mark.slow
def test_the_largest_whole_numbers_make_models_that_can_be_read(
    xrfm: Callable[..., Any], fitted: Path
) -> None:
    models = []
    for seed in (2**32, 2**63 - 1, 2**63 - 1):
        largest = ("--seed", seed, "--folds", 2**63 - 1, "--trials", 0)
        fit = ("fit", "t.csv", "--target", "y", *largest, "--model", "seed.xrfm")
        assert xrfm(*fit, folder=fitted).status == 0
        models.append((fitted / "seed.xrfm").read_bytes())
    assert models[1] == models[2] != models[0]
    assert xrfm("explain", "--model", "seed.xrfm", "--seed", 2**63 - 1, folder=fitted).status == 0


@pytest.mark.parametrize(("name", "text"), [("empty", "1,\n2,\n"), ("infinite", "1,inf\n2,-inf\n")])
def test_a_table_without_targets_cannot_be_evaluated(
    name: str, text: str, xrfm: Callable[..., Any], fitted: Path
) -> None:
    (fitted / f"{name}.csv").write_text(f"a,y\n{text}")
    outcome = xrfm("evaluate", f"{name}.csv", folder=fitted)
    assert outcome.status == 2
    assert f"{name}.csv: target 'y' is missing in every row" in outcome.error


def test_two_classes_are_binary_however_asked_for(xrfm: Callable[..., Any], fitted: Path) -> None:
    rows = [f"{k % 17},{'yes' if k % 17 > 8 else 'no'}" for k in range(40)]
    (fitted / "c.csv").write_text("\n".join(["a,y", *rows]) + "\n")
    fit = (
        "fit",
        "c.csv",
        "--target",
        "y",
        "--trials",
        "0",
        "--task",
        "multiclass",
        "--model",
        "c.xrfm",
        "--json",
    )
    outcome = xrfm(*fit, folder=fitted)
    assert outcome.status == 0
    assert (outcome.document["task"], outcome.document["metric"]) == ("binary", "auc")
    assert outcome.document["score"] > 0.99
