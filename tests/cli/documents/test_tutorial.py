"""Shell commands of the documents, run as a reader would, but with fewer trials in the tutorial."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.documents.blocks import run_block, run_shell

ROOT = Path(__file__).parents[3]
BARS = re.compile(r"[▏▎▍▌▋▊▉█]+")
SECONDS = re.compile(r"\d+\.\d s\b")
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
TOLERANCE = 0.2  # another kind of processor rounds otherwise, and a trial may take another turn


@pytest.mark.posix("bash")
@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path, shell_environment: dict[str, str]) -> None:
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == page.count("```") // 2
    for block in blocks:
        run_block(re.sub(r"(--trials|trials =) 5", r"\1 1", block), tmp_path, shell_environment)
    made = {path.name for path in tmp_path.iterdir()}
    assert {"model.report.html", "evaluation.json", "predictions.csv", "attributions.csv"} <= made
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 1 + 201 // 5


@pytest.mark.posix("bash")
@pytest.mark.slow
def test_the_session_in_the_readme_prints_what_stands_there(
    tmp_path: Path, shell_environment: dict[str, str]
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (session,) = re.findall(r"```console\n(.*?)```", readme, flags=re.DOTALL)
    parts = re.split(r"^\$ (.*)\n", session, flags=re.MULTILINE)[1:]
    assert len(parts) >= 4
    for command, expected in zip(parts[::2], parts[1::2], strict=True):
        printed = run_shell(command, tmp_path, shell_environment)
        assert words(printed) == words(expected)
        assert numbers(printed) == pytest.approx(numbers(expected), rel=TOLERANCE)


def words(text: str) -> list[str]:
    """The words of each line, without what depends on the machine's speed and rounding."""
    return NUMBER.sub("0", BARS.sub("", SECONDS.sub("", text))).split()


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in NUMBER.findall(SECONDS.sub("", text))]
