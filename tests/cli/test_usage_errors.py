"""Bad usage: one line that names what was typed and the way out, and status 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


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
        ("fit data.csv --target y --set kernel", "--set: 'kernel' does not set anything"),
        ("fit data.csv --target y --device gpu", "--device: 'gpu' is not a device"),
        ("fit data.csv --target y --device cuda:99", "--device: cuda:99"),
        ("fit - --target y", "standard input"),
        ("fit data.csv --engine dask", "no option '--engine'"),
        ("predict", "xrfm predict: missing argument 'DATA'"),
        ("predict new.csv --interval 90", "--interval: '90' is not a level"),
        ("predict new.csv --check-drift none", "--check-drift: 'none' is not a number above 0"),
        ("predict new.csv --json", "--json needs --output"),
        ("predict new.csv --output new.xlsx", "new.xlsx: is none of .csv, .parquet and .arrow"),
        ("explain --output a.csv", "give DATA as well"),
        ("explain new.csv --json", "--json with DATA needs --output"),
        ("explain new.csv --method shap", "--method: 'shap' is not one of"),
        ("evaluate test.csv --fail-under r2", "--fail-under: 'r2' is not a threshold"),
        ("info --model nowhere.xrfm", "nowhere.xrfm"),
    ],
)
def test_one_line_and_status_2(
    arguments: str, message: str, xrfm: Callable[..., Any], tmp_path: Path
) -> None:
    outcome = xrfm(*arguments.split(), folder=tmp_path)
    assert outcome.status == 2
    assert message in outcome.error
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
