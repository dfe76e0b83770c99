"""Shell completion, tested in a real bash with the script that the command prints."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.processes import run_process
from xrfm_cli.options import completion
from xrfm_cli.tuning.pins import hyperparameter_names
from xrfm_cli.tuning.scoring.metrics import METRICS

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
        ("xrfm fit t.csv --target", "", ["area", "town", "price"]),
        ("xrfm fit t.csv --target price --drop", "t", ["town"]),
        ("xrfm predict t.parquet --id", "a", ["area"]),
        ("xrfm evaluate t.csv --by", "to", ["town"]),
        ("xrfm fit nowhere.csv --target", "", [""]),
        ("xrfm fit - --target", "", [""]),
        ("xrfm fit t.csv --metric", "a", ["auc", "average_precision", "accuracy"]),
        ("xrfm evaluate t.csv --fail-under", "r", ["r2="]),
        ("xrfm fit t.csv --set", "kernel_", ["kernel_p=", "kernel_q="]),
        ("xrfm fit t.csv --device", "c", ["cpu", "cuda"]),
    ],
)
@pytest.mark.posix("bash")
def test_bash_completes(
    words: str, last: str, expected: list[str], shell_environment: dict[str, str], tmp_path: Path
) -> None:
    table = pa.table({"area": [1.5, 2.5], "town": ["a", "b"], "price": [1, 2]})
    pyarrow.csv.write_csv(table, tmp_path / "t.csv")
    pq.write_table(table, tmp_path / "t.parquet")
    script = tmp_path / "complete.sh"
    script.write_text(COMPLETE.format(words=words, last=last))
    done = run_process(["bash", script], folder=tmp_path, environment=shell_environment)
    assert done.stderr == ""
    assert sorted(done.stdout.splitlines()) == sorted(expected)


def test_names_that_are_offered_exist() -> None:
    assert sorted(completion.HYPERPARAMETERS) == sorted(hyperparameter_names())
    assert {name for name, metric in METRICS.items() if metric.lower_is_better} == set(completion.LOSSES)
    assert {name for name, metric in METRICS.items() if not metric.lower_is_better} == set(completion.GAINS)
