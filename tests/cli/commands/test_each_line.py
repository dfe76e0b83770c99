"""``predict - --each-line`` answers a line while standard input is open, as ``predict`` answers tables."""

from __future__ import annotations

import io
import json
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tests.cli.conftest import Command, Outcome, run_here
from tests.processes import PIPE, XRFM, ByteProcess, run_python, started
from xrfm_cli.commands.common.drift_monitor import TOGETHER_ROWS, DriftMonitor
from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Table
from xrfm_cli.terminal.rendering import Renderer
from xrfm_cli.tuning.model.storage import load_model

ROWS = ["1.0,a", "2.5,b", "-1,a", ",b"]
LINES = ("predict", "-", "--each-line")
SERVICE = (*XRFM, *LINES)
PAGE = Path(__file__).parents[3] / "docs" / "service.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a table."""
    place = tmp_path_factory.mktemp("lines")
    lines = [f"{k / 10},{'ab'[k % 2]},{k / 10 + k % 2}" for k in range(60)]
    (place / "t.csv").write_text("\n".join(["x,kind,y", *lines]) + "\n", encoding="utf-8")
    (place / "new.csv").write_text("\n".join(["x,kind", *ROWS]) + "\n", encoding="utf-8")
    done = run_here("fit", "t.csv", "--target", "y", "--trials", "0", folder=place)
    assert done.status == 0, done.err
    return place


def ask(process: ByteProcess, lines: Sequence[str | bytes]) -> list[str]:
    """Write each line once the one before is answered; return the answers."""
    assert process.stdin is not None
    assert process.stdout is not None
    answers = []
    for line in lines:
        process.stdin.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
        process.stdin.flush()
        answers.append(process.stdout.readline().decode().rstrip("\n"))
    return answers


def test_rows_one_by_one_are_observed_as_a_table(folder: Path) -> None:
    rows = 2 * TOGETHER_ROWS + 40
    numbers = [str(k % 90 / 10 - 1) for k in range(rows)]
    table = Table(pa.table({"x": numbers, "kind": ["a", "b"] * (rows // 2)}), "t.csv")
    model = load_model(folder / "model.xrfm")
    session = Session(command="predict", started=0.0, renderer=Renderer(is_quiet=True))
    documents = []
    for is_together in (True, False):
        monitor = DriftMonitor(model, path="model.xrfm", threshold=0.1, allows_absent=False)
        for start in range(0, rows, rows if is_together else 1):
            block = replace(table, data=table.data.slice(start, rows if is_together else 1))
            (monitor.look if is_together else monitor.look_later)(block)
        monitor.tell(session)
        documents.append(monitor.document())
    assert documents[0] == documents[1]
    (x,) = documents[0]["out_of_range"]
    values = [float(number) for number in numbers]
    assert (x["below"], x["above"]) == (sum(v < 0 for v in values), sum(v > 5.9 for v in values))


@pytest.mark.slow
def test_each_line_is_answered_before_the_next_is_written(folder: Path, xrfm: Command) -> None:
    whole = xrfm("predict", "new.csv", "--id", "x", folder=folder).out.splitlines()
    with started([*SERVICE, "--id", "x"], folder=folder, text=False, stdin=PIPE) as process:
        found = ask(process, ["x,kind", *ROWS, "1,2,3", '"1', b"1,\xff", "2.5,b"])
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest == b""
    assert found == [*whole, "", "", "", whole[2]]
    messages = errors.decode()
    assert "line 6: 3 cells, but the header has 2" in messages
    assert "line 7: not a line of CSV" in messages
    assert "line 8: not text in this encoding; give --encoding" in messages
    assert "missing cells in 1 column: x (1)" in messages
    assert "x: 1 below the training range" in messages
    assert "5 lines answered, 3 refused" in messages


@pytest.mark.slow
def test_json_objects_are_answered_by_json_objects(folder: Path, xrfm: Command) -> None:
    _, *whole = xrfm("predict", "new.csv", folder=folder).out.splitlines()
    rows = [
        '{"x": 1.0, "kind": "a", "more": true}',
        '{"kind": "b", "x": 2.5}',
        '{"x": -1, "kind": "a"}',
        '{"x": null, "kind": "b"}',
    ]
    faults = {
        '{"x": 1.0}': "line 5: no column 'kind', which the model needs",
        '{"x": 1.0': "line 6: not JSON",
        "[1.0]": "line 7: not a JSON object of columns",
        '{"x": [1.0], "kind": "a"}': "line 8: column 'x' holds a JSON list",
        '{"x": 1.0, "kind": "\\ud800"}': "line 9: not text",
    }
    with started(SERVICE, folder=folder, text=False, stdin=PIPE) as process:
        found = [json.loads(line) for line in ask(process, [*rows, *faults, rows[0]])]
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest == b""
    predicted = [{"prediction": float(line)} for line in whole]
    assert found[: len(rows)] == predicted
    assert found[-1] == predicted[0]
    refused = found[len(rows) : -1]
    for answer, message in zip(refused, faults.values(), strict=True):
        assert answer["error"].startswith(message)
        assert message in errors.decode()


def answer(text: str, *options: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """Run the service in this process, with all lines on its standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    return run_here(*LINES, *options, folder=folder)


def test_columns_are_copied_and_may_be_absent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--keep-columns", "--allow-missing-columns")
    text = '{"x": 2.5, "name": "größe"}\n{"prediction": 1, "x": 2.5}\n'
    done = answer(text, *options, folder=folder, monkeypatch=monkeypatch)
    found = [json.loads(line) for line in done.out.splitlines()]
    assert found[0].keys() == {"x", "name", "prediction"}
    assert found[0]["name"] == "größe"
    assert "already has a column 'prediction'" in found[1]["error"]
    assert "missing cells in 1 column: kind (1)" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.posix("signals")
def test_a_signal_ends_the_service_with_status_0(folder: Path, number: signal.Signals) -> None:
    with started(SERVICE, folder=folder, text=False, stdin=PIPE) as process:
        ask(process, ["x,kind", ROWS[0]])
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest == b""
    assert "stopped: 1 line answered" in errors.decode()
    assert "Traceback" not in errors.decode()


@pytest.mark.parametrize("text", ["", "\n\n", ",,\n"])
def test_input_without_columns_is_refused(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = answer(text, folder=folder, monkeypatch=monkeypatch)
    assert done.status == 2
    assert "is empty; the first line must name the columns or be a JSON object" in done.error


@pytest.mark.slow
@pytest.mark.posix("a script on the path")
def test_the_python_of_the_page_runs(folder: Path, shell_environment: dict[str, str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    out = run_python(block, folder=folder, environment=shell_environment)
    assert float(out) == pytest.approx(3.5, abs=0.5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("new.csv --each-line", "--each-line: reads standard input; write - in place of new.csv"),
        ("- --each-line --output p.csv", "--each-line: --output is for whole tables; leave it out"),
        ("- --each-line --check-drift 0.2", "--each-line: --check-drift is for whole tables"),
        ("- --each-line --json", "--each-line: a line that is a JSON object gets one; leave out --json"),
    ],
)
def test_options_of_whole_tables_are_refused(folder: Path, xrfm: Command, words: str, message: str) -> None:
    done = xrfm("predict", *words.split(), folder=folder)
    assert done.status == 2
    assert message in done.err
