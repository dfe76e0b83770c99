"""Commands that users paste into their shell."""

from __future__ import annotations

import pytest

from tests.processes import run_process
from xrfm_cli.options.shell_words import shell_line

WORDS = ["plain", "two words", "it's", "$HOME", "a&b", "(x)", "%PATH%", "größe.csv", "*"]


@pytest.mark.posix("a POSIX shell")
def test_a_posix_shell_reads_the_words_back() -> None:
    line = shell_line(["printf", r"%s\n", *WORDS], is_windows=False)
    assert run_process(["sh", "-c", line]).stdout.splitlines() == WORDS


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (r"C:\data\new.csv", r"C:\data\new.csv"),
        (r"C:\my data\new.csv", r'"C:\my data\new.csv"'),
        ("größe.csv", "größe.csv"),
        ("a&b.csv", '"a&b.csv"'),
        ("it's.csv", '"it\'s.csv"'),
        ("(x);{y}@,.csv", '"(x);{y}@,.csv"'),
        ("$x.csv", "'$x.csv'"),
        ("$it's.csv", "'$it''s.csv'"),
        ("my folder\\", '"my folder\\\\"'),
        ("", '""'),
    ],
)
def test_words_for_windows(word: str, expected: str) -> None:
    assert shell_line(["xrfm", word], is_windows=True) == f"xrfm {expected}"
