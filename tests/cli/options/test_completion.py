"""Shell completion, tested in a real bash with the script that the command prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import run_process

COMPLETE = """
source <(xrfm --show-completion)
COMP_WORDS=({words} "{last}")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_xrfm_completion xrfm
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "last", "expected"),
    [
        ("xrfm", "", ["fit", "predict", "explain", "evaluate", "info", "doctor", "sample", "demo"]),
        ("xrfm", "pre", ["predict"]),
        ("xrfm fit", "--tim", ["--time-limit", "--time"]),
        ("xrfm fit data.csv --preset", "b", ["balanced", "best"]),
        ("xrfm predict", "new", [""]),  # bash offers files then
    ],
)
@pytest.mark.posix("bash")
def test_bash_completes(
    words: str, last: str, expected: list[str], shell_environment: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "complete.sh"
    script.write_text(COMPLETE.format(words=words, last=last))
    done = run_process(["bash", script], environment=shell_environment)
    assert done.stderr == ""
    assert sorted(done.stdout.splitlines()) == sorted(expected)
