"""The report of a fit: figures say what they show, in every theme, with and without a mouse."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reports.conftest import Case, fit_case, noise
from tests.reports.test_pages import Page
from xrfm_cli.reports import explain_model, fit_document
from xrfm_cli.reports.fit.charts import number_axis, tick_text
from xrfm_cli.reports.fit.class_results import class_results, confused_pairs, threshold_table
from xrfm_cli.reports.fit.overview import column_rows, leaderboard
from xrfm_cli.reports.formats import parameter_names, setting
from xrfm_cli.reports.pages import render_fit
from xrfm_cli.reports.story import selection_words, verdict_words
from xrfm_cli.tuning.model.oof_summary import CURVE_POINTS

CASES = ["ensemble", "two_classes", "three_classes"]
STYLE = (Path(__file__).parents[2] / "xrfm_cli" / "reports" / "templates" / "page.css").read_text(
    encoding="utf-8"
)
TEXTS, MARKS = ("ink", "soft", "accent", "warm"), ("mark", "mark2", "mark3", "warm")
TEXT_CONTRAST, MARK_CONTRAST = 4.5, 3.0  # of WCAG 2.2, level AA


def page_of(case: Case, **changes: Any) -> str:
    model = replace(case.model, report=replace(case.model.report, **changes))
    explanation = explain_model(model, rows=60)
    return render_fit(model, explanation, fit_document(model, explanation), source="sales.csv")


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def page(case: Case) -> str:
    return page_of(case)


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "paper"])
def test_every_theme_has_enough_contrast(theme: int) -> None:
    blocks = re.findall(r":root \{([^}]*)\}", STYLE)
    assert len(blocks) == 3
    colours = dict(re.findall(r"--(\w+): (#\w+)", blocks[theme]))
    paper = colours["paper"] if len(colours["paper"]) == 7 else "#ffffff"
    assert all(contrast(colours[name], paper) >= TEXT_CONTRAST for name in TEXTS)
    assert all(contrast(colours[name], paper) >= MARK_CONTRAST for name in MARKS)


def test_titles_name_the_target_and_the_file(page: str) -> None:
    assert "<title>y from sales.csv: xrfm fit</title>" in page
    assert page_of_title(page) == "y"


def page_of_title(page: str) -> str:
    found = re.search(r"<h1>(.*?)</h1>", page)
    assert found is not None
    return found[1]


def test_contents_lead_to_sections(page: str) -> None:
    links = re.findall(r'href="#([a-z]+)"', page)
    assert {"summary", "quality", "data", "search", "glossary"} <= set(links)
    assert all(page.count(f'id="{link}"') == 1 for link in links)


def test_every_figure_says_its_finding_and_has_its_data(page: str) -> None:
    figures = re.findall(r"<figure>.*?</figure>", page, flags=re.DOTALL)
    assert len(figures) >= 3
    for figure in figures:
        label = re.search(r'role="img" aria-label="([^"]{20,})"', figure)
        assert label is not None
        assert "The data behind this plot" in figure
        assert 'scope="col"' in figure
    assert page.count("data-tip=") > 20
    assert page.count('<table class="sortable">') >= 3


def test_no_tick_needs_an_exponent(page: str) -> None:
    ticks = re.findall(r'<text class="tick"[^>]*>([^<]*)</text>', page)
    assert ticks
    assert not [tick for tick in ticks if re.search(r"\de[+-]?\d", tick)]


def test_ticks_of_any_range_are_round() -> None:
    for low, high in ((5_000, 45_400), (0, 1), (-3e6, 2e6), (0.0012, 0.0013), (1e-3, 250_000)):
        texts = [text for _, text in number_axis(low, high, "x").ticks]
        assert 3 <= len(texts) <= 8
        assert len(set(texts)) == len(texts)
        assert max(map(len, texts)) <= 10
    assert tick_text(25_030.0, 5.0) == "25,030"


def test_machinery_is_folded(page: str) -> None:
    folded = page[page.index("<details><summary>How the search went") :]
    assert "Values tried" not in page[: page.index("<details><summary>How the search went")]
    assert "Where the time went" in folded


def test_hyperparameters_have_values(page: str) -> None:
    assert not re.search(r"<code>\w+=</code>", page)
    assert setting(None) == "none"
    members = [{"params": {"max_centers": None}}]
    assert parameter_names(members)["common"] == ["max_centers"]


def test_two_classes_have_curves_with_the_threshold_marked(two_classes: Case) -> None:
    summary = two_classes.model.report.oof_summary
    assert summary is not None
    text = " ".join(Page(page_of(two_classes)).words)
    for words in (
        "ROC curve",
        "Precision and recall",
        "Gain",
        "Calibration",
        "Other thresholds",
        "base rate",
    ):
        assert words in text
    assert "The positive class is yes." in text
    curve = summary["curve"]
    assert len(curve["threshold"]) <= CURVE_POINTS + 20
    assert (np.diff(curve["true_positives"]) >= 0).all()
    table = threshold_table(summary, 0.5)
    own = [row for row in table if row.is_own]
    assert [row.threshold for row in own] == [0.5]
    confusion = {(true, predicted): rows for true, predicted, rows in summary["confusion"]}
    assert own[0].recall == pytest.approx(confusion[1, 1] / summary["class_rows"][1])
    hits = confusion[0, 0] + confusion[1, 1]
    assert own[0].accuracy == pytest.approx(hits / sum(summary["class_rows"]))


def test_classes_are_counted_as_they_are_predicted(three_classes: Case) -> None:
    report, names = three_classes.model.report, [str(name) for name in three_classes.model.target.classes]
    assert report.oof_summary is not None
    results = class_results(report.oof_summary, names)
    assert sum(result.rows for result in results) == report.validation["judged_rows"]
    right = sum((result.recall or 0) * result.rows for result in results)
    assert right / report.validation["judged_rows"] == pytest.approx(report.metrics["accuracy"])
    pairs = confused_pairs(report.oof_summary, names)
    assert pairs == sorted(pairs, key=lambda pair: -pair.rows)
    areas = [result.auc for result in results]
    assert np.mean([area for area in areas if area is not None]) == pytest.approx(report.metrics["auc"])


def test_errors_of_values_are_summarised_over_all_rows(ensemble: Case) -> None:
    report = ensemble.model.report
    summary = report.oof_summary
    assert summary is not None
    rows = sum(item["rows"] for item in summary["deciles"])
    assert rows == report.validation["judged_rows"]
    mae = sum(item["rows"] * item["mean_absolute_error"] for item in summary["deciles"]) / rows
    assert mae == pytest.approx(report.metrics["mae"])
    assert summary["over_time"]["column"] == "day"
    residual = np.abs(np.array(report.oof["target"]) - np.array(report.oof["prediction"]))
    worst = summary["worst"][0]
    assert worst["row"] - 1 == report.oof["row"][int(residual.argmax())]
    assert worst["times_typical"] == pytest.approx(residual.max() / np.median(residual), rel=1e-6)


def test_the_data_overview_tells_kinds_missing_cells_and_values(ensemble: Case) -> None:
    rows = {row.name: row for row in column_rows(ensemble.model, {})}
    assert rows["b"].missing == pytest.approx(18 / 160)
    assert rows["city"].used == "categorical"
    assert "graz" in rows["city"].values
    assert "<svg" in rows["a"].picture
    assert "median" in rows["a"].values
    assert rows["same"].picture == ""


def test_the_leaderboard_is_in_order_with_families_and_baselines(ensemble: Case) -> None:
    document = fit_document(ensemble.model, explain_model(ensemble.model, rows=60))
    ranked = leaderboard(document)
    scores = [row.score for row in ranked if row.score is not None]
    assert scores == sorted(scores)
    names = [row.name for row in ranked]
    assert {"this model", "mean", "ridge", "boosted trees"} <= set(names)
    assert sum(row.trials or 0 for row in ranked if not row.is_model) == len(document["trials"])


def verdict(score: float, *baselines: tuple[str, float], **facts: Any) -> str:
    scored = [{"name": name, "score": value} for name, value in baselines]
    document = {"metric": "rmse", "score": score, "score_low": score, "score_high": score, "target": "y"}
    return " ".join(verdict_words(document | {"lower_is_better": True, "baselines": scored} | facts))


def test_a_model_that_is_no_better_than_the_mean_is_called_so() -> None:
    assert "no better than the mean" in verdict(4.0, ("mean", 4.0))
    assert "hardly better than the mean" in verdict(3.9, ("mean", 4.0), score_high=4.4)
    assert verdict(3.0, ("mean", 4.0), ("ridge", 3.5)) == ""
    assert "‘ridge’ is worse than the mean (rmse 5 against 4)" in verdict(3.0, ("mean", 4.0), ("ridge", 5.0))
    assert "‘boosted trees’ is better than this model" in verdict(3.0, ("mean", 4.0), ("boosted trees", 2.0))


def test_noise_is_called_noise() -> None:
    columns = {f"x{k}": row for k, row in enumerate(noise(150, 3, seed=11))}
    case = fit_case({**columns, "y": noise(150, 1, seed=12)[0]})
    text = " ".join(Page(page_of(case)).words)
    assert "no better than the mean" in text or "hardly better than the mean" in text


def test_one_kept_model_is_not_compared_with_itself() -> None:
    trials = [{"state": "complete"}, {"state": "complete"}]
    document = {"trials": trials, "best_trial": {"trial": 0, "score": 0.8}, "score": 0.81, "ensemble": [1]}
    assert "best single trial" not in selection_words(document)


@pytest.mark.slow
def test_a_large_table_makes_a_page_below_two_megabytes() -> None:
    values = noise(500, 200, seed=3)
    classes = np.array([f"class {k:02d}" for k in range(100)])[np.arange(500) % 100]
    columns: dict[str, object] = {f"measurement {k}": row for k, row in enumerate(values)}
    case = fit_case({**columns, "y": classes}, kernel="constant")
    text = page_of(case)
    assert len(text.encode()) < 2_000_000
    words = " ".join(Page(text).words)
    assert all(f"measurement {k}" in words for k in range(200))
    assert all(f"class {k:02d}" in words for k in range(100))


def test_the_summary_is_plain_json(two_classes: Case) -> None:
    assert json.loads(json.dumps(two_classes.model.report.oof_summary, allow_nan=False))
