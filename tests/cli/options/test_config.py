"""Options win over the environment, the environment over the file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xrfm_cli.commands.registry import COMMANDS, KNOWN
from xrfm_cli.errors import OptionError
from xrfm_cli.options.config import gather, misspelt_variables, resolve


def values(
    *, typed: dict[str, Any] | None = None, environment: dict[str, str] | None = None, command: str = "fit"
) -> dict[str, Any]:
    """Return the values that a command receives."""
    settings = KNOWN[command]
    given = gather(settings, typed or {}, command=command, known=KNOWN, environment=environment or {})
    return resolve(settings, given)


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
    found = values(typed={"config": str(file)})
    assert found == {
        "config": str(file),
        "seed": 7,
        "quiet": True,
        "time_limit": 600.0,
        "trials": 30,
        "drop": ("a", "b, c"),
        "pins": (("kernel", "norm"), ("bandwidth", 5.0)),
        "from_model": "old.xrfm",
    }
    assert values(typed={"config": str(file)}, command="predict")["proba"] is True


def test_the_command_line_wins_over_the_environment_over_the_file(file: Path) -> None:
    environment = {"XRFM_CONFIG": str(file), "XRFM_TRIALS": "20", "XRFM_SEED": "3"}
    found = values(typed={"trials": "10"}, environment=environment)
    assert (found["trials"], found["seed"], found["time_limit"]) == (10, 3, 600.0)


def test_the_environment_has_switches_and_lists() -> None:
    environment = {
        "XRFM_JSON": "yes",
        "XRFM_QUIET": "0",
        "XRFM_DROP": "a, b",
        "XRFM_ID": '["x, y"]',
        "XRFM_TASK": "",
    }
    found = values(environment=environment)
    assert found == {"as_json": True, "quiet": False, "drop": ("a", "b"), "ids": ("x, y",)}


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
def test_what_a_file_cannot_say(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "xrfm.toml"
    path.write_text(text)
    with pytest.raises(OptionError) as fault:
        values(typed={"config": str(path)})
    assert message in str(fault.value)
    assert str(fault.value).startswith(str(path))


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(OptionError, match=r"nowhere\.toml: cannot be read"):
        values(typed={"config": "nowhere.toml"})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("XRFM_TRIALS", "many", "XRFM_TRIALS: 'many' is not a whole number"),
        ("XRFM_QUIET", "perhaps", "XRFM_QUIET: 'perhaps' is neither 1 nor 0"),
        ("XRFM_DROP", "[1", "XRFM_DROP: is not a JSON list"),
    ],
)
def test_what_the_environment_cannot_say(name: str, text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        values(environment={name: text})


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
    options = COMMANDS[command].options
    typed = values(typed=parsed(TYPED[command], command), command=command)
    from_file = values(typed={"config": str(tmp_path / "all.toml")}, command=command)
    del from_file["config"]
    assert options(**from_file) == options(**typed)


def parsed(words: tuple[str, ...], command: str) -> dict[str, Any]:
    """Return flags and their values as the command line passes them."""
    found: dict[str, Any] = {}
    fields = {flag: (name, item) for name, item in KNOWN[command].items() for flag in item.flags}
    rest = list(words)
    while rest:
        name, setting = fields[rest.pop(0)]
        if setting.is_flag:
            found[name] = True
        elif setting.is_repeatable:
            found.setdefault(name, []).append(rest.pop(0))
        else:
            found[name] = rest.pop(0)
    return found


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
