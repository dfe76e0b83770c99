"""Shell completion, tested in a real bash with the script that the command prints."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.processes import XRFM, run_process
from xrfm_cli.options import completion
from xrfm_cli.tuning.pins import hyperparameter_names
from xrfm_cli.tuning.scoring.metrics import METRICS

ROOT = Path(__file__).parents[3]
COMPLETE = """
source {script}
COMP_WORDS=({words} "{last}")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_xrfm_completion xrfm
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def printed(shell_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script that the command prints for bash."""
    path = tmp_path_factory.mktemp("completion") / "printed.sh"
    # With a second command, bash stays the parent, which is how the command finds out its shell.
    done = run_process(["bash", "-c", "xrfm --show-completion || exit"], environment=shell_environment)
    assert (done.returncode, done.stderr) == (0, "")
    path.write_text(done.stdout)
    return path


@pytest.mark.slow
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
    words: str,
    last: str,
    expected: list[str],
    printed: Path,
    shell_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    table = pa.table({"area": [1.5, 2.5], "town": ["a", "b"], "price": [1, 2]})
    pyarrow.csv.write_csv(table, tmp_path / "t.csv")
    pq.write_table(table, tmp_path / "t.parquet")
    script = tmp_path / "complete.sh"
    script.write_text(COMPLETE.format(script=printed, words=words, last=last))
    done = run_process(["bash", script], folder=tmp_path, environment=shell_environment)
    assert done.stderr == ""
    assert sorted(done.stdout.splitlines()) == sorted(expected)


RUN = "touch ran"
HOSTILE = [f"$({RUN})", f"`{RUN}`", f"';{RUN};'", f'");{RUN};("', "\\", f" <({RUN}) ", f"=({RUN})", "~", "*"]
ODD = ["price", "sale price", f"a;{RUN}", "tax (EUR)", "[b]", "größe"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shell", "offered"),
    [
        ("bash", ["price", r"sale\ price", r"a\;touch\ ran", r"tax\ \(EUR\)", r"\[b\]", "größe"]),
        ("zsh", [f'"{name}"' for name in ODD]),
        ("fish", ODD),
        ("powershell", ["price", "größe"]),
    ],
)
def test_a_header_gives_no_shell_a_command(
    shell: str, offered: list[str], shell_environment: dict[str, str], tmp_path: Path
) -> None:
    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HOSTILE + ODD, range(len(HOSTILE + ODD))])
    line = "xrfm fit t.csv --target "
    told = {
        "_XRFM_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": "4",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": "",
    }
    done = run_process(XRFM, folder=tmp_path, environment=shell_environment | told)
    assert done.stderr == ""
    printed = done.stdout.removeprefix("_arguments '*: :((").rstrip().removesuffix("))'")
    assert [line.partition(":::")[0] for line in printed.splitlines()] == offered


FIRST_TAB = """
compdef() {{ }}
_arguments() {{ print -r -- $1 }}
words=(xrfm fit t.csv --target '')
CURRENT=5
fpath=({folder} $fpath)
autoload -Uz _xrfm
_xrfm
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_the_first_tab_in_zsh_completes(shell_environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sale price,town\n1,2\n")
    script = FIRST_TAB.format(folder=ROOT / "share" / "zsh" / "site-functions")
    done = run_process(["zsh", "-f", "-c", script], folder=tmp_path, environment=shell_environment)
    assert done.stderr == ""
    assert done.stdout == '*: :(("sale price" "town"))\n'


def test_names_that_are_offered_exist() -> None:
    assert sorted(completion.HYPERPARAMETERS) == sorted(hyperparameter_names())
    assert {name for name, metric in METRICS.items() if metric.lower_is_better} == set(completion.LOSSES)
    assert {name for name, metric in METRICS.items() if not metric.lower_is_better} == set(completion.GAINS)
