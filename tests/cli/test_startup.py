"""Which libraries each command imports: what a user waits for before it answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.processes import run_python
from xrfm_cli.commands.doctor import may_have_gpu
from xrfm_cli.tuning.scoring.metric_names import METRIC_TASKS
from xrfm_cli.tuning.scoring.metrics import METRICS

MODELS = Path(__file__).parents[1] / "models" / "0.2.0"
MODEL = "regression-log-intervals.xrfm"
HEAVY = frozenset({"torch", "pandas", "sklearn", "scipy", "optuna", "matplotlib"})
NUMERICAL = HEAVY | {"numpy", "pyarrow"}
# Runs commands one after the other; after each of them the statuses until then and all that is imported.
# A start time tells the command that the process is its own, as when it is run from a shell.
CODE = """
import json, sys
from xrfm_cli.main import run
found = []
for words in sys.argv[1:]:
    status = run(words.split(), started=0.0)
    found.append([status, sorted(sys.modules)])
print(json.dumps(found))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a table and a model."""
    for name in ("rows.csv", MODEL):
        shutil.copy(MODELS / name, tmp_path)
    return tmp_path


def imported(commands: dict[str, int], place: Path) -> dict[str, set[str]]:
    """Run commands in one process, each to its status: what was imported when each had ended.

    The process adds packages and drops none: where the last one has few, so has any.
    """
    found = json.loads(run_python(CODE, *commands, folder=place).splitlines()[-1])
    assert {words: status for words, (status, _) in zip(commands, found, strict=True)} == commands
    return {
        words: {name.partition(".")[0] for name in modules}
        for words, (_, modules) in zip(commands, found, strict=True)
    }


def test_help_imports_nothing_to_check_values(place: Path) -> None:
    helped = imported({"--version": 0, "--help": 0, "fit --help": 0}, place)
    assert "pydantic" not in helped["fit --help"]  # Typer's newer versions check values with it


def test_what_is_answered_before_a_numerical_library_is_imported(place: Path) -> None:
    answered = {
        "--version": 0,
        "--help": 0,
        "fit --help": 0,
        "predict --help": 0,
        "fit rows.csv --tarket y": 2,
        "fit rows.csv --target y --preset fast": 2,
        "fit rows.csv --target y --trials many": 2,
        "fit rows.csv --target y --metric rmsse": 2,
        "fit rows.csv": 2,
        "fit none.csv --target y": 2,
        "fit rows.csv --target y --valid none.csv": 2,
        "fit rows.csv --from none.xrfm": 2,
        f"predict none.csv --model {MODEL}": 2,
        "predict rows.csv --model none.xrfm": 2,
        "evaluate rows.csv --model none.xrfm": 2,
        "explain --model none.xrfm": 2,
    }
    for words, packages in imported(answered, place).items():
        assert not packages & NUMERICAL, words


def test_what_needs_arrow_alone(place: Path) -> None:
    read = {
        "fit rows.csv --target prise": 2,
        "fit rows.csv --target y --drop nothing": 2,
        f"predict rows.csv --model {MODEL} --id nothing": 2,
        f"evaluate rows.csv --model {MODEL} --by nothing": 2,
        f"info --model {MODEL}": 0,
        "sample wine --output wine.csv": 0,
    }
    for words, packages in imported(read, place).items():
        assert not packages & HEAVY, words


def test_doctor_needs_torch_only_where_there_may_be_a_gpu(place: Path) -> None:
    found = imported({"doctor": 0}, place)["doctor"] & HEAVY
    assert found <= ({"torch"} if may_have_gpu() else set())


@pytest.mark.slow
def test_predictions_need_no_data_frames_and_no_scikit_learn(place: Path) -> None:
    words = f"predict rows.csv --model {MODEL} --output predicted.csv"
    assert imported({words: 0}, place)[words] & HEAVY == {"torch"}


@pytest.mark.slow
def test_a_fit_makes_no_data_frame(place: Path) -> None:
    target = (place / "rows.csv").read_text(encoding="utf-8").splitlines()[0].split(",")[0]
    words = f"fit rows.csv --target {target} --dry-run"
    found = imported({words: 0}, place)[words]
    assert not found & {"pandas", "matplotlib"}
    assert {"torch", "sklearn"} <= found


def test_every_metric_is_known_by_name() -> None:
    assert list(METRICS) == list(METRIC_TASKS)
