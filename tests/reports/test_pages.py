"""The documents and pages as files: complete, closed in themselves, safe and the same every time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from tests.reports.conftest import HOSTILE, Case, fit_case, noise
from xrfm_cli.errors import InputError
from xrfm_cli.leaf_models import RFMLeaf
from xrfm_cli.reports import (
    explain_document,
    explain_model,
    fit_document,
    write_explain_report,
    write_fit_report,
)
from xrfm_cli.reports.fit.class_figures import calibration_figure
from xrfm_cli.reports.fit.search_figures import history_figure
from xrfm_cli.reports.formats import byte_count, happening, number, percent, seconds, setting
from xrfm_cli.tuning import FitReport
from xrfm_cli.tuning.rows import ImportanceRow

CASES = ["linear", "ensemble", "two_classes", "three_classes", "leaves", "hostile"]
NEWER = ("fold_metrics", "hyperparameter_importances", "oof_summary", "test")
VOID = {"meta", "link", "br", "img", "input", "hr", "col", "base"}
FIT_NAMES = {
    "schema_version", "command", "xrfm_version", "task", "target", "rows", "columns", "metric", "score",
    "lower_is_better", "stopped_by", "baselines", "seconds", "trials", "ensemble", "leaves", "importances",
    "fallbacks", "repairs", "peak_memory_bytes", "best_trial", "improvements", "trial_seconds",
    "fold_metrics", "hyperparameter_importances",
}  # fmt: skip
EXPLAIN_NAMES = {"schema_version", "command", "xrfm_version", "importances", "directions", "pairs", "leaves"}


class Page(HTMLParser):
    """Collects the elements and texts of a page, and checks that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        assert not any(name.startswith("on") for name in names)
        assert len(names) == len(set(names))
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.replace("\N{NO-BREAK SPACE}", " "))


