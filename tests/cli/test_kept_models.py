"""Models that releases have written: read by this one, with the same predictions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.hostile.fuzzing import opened, sealed
from tests.models.make import EXAMPLES
from xrfm_cli import __version__

FOLDER = Path(__file__).parents[1] / "models"
KEPT = sorted(FOLDER.glob("*/*.xrfm"))


@pytest.fixture(params=KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def kept(request: pytest.FixtureRequest) -> Path:
    """Each model of each release."""
    path: Path = request.param
    return path


def test_every_release_keeps_its_models() -> None:
    assert {path.stem for path in (FOLDER / __version__).glob("*.xrfm")} == {item.name for item in EXAMPLES}


def options_of(name: str) -> tuple[str, ...]:
    """Return the options with which a model predicted; the examples keep their names."""
    return next(item.predict for item in EXAMPLES if item.name == name)


def test_a_kept_model_predicts_what_it_did(kept: Path, tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    found_path = tmp_path / "found.csv"
    rows = kept.with_name("rows.csv")
    outcome = xrfm("predict", rows, "--model", kept, "--output", found_path, *options_of(kept.stem))
    assert outcome.status == 0, outcome.err
    found, expected = pd.read_csv(found_path), pd.read_csv(kept.with_suffix(".expected.csv"))
    assert list(found.columns) == list(expected.columns)
    for name in found.columns:
        if not pd.api.types.is_numeric_dtype(expected[name]):
            assert found[name].tolist() == expected[name].tolist()
            continue
        # The middle half's spread, which the one row far outside does not widen.
        spread = np.subtract(*np.percentile(expected[name], [75, 25])) / 1.349
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-5 * spread)


@pytest.mark.slow
def test_a_kept_model_is_shown_and_explained(kept: Path, tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    model = tmp_path / kept.name
    model.write_bytes(kept.read_bytes())
    info = xrfm("info", "--model", model, "--json").document
    assert info["versions"]["xrfm-cli"] == kept.parent.name
    assert [item["name"] for item in info["columns"]][:6] == list(pd.read_csv(kept.with_name("rows.csv")))
    explained = xrfm("explain", "--model", model, "--rows", "30", "--json")
    assert explained.status == 0, explained.err
    assert sum(item["share"] for item in explained.document["importances"]) == pytest.approx(1.0)


def report_places(manifest: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The facts of a report that are shown."""
    report = manifest["report"]
    first = [(name, 0) for name in ("trials", "ensemble", "baselines")]
    inner = [(*place, key) for place in first for key in report[place[0]][0]]
    params = [("trials", 0, "params", key) for key in ("kernel", "kernel_p", "bandwidth")]
    return [(name,) for name in report] + first + inner + params + [("metrics", "r2"), ("fold_metrics", "r2")]


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["nothing", "text", {"a": [1]}], ids=str)
def test_a_forged_report_is_refused_or_shown(wrong: Any, tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    """Under hashes that are right, as an attacker writes them."""
    manifest, blob = opened((FOLDER / __version__ / "regression-linear.xrfm").read_bytes())
    faults = []
    for *way, last in report_places(manifest):
        changed = copy.deepcopy(manifest)
        inner = changed["report"]
        for key in way:
            inner = inner[key]
        if wrong == "nothing":
            del inner[last]
        else:
            inner[last] = wrong
        (tmp_path / "m.xrfm").write_bytes(sealed(changed, blob))
        for arguments in (("info",), ("explain", "--rows", "30", "--quiet")):
            outcome = xrfm(*arguments, "--model", tmp_path / "m.xrfm")
            if outcome.status == 2:
                assert outcome.error
                break
            if outcome.status:
                faults.append((*way, last, arguments[0], outcome.err))
    assert not faults, faults
