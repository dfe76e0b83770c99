"""The benchmark page, its charts and the block in README are made from the results."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import accuracy, measurements, page, ranking, tables
from benchmarks.measurements import RESULTS, ROOT, Measurement, Recorder, read

MOST_LINES = 120
SUITES = sorted(path.stem for path in RESULTS.glob("*.jsonl"))


def test_pages_and_charts_are_what_the_results_say() -> None:
    stale = [
        str(path)
        for path, text in page.pages().items()
        if not (ROOT / path).exists() or (ROOT / path).read_bytes() != text.encode("utf-8")
    ]
    assert not stale, "run `python -m benchmarks.page`"


def test_the_page_is_short() -> None:
    assert len((ROOT / page.PAGE).read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_charts_are_valid_and_follow_the_colour_scheme() -> None:
    for path in (ROOT / page.CHART_FOLDER).glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("suite", SUITES)
def test_lines_keep_their_form(suite: str) -> None:
    lines = (RESULTS / f"{suite}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = read(suite)
    assert [row.to_line() for row in rows] == lines
    assert all(row.suite == suite for row in rows)
    assert all(row.value is not None or "failed" in row.extra for row in rows)
    assert all(row.method == measurements.OURS or row.commit is None for row in rows)


def test_a_recorder_appends_lines_that_read_back(tmp_path: Path) -> None:
    path = tmp_path / "made" / "speed.jsonl"
    for value in (1.5, 2.5):
        Recorder("speed", path).add("rows", "seconds", value, setting="one", extra={"rows": 3})
    Recorder("speed", path).add("rows", "seconds", 9.0, method="catboost")
    mine, newer, other = read("speed", path.parent)
    assert (mine.value, newer.value, newer.extra) == (1.5, 2.5, {"rows": 3})
    assert newer.machine == measurements.describe_machine()
    assert other.commit is None
    assert tables.latest([mine, newer], table="rows") == newer


def test_a_new_measurement_changes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in RESULTS.glob("*.jsonl"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    row = Measurement(
        seed=0, time_limit_s=60.0, suite="core", table="kin8nm", method="xrfm", metric="error", value=0.0123
    )
    with (tmp_path / "core.jsonl").open("a", encoding="utf-8") as file:
        file.write(row.to_line() + "\n")
    monkeypatch.setattr(ranking, "read", lambda suite: read(suite, tmp_path))
    made = page.pages()
    assert "**0.0123**" in made[page.PAGE]
    best = {standing.method: standing.best_on for standing in ranking.compare(ranking.COMPARED)[0]}
    assert best["xrfm"] == 8


def test_ties_share_a_rank_and_a_zero_has_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"xrfm": (0.0, 2.0), "catboost": (0.0, 1.0), "lightgbm": (3.0, 4.0)}
    errors = {
        method: {
            str(k): Measurement(suite="core", table=str(k), method=method, metric="error", value=value)
            for k, value in enumerate(row)
        }
        for method, row in values.items()
    }
    monkeypatch.setattr(ranking, "core_errors", lambda: errors)
    standings, names = ranking.compare(("xrfm", "catboost", "lightgbm"))
    assert names == ["0", "1"]
    assert [(s.method, s.mean_rank, s.best_on, s.mean_gap_percent) for s in standings] == [
        ("catboost", 1.25, 2, 0.0),
        ("xrfm", 1.75, 1, 100.0),
        ("lightgbm", 3.0, 0, 300.0),
    ]


def test_a_line_of_the_harness_becomes_a_measurement(tmp_path: Path) -> None:
    document = json.loads(
        '{"dataset": "yacht", "peer": "xrfm", "budget": 60.0, "seed": 1, "fit_s": 58.6, "predict_s": 2.9, '
        '"peak_mb": 475, "error": 0.03, "rmse": 0.4, "d": 6}'
    )
    recorder = Recorder("core", tmp_path / "core.jsonl")
    row = recorder.add("yacht", "error", **accuracy.to_facts(document, "error", "--preset quick"))
    assert (row.value, row.seconds, row.seed, row.time_limit_s) == (0.03, 58.6, 1, 60.0)
    assert row.extra == {"predict_s": 2.9, "peak_mb": 475, "rmse": 0.4}
    failed = accuracy.to_facts(
        {"peer": "catboost", "budget": 60.0, "seed": 0, "failed": "no end"}, "error", None
    )
    row = recorder.add("yacht", "error", **failed)
    assert (row.value, row.time_limit_s, row.extra) == (None, None, {"failed": "no end"})


def test_a_missing_block_is_named() -> None:
    with pytest.raises(ValueError, match="accuracy"):
        page.replace_block("no block here", "accuracy", "text")
