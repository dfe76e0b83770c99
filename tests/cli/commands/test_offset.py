"""``--offset`` and the metrics of quantiles on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import TINY, Command, Outcome
from tests.processes import XRFM, run_process

CLAIMS = ("fit", "claims.csv", "--target", "claims", "--task", "regression", *TINY)


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory, xrfm: Command) -> Path:
    """A folder with tables of claims and a model of their rates."""
    folder, random = tmp_path_factory.mktemp("claims"), np.random.default_rng(0)
    for name, rows in (("claims", 120), ("new", 40)):
        age, years = random.uniform(18, 80, rows), random.uniform(0.1, 3.0, rows)
        counts = random.poisson(years * np.exp(1 - age / 40))
        lines = [f"{a:.1f},{y:.3f},{c}" for a, y, c in zip(age, years, counts, strict=True)]
        (folder / f"{name}.csv").write_text("\n".join(["age,years,claims", *lines]) + "\n")
    options = (
        "--offset",
        "years",
        "--metric",
        "poisson_deviance",
        "--set",
        "loss=poisson",
        "--model",
        "m.xrfm",
    )
    done = xrfm(*CLAIMS, *options, folder=folder)
    assert done.status == 0, done.err
    return folder


def predicted(done: Outcome) -> np.ndarray:
    assert done.status == 0, done.err
    return np.array([float(line) for line in done.out.splitlines()[1:]])


def test_predict_evaluate_and_explain_know_the_exposure(claims: Path, xrfm: Command) -> None:
    rows = (claims / "new.csv").read_text().splitlines()
    ones = [rows[0], *(f"{row.split(',')[0]},1,{row.split(',')[2]}" for row in rows[1:])]
    (claims / "ones.csv").write_text("\n".join(ones) + "\n")
    found, rates = (
        predicted(xrfm("predict", name, "--model", "m.xrfm", folder=claims))
        for name in ("new.csv", "ones.csv")
    )
    years = np.array([float(row.split(",")[1]) for row in rows[1:]])
    np.testing.assert_allclose(found, rates * years, rtol=1e-6)
    scores = xrfm("evaluate", "new.csv", "--model", "m.xrfm", "--json", folder=claims).document
    truth = np.array([float(row.split(",")[2]) for row in rows[1:]])
    assert scores["metrics"]["mae"] == pytest.approx(np.abs(found - truth).mean(), rel=1e-6)
    row = xrfm("explain", "new.csv", "--row", "1", "--model", "m.xrfm", folder=claims)
    assert row.status == 0, row.err
    assert "'claims' is explained per unit of 'years'" in row.err
    document = xrfm("info", "--model", "m.xrfm", "--json", folder=claims).document
    assert {c["name"]: c["role"] for c in document["columns"]}["years"] == "offset"


def test_a_prediction_without_exposure_is_refused(claims: Path, xrfm: Command) -> None:
    (claims / "ages.csv").write_text("age\n30\n40\n")
    (claims / "zero.csv").write_text("age,years\n30,1\n40,0\n")
    for more in ((), ("--allow-missing-columns",)):
        refused = xrfm("predict", "ages.csv", "--model", "m.xrfm", *more, folder=claims)
        assert refused.status == 2
        assert "ages.csv: no column 'years'" in refused.error
    refused = xrfm("predict", "zero.csv", "--model", "m.xrfm", folder=claims)
    assert (refused.status, "zero.csv: row 2, offset 'years': '0'" in refused.error) == (2, True)


@pytest.mark.slow
def test_each_line_has_its_exposure(claims: Path, xrfm_process: Command) -> None:
    rows = (claims / "new.csv").read_text().splitlines()[:3]
    whole = predicted(xrfm_process("predict", "new.csv", "--model", "m.xrfm", folder=claims))
    given = "\n".join([*rows, "30,,1"]) + "\n"
    done = run_process([*XRFM, "predict", "-", "--each-line", "--model", "m.xrfm"], folder=claims, data=given)
    assert [float(line) for line in done.stdout.splitlines()[1:3]] == pytest.approx(whole[:2], rel=1e-6)
    assert "line 4: offset 'years': no value" in done.stderr


def test_a_fit_refuses_what_has_no_exposure(claims: Path, xrfm: Command) -> None:
    for options, words in {
        ("--offset", "yeers"): "no column 'yeers'. Did you mean 'years'?",
        ("--offset", "years", "--weight", "years"): "'years' was given two roles",
        ("--offset", "claims"): "'claims' was given two roles",
        ("--metric", "pinball@1.5"): "--metric pinball@1.5: needs a level strictly between 0 and 1",
        ("--metric", "pinbal@0.5"): "Did you mean 'pinball@0.5'?",
    }.items():
        refused = xrfm(*CLAIMS, *options, folder=claims)
        assert refused.status == 2
        assert words in refused.error


def test_a_threshold_of_a_quantile_is_judged(claims: Path, xrfm: Command) -> None:
    arguments = ("evaluate", "new.csv", "--model", "m.xrfm")
    passed = xrfm(*arguments, "--fail-over", "pinball@0.90=1e6", "--json", folder=claims)
    assert passed.status == 0, passed.err
    assert passed.document["thresholds"][0]["metric"] == "pinball@0.9"
    assert passed.document["metrics"]["pinball@0.9"] == passed.document["thresholds"][0]["value"]
    assert xrfm(*arguments, "--fail-over", "pinball@0.9=1e-9", folder=claims).status == 1
    refused = xrfm(*arguments, "--fail-over", "pinbal@0.9=1", folder=claims)
    assert "Did you mean 'pinball@0.9'?" in refused.error