def write_both(case: Case, folder: Path) -> dict[str, str]:
    explanation = explain_model(case.model, rows=150)
    write_fit_report(case.model, explanation, (folder / "m.report.html", folder / "m.report.json"))
    write_explain_report(case.model, explanation, folder / "m.explain.html", folder / "m.explain.json")
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module", params=CASES)
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The four files of a case, by name."""
    return write_both(request.getfixturevalue(request.param), tmp_path_factory.mktemp(request.param))


@pytest.mark.slow
def test_files_are_complete(files: dict[str, str]) -> None:
    assert set(files) == {"m.report.html", "m.report.json", "m.explain.html", "m.explain.json"}
    fit, explain = json.loads(files["m.report.json"]), json.loads(files["m.explain.json"])
    assert set(fit) >= FIT_NAMES
    assert set(explain) >= EXPLAIN_NAMES
    assert (fit["command"], explain["command"]) == ("fit", "explain")
    assert fit["schema_version"] == explain["schema_version"] == 1
    assert set(fit["columns"][0]) >= {"name", "kind", "reason"}
    assert set(explain["importances"][0]) == {"column", "share", "low", "high"}
    assert set(explain["directions"][0]) >= {"share", "weights"}
    names = {"columns", "co_sensitivity", "interaction", "low", "high", "by_chance"}
    assert all(set(pair) == names for pair in explain["pairs"])
    assert all({"rows", "importances"} <= set(leaf) for leaf in explain["leaves"])


def test_pages_are_closed_in_themselves(files: dict[str, str]) -> None:
    for name, text in files.items():
        if not name.endswith(".html"):
            continue
        page = Page(text)
        assert page.tags.count("script") == 1  # inline: nothing is loaded
        assert not set(page.tags) & {"img", "iframe", "object", "embed", "form"}
        assert all(link.startswith(("#", "data:")) for link in page.links)
        assert not re.search(r"https?:|@import|url\((?!#)", text)
        identifiers = re.findall(r' id="([^"]*)"', text)
        assert len(identifiers) == len(set(identifiers))
        assert page.tags.count("svg") >= 2
        assert "Creator" not in text
        assert "dc:date" not in text
        assert len(text) < 600_000


@pytest.mark.slow
def test_equal_models_give_equal_bytes(ensemble: Case, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert write_both(ensemble, tmp_path / "a") == write_both(ensemble, tmp_path / "b")


@pytest.mark.parametrize("files", ["hostile"], indirect=True)
def test_names_are_text_whatever_they_look_like(files: dict[str, str]) -> None:
    for name in ("m.report.html", "m.explain.html"):
        words = " ".join(" ".join(Page(files[name]).words).split())
        for column in HOSTILE:
            assert " ".join(column.split()) in words
        assert "<b>y</b>" in words
        assert "49" not in re.findall(r"[^\d.,]49[^\d.,%]", files[name].replace("{{ 7 * 7 }}", ""))
    columns = [item["column"] for item in json.loads(files["m.explain.json"])["importances"]]
    assert set(columns) == {*HOSTILE, "level"}


@pytest.mark.parametrize("files", ["ensemble"], indirect=True)
def test_the_page_of_a_fit_says_what_happened(files: dict[str, str]) -> None:
    words = " ".join(Page(files["m.report.html"]).words)
    for expected in (
        "rmse",
        "ridge",
        "What matters",
        "The search",
        "Data",
        "Privacy",
        "same",
        "city",
        "dropped",
        "out of fold",
        "boosted trees",
        "Leaderboard",
        "Every metric",
        "Errors by decile",
        "Row numbers of the table",
        "need at least 10 completed trials",
        "Time of the search: ",
    ):
        assert expected in words


def test_the_page_tells_which_choices_mattered(ensemble: Case, tmp_path: Path) -> None:
    rows: list[ImportanceRow] = [
        {"name": "ridge", "share": 0.75, "by_chance": 0.2},
        {"name": "family", "share": 0.25, "by_chance": 0.25},
    ]
    model = replace(ensemble.model, report=replace(ensemble.model.report, hyperparameter_importances=rows))
    files = write_both(Case(table=ensemble.table, model=model), tmp_path)
    assert json.loads(files["m.report.json"])["hyperparameter_importances"] == rows
    for name in ("m.report.html", "m.explain.html"):
        words = Page(files[name]).words
        assert "Hyperparameter importances" in words
        assert words.count("may be chance") == 1
        assert "75.0 %" in words


def test_a_report_of_an_earlier_version_has_pages_too(ensemble: Case, tmp_path: Path) -> None:
    facts = ensemble.model.report.timeless().to_json()
    old = {name: value for name, value in facts.items() if name not in NEWER}
    model = replace(ensemble.model, report=FitReport.from_json(old))
    files = write_both(Case(table=ensemble.table, model=model), tmp_path)
    assert "Time of the search: " not in " ".join(Page(files["m.report.html"]).words)


@pytest.mark.parametrize("files", ["leaves"], indirect=True)
def test_the_page_of_an_explanation_shows_machinesand_splits(files: dict[str, str]) -> None:
    words = " ".join(Page(files["m.explain.html"]).words)
    for expected in ("Leaf by leaf", "The model’s own tree", "split 1 low", "Pairs that act together"):
        assert expected in words


def test_matplotlib_is_left_as_it_was(linear: Case, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    write_both(linear, tmp_path)
    assert dict(mpl.rcParams) == before


def test_documents_are_plain_json(two_classes: Case) -> None:
    explanation = explain_model(two_classes.model, rows=50)
    for document in (
        fit_document(two_classes.model, explanation),
        explain_document(two_classes.model, explanation),
    ):
        text = json.dumps(document, allow_nan=False)
        assert json.loads(text) == document


def test_a_folder_that_is_not_there_is_named(linear: Case, tmp_path: Path) -> None:
    explanation = explain_model(linear.model, rows=20)
    with pytest.raises(InputError, match=r"r\.html: cannot be written"):
        write_fit_report(linear.model, explanation, (tmp_path / "no" / "r.html", tmp_path / "no" / "r.json"))
    assert list(tmp_path.iterdir()) == []


def test_a_history_needs_two_trials() -> None:
    trials: list[dict[str, Any]] = [
        {"number": 0, "state": "complete", "score": 1.0},
        {"number": 1, "state": "failed", "score": None},
    ]
    assert history_figure(trials, "rmse", lower_is_better=True) is None
    trials.append({"number": 2, "state": "pruned", "score": 2.0})
    figure = history_figure(trials, "rmse", lower_is_better=True)
    assert figure is not None
    assert "<svg" in figure.svg


def test_a_calibration_needs_two_bins() -> None:
    bins = [{"predicted": 0.2, "observed": 0.0, "rows": 10}, {"predicted": 0.9, "observed": 1.0, "rows": 10}]
    assert calibration_figure({"reliability": bins[:1]}, "yes") is None
    figure = calibration_figure({"reliability": bins}, "yes")
    assert figure is not None
    assert "predicted probability of yes" in figure.svg


def test_a_wide_table_makes_a_short_page(tmp_path: Path) -> None:
    values = noise(80, 70)
    columns: dict[str, object] = {f"column {k}": row for k, row in enumerate(values)}
    case = fit_case({**columns, "same": [1] * 80, "y": values[:3].sum(0)})
    text = write_both(case, tmp_path)["m.report.html"]
    words = " ".join(Page(text).words)
    assert all(f" column {k} " in words for k in range(70))
    assert "in the JSON" not in words
    assert "dropped" in words
    assert len(text) < 350_000


def test_a_model_that_reacts_to_nothing_has_pages_too(linear: Case, tmp_path: Path) -> None:
    member = linear.model.members[0]
    machines = [leaf for leaf in member.tree.leaves if isinstance(leaf, RFMLeaf)]
    flat = tuple(replace(leaf, coefficients=0 * leaf.coefficients) for leaf in machines)
    model = replace(linear.model, members=(replace(member, tree=replace(member.tree, leaves=flat)),))
    files = write_both(Case(table=linear.table, model=model), tmp_path)
    assert "it depends on no column" in " ".join(Page(files["m.explain.html"]).words)
    Page(files["m.report.html"])


def test_how_values_are_written() -> None:
    assert [write(None) for write in (number, percent, seconds, byte_count, setting)] == [
        "–",
        "–",
        "–",
        "–",
        "none",
    ]
    assert happening({"message": "more jitter", "count": 3}) == "more jitter (3 times)"
    assert happening({"what": "fewer rows", "count": 1}) == "fewer rows"
    assert happening("plain") == "plain"
