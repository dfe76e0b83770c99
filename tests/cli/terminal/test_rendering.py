"""Messages and tables: their text, stream and width."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from rich.text import Text

from xrfm_cli.events import Event
from xrfm_cli.terminal import rendering
from xrfm_cli.terminal.rendering import Renderer
from xrfm_cli.terminal.tables import bar, importances_table, number, scores_table


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_has_rungs_notes_and_counts_but_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    renderer = Renderer()
    renderer.on_event(Event(kind="stage", message="searching"))
    renderer.on_event(Event(kind="progress", message="trial 3", done=0.5))
    renderer.on_event(Event(kind="note", message="5 folds"))
    renderer.on_event(Event(kind="fallback", message="more jitter", count=3))
    renderer.on_event(Event(kind="fallback", message="once", count=1))
    renderer.on_event(Event(kind="repair", message="age: missing", count=1200))
    renderer.on_event(Event(kind="repair", message="1,200 rows left out", count=1200))
    renderer.close()
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.splitlines() == [
        "searching",
        "5 folds",
        "fallback: more jitter (3)",
        "fallback: once",
        "repaired: age: missing (1,200)",
        "repaired: 1,200 rows left out",
    ]


def test_a_long_search_says_from_time_to_time_that_it_lives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "LOG_INTERVAL_S", 0.0)
    timed = Event(kind="progress", message="trial 4", done=0.7, elapsed_s=22.4, limit_s=60.0, hint="Ctrl-C")
    for is_verbose, expected in (
        (True, ["searching", "searching 50% · trial 3", "searching 22/60 s · trial 4"]),
        (False, ["searching"]),
    ):
        renderer = Renderer(is_verbose=is_verbose)
        renderer.on_event(Event(kind="stage", message="searching"))
        renderer.on_event(Event(kind="progress", message="trial 3", done=0.5))
        renderer.on_event(timed)
        assert capsys.readouterr().err.splitlines() == expected


def test_quiet_says_nothing_and_keeps_results(capsys: pytest.CaptureFixture[str]) -> None:
    renderer = Renderer(is_quiet=True)
    renderer.on_event(Event(kind="stage", message="searching"))
    renderer.note("a note")
    renderer.message(Text("more"))
    renderer.result(Text("the result"))
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("the result\n", "")


def test_a_terminal_gets_a_bar_that_is_taken_down(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    renderer = Renderer()
    renderer.on_event(Event(kind="stage", message="searching"))
    renderer.on_event(Event(kind="progress", message="trial 3 [of 9]", done=0.5))
    renderer.on_event(Event(kind="stage", message="refitting"))
    renderer.note("a note [x] :smile:")
    renderer.close()
    seen = terminal.getvalue()
    assert "searching" in seen
    assert "a note [x] :smile:" in seen
    assert seen.rstrip().endswith(("\x1b[2K", "\x1b[?25h"))


def test_a_bar_shows_the_time_limit_the_best_and_what_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    renderer = Renderer()
    renderer.on_event(Event(kind="stage", message="searching"))
    message, hint = "trial 14 · best auc 0.851", "Ctrl-C keeps the best"
    event = Event(kind="progress", message=message, done=0.37, elapsed_s=22.4, limit_s=60.0, hint=hint)
    renderer.on_event(event)
    renderer.close()
    assert f"22/60 s · {message} · {hint}" in terminal.getvalue().replace("\x1b[2m", "").replace(
        "\x1b[0m", ""
    )


def test_rows_have_a_rate_and_a_share_of_a_known_total(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "LOG_INTERVAL_S", 0.0)
    renderer = Renderer(is_verbose=True)
    renderer.stage("predicting")
    renderer.advance_rows(1_000, total=4_000)
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("predicting 25% · 1,000 rows · ")
    assert line.endswith(" rows/s")


def test_json_is_the_only_thing_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    renderer = Renderer(is_json=True)
    renderer.result(Text("a table"))
    renderer.document("info", {"rows": 3, "name": "Ä"})
    out = capsys.readouterr().out
    assert out.startswith('{\n  "schema_version": 1,\n  "command": "info"')
    assert '"name": "Ä"' in out


def test_names_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    items: list[dict[str, Any]] = [
        {"column": f"[bold]{place}:smile:", "share": 0.25, "low": 0.1, "high": 0.4} for place in range(4)
    ]
    Renderer().result(importances_table(items, most=3))
    out = capsys.readouterr().out
    assert "[bold]0:smile:" in out
    assert "1 more" in out
    assert "25.0%" in out


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1e-9, "1.000e-09"),
        (12.3456, "12.35"),
        (-1234.5, "-1,234"),
        (float("nan"), "nan"),
        (None, "-"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_bars_never_leave_their_width() -> None:
    assert [len(bar(share, width=8)) for share in (-1.0, 0.0, 1e-9, 0.5, 1.0, 7.0)] == [0, 0, 1, 4, 8, 8]


def test_the_best_score_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    for lower_is_better, first in ((True, "ridge"), (False, "mean")):
        table = scores_table(
            ("this model", 2.0), [("ridge", 1.0), ("mean", 3.0)], lower_is_better=lower_is_better
        )
        Renderer().result(table)
        lines = capsys.readouterr().out.splitlines()
        assert lines[2].startswith(first)
        assert lines[3].startswith("this model")
