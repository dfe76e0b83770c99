"""Options win over the environment, the environment over the file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xrfm_cli.commands.registry import COMMANDS, application, options_of
from xrfm_cli.options.config import misspelt_variables
from xrfm_cli.options.fit_options import FitOptions

NEEDS_DATA = ("fit", "predict", "evaluate")


def options(command: str, *words: str) -> Any:
    """Return the options that a command receives."""
    group = application()
    parent = group.make_context("xrfm", [command])
    data = ["d.csv"] if command in NEEDS_DATA else []
    context = group.commands[command].make_context(command, [*data, *words], parent=parent)
    return options_of(context, COMMANDS[command].options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file with a value of each type."""
    path = tmp_path / "xrfm.toml"
    path.write_text(
        """
        seed = 7
        quiet = true
        [fit]
        time-limit = "10m"
        trials = 30
        drop = ["a", "b, c"]
        set = { kernel = "norm", bandwidth = 5.0 }
        from = "old.xrfm"
        [predict]
        proba = true
        """
    )
    return path


def test_a_file_speaks_to_all_commands_and_to_one(file: Path) -> None:
    found = options("fit", "--config", str(file))
    assert found == FitOptions(
        data="d.csv",
        config=str(file),
        seed=7,
        quiet=True,
        time_limit=600.0,
        trials=30,
        drop=("a", "b, c"),
        pins=(("kernel", "norm"), ("bandwidth", 5.0)),
        from_model="old.xrfm",
    )
    assert options("predict", "--config", str(file)).proba is True


def test_the_command_line_wins_over_the_environment_over_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("XRFM_CONFIG", str(file)), ("XRFM_TRIALS", "20"), ("XRFM_SEED", "3")):
        monkeypatch.setenv(name, value)
    found = options("fit", "--trials", "10")
    assert (found.trials, found.seed, found.time_limit) == (10, 3, 600.0)


def test_the_environment_has_switches_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "XRFM_JSON": "yes",
        "XRFM_QUIET": "0",
        "XRFM_DROP": "a, b",
        "XRFM_ID": '["x, y"]',
        "XRFM_TASK": "",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    expected = FitOptions(data="d.csv", as_json=True, quiet=False, drop=("a", "b"), ids=("x, y",))
    assert options("fit") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trails = 3", "no option 'trails'. Did you mean 'trials'?"),
        ("[fit]\ntrails = 3", "[fit]: no option 'trails'. Did you mean 'trials'?"),
        ("[predict]\ntrials = 3", "[predict]: no option 'trials'."),
        ("[fti]\ntrials = 3", "no option 'fti'. Did you mean 'fit'?"),
        ("fit = 3", "names a command"),
        ("trials = -1", "trials: '-1' is not a whole number"),
        ("trials = true", "trials: needs a value"),
        ("trials = [1, 2]", "trials: takes one value"),
        ("quiet = 1", "quiet: takes true or false"),
        ("trials = ", "is not TOML"),
    ],
)
def test_what_a_file_cannot_say(tmp_path: Path, text: str, message: str, xrfm: Callable[..., Any]) -> None:
    path = tmp_path / "xrfm.toml"
    path.write_text(text)
    outcome = xrfm("fit", "d.csv", "--config", path)
    assert outcome.status == 2
    assert message in outcome.error
    assert outcome.error.startswith(f"error: {path}")


def test_a_file_that_is_not_there(xrfm: Callable[..., Any]) -> None:
    assert "nowhere.toml: cannot be read" in xrfm("fit", "--config", "nowhere.toml").error


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("XRFM_TRIALS", "many", "XRFM_TRIALS: 'many' is not a whole number"),
        ("XRFM_QUIET", "perhaps", "XRFM_QUIET: 'perhaps' is n"),
        ("XRFM_DROP", "[1", "XRFM_DROP: is not a JSON list"),
    ],
)
def test_what_the_environment_cannot_say(
    name: str, text: str, message: str, xrfm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)
    outcome = xrfm("fit", "d.csv")
    assert outcome.status == 2
    assert message in outcome.error


def test_a_misspelt_variable_is_noticed() -> None:
    lines = misspelt_variables(
        {"XRFM_TRAILS": "3", "XRFM_TRIALS": "3", "XRFM_": "", "HOME": "/"}, {"trials", "seed"}
    )
    assert lines == ["XRFM_TRAILS is set but is not an option. Did you mean 'trials'?"]


AWKWARD = 'say "ü"\tin C:\\new\x7f'
TYPED = {
    "fit": (
        "--trials",
        "3",
        "--drop",
        AWKWARD,
        "--drop",
        "7",
        "--set",
        "bandwidth=5",
        "--positive",
        "007",
        "--resume",
    ),
    "predict": ("--id", "a, b", "--interval", "0.9", "--check-drift", "1e-1", "--json"),
    "explain": (
        "--rows",
        "50",
    ),
    "evaluate": ("--fail-under", "r2=0.5", "--fail-over", "rmse=10", "--by", "town"),
    "info": ("--model", "night.xrfm"),
    "doctor": ("--quiet",),
    "sample": ("--output", "cars.csv"),
    "demo": ("--output", "demo", "--no-open"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_printed_configuration_gives_the_same_options(
    command: str, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    printed = xrfm(command, *TYPED[command], "--print-config", folder=tmp_path)
    assert (printed.status, printed.err) == (0, "")
    assert not list(tmp_path.iterdir())
    (tmp_path / "all.toml").write_text(printed.out, encoding="utf-8")
    again = xrfm(command, "--config", "all.toml", "--print-config", folder=tmp_path)
    assert tomllib.loads(again.out) == tomllib.loads(printed.out)
    from_file = options(command, "--config", str(tmp_path / "all.toml"))
    assert replace(from_file, config=None) == options(command, *TYPED[command])


def test_a_printed_configuration_says_where_each_option_comes_from(
    file: Path, xrfm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRFM_WEIGHT", "w")
    page = xrfm("fit", "my data.csv", "--target", "y", "--config", file, "--print-config").out
    assert page.startswith("# The options of: xrfm fit 'my data.csv'\n")
    assert 'target = "y"  # --target\n' in page
    assert 'weight = "w"  # XRFM_WEIGHT\n' in page
    assert f'time_limit = "10m"  # {file}: time_limit\n' in page
    assert "# metric: rmse, auc (binary), log_loss (multiclass)\n" in page


def test_options_that_are_wrong_are_not_printed(xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("fit", "--trials", "many", "--print-config")
    assert outcome.status == 2
    assert "--trials: 'many' is not a whole number" in outcome.error
