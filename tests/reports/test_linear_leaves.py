"""Explanations of linear leaves, which keep no training rows: exact, and said as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.reports.conftest import Case, fit_case, noise
from xrfm_cli.commands.info import info_document
from xrfm_cli.reports import attribute_rows, explain_model, write_explain_report, write_fit_report
from xrfm_cli.tuning.model.model_facts import read_model_facts
from xrfm_cli.tuning.model.storage import save_model


@pytest.fixture(scope="module")
def line() -> Case:
    """y = 3 a + b; c is irrelevant."""
    a, b, c = noise(300, 3)
    return fit_case({"a": 2 * a + 5, "b": b, "c": c, "y": 3 * a + b}, kernel="linear", ridge=1e-4)


@pytest.fixture(scope="module")
def lines() -> Case:
    """y = 3 |a| + b on the leaves of a tree."""
    a, b, c = noise(400, 3)
    return fit_case({"a": a, "b": b, "c": c, "y": 3 * np.abs(a) + b}, kernel="linear", leaf_size=100)


def attributed(case: Case) -> dict[str, np.ndarray]:
    table = attribute_rows(case.model, case.table)
    return {name: table.column(name).to_numpy() for name in table.column_names}


def test_importances_are_the_squares_of_the_effects(line: Case) -> None:
    explanation = explain_model(line.model)
    shares = {item.column: item.share for item in explanation.importances}
    a, b, _ = noise(300, 3)
    whole = 9 * a.var() + b.var()
    assert shares["a"] == pytest.approx(9 * a.var() / whole, rel=0.03)  # rows are drawn from the profile
    assert shares["b"] == pytest.approx(b.var() / whole, rel=0.15)
    assert shares["c"] < 1e-9
    assert all(pair.interaction == pytest.approx(0, abs=1e-9) for pair in explanation.pairs)
    assert [leaf.rows for leaf in explanation.leaves] == [300]


def test_attributions_are_the_effects_of_the_columns(line: Case) -> None:
    found = attributed(line)
    a, b, _ = noise(300, 3)
    np.testing.assert_allclose(found["a"], 3 * (a - a.mean()), atol=1e-3)
    np.testing.assert_allclose(found["b"], b - b.mean(), atol=1e-3)
    np.testing.assert_allclose(
        found["a"] + found["b"] + found["c"], found["prediction"] - found["baseline"], atol=1e-6
    )


def test_attributions_add_up_across_the_leaves_of_a_tree(lines: Case) -> None:
    assert len(lines.model.members[0].tree.leaves) >= 4
    found = attributed(lines)
    total = found["a"] + found["b"] + found["c"]
    np.testing.assert_allclose(total, found["prediction"] - found["baseline"], atol=1e-5)
    explanation = explain_model(lines.model)
    assert explanation.importances[0].column == "a"
    assert [leaf.sampled for leaf in explanation.leaves] == [1] * len(explanation.leaves)


@pytest.mark.parametrize("kernel", ["linear", "constant"])
def test_pages_do_not_claim_rows_that_are_not_kept(kernel: str, tmp_path: Path) -> None:
    a, b = noise(60, 2)
    model = fit_case({"a": a, "b": b, "y": a + b}, kernel=kernel).model
    explanation = explain_model(model)
    write_fit_report(model, explanation, (tmp_path / "fit.html", tmp_path / "fit.json"))
    write_explain_report(model, explanation, tmp_path / "explain.html", tmp_path / "explain.json")
    for name in ("fit", "explain"):
        page = (tmp_path / f"{name}.html").read_text()
        assert "keep no training rows" in page
        assert "keeps training rows" not in page
        assert "that the model keeps" not in page
    save_model(model, tmp_path / "m.xrfm")
    facts = info_document(read_model_facts(tmp_path / "m.xrfm"), size_bytes=1)
    assert (facts["centers"], facts["keeps_training_rows"]) == (0, False)
