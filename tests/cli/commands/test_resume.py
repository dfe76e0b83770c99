"""``xrfm fit --resume``: killed and interrupted fits continue, through the real command."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from tests.cli.test_interrupts import ENDLESS, start
from tests.processes import KILLED
from xrfm_cli.tuning.model.storage import load_model

Command = Callable[..., Any]
FIT = ("fit", "train.csv", "--target", "price", "--trials", "8", "--folds", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def place(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tables alone."""
    place = tmp_path_factory.mktemp("resume")
    for name in ("train.csv", "test.csv"):
        shutil.copy(folder / name, place)
    return place


@pytest.fixture(scope="module")
def whole(place: Path, xrfm: Command) -> bytes:
    """The model of an uninterrupted fit."""
    outcome = xrfm(*FIT, "--model", "whole.xrfm", folder=place)
    assert outcome.status == 0, outcome.err
    assert not (place / "whole.run").exists()
    return (place / "whole.xrfm").read_bytes()


def stop(
    place: Path, number: signal.Signals, steps: int, *arguments: str, name: str = "stopped"
) -> tuple[int, str]:
    """Start a fit, and send it a signal after this many stored steps; return status and messages."""
    with start(place, *arguments, "--model", f"{name}.xrfm", "--resume") as process:
        until = time.monotonic() + 60
        while len(list((place / f"{name}.run").glob("*.step"))) < steps:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.005)
        process.send_signal(number)
        _, messages = process.communicate(timeout=60)
    return process.returncode, messages


@pytest.mark.slow
def test_a_killed_fit_goes_on_to_the_same_model(place: Path, whole: bytes, xrfm: Command) -> None:
    assert stop(place, KILLED, 5, *FIT)[0] != 0
    assert not (place / "stopped.xrfm").exists()
    outcome = xrfm(*FIT, "--model", "stopped.xrfm", "--resume", folder=place)
    assert outcome.status == 0, outcome.err
    assert "resuming from stopped.run with" in outcome.err
    assert (place / "stopped.xrfm").read_bytes() == whole
    assert not (place / "stopped.run").exists()


@pytest.mark.slow
@pytest.mark.posix("signals")
def test_an_interrupted_fit_goes_on_to_the_same_model(place: Path, whole: bytes, xrfm: Command) -> None:
    status, messages = stop(place, signal.SIGINT, 40, *FIT, *ENDLESS)
    assert status == 130, messages
    assert "the same command continues from stopped.run" in messages
    assert load_model(place / "stopped.xrfm").report.stopped_by == "interrupt"
    outcome = xrfm(*FIT, "--model", "stopped.xrfm", "--resume", folder=place)
    assert outcome.status == 0, outcome.err
    assert (place / "stopped.xrfm").read_bytes() == whole
    assert not (place / "stopped.run").exists()


@pytest.mark.slow
def test_a_fit_in_rungs_goes_on_to_the_same_model(tmp_path: Path, xrfm: Command) -> None:
    for name, n in (("train", 2_500), ("valid", 150)):
        x = np.random.default_rng(n).normal(size=(n, 2)).round(3)
        y = np.sin(2 * x[:, 0]) + 0.1 * x[:, 1]
        pyarrow.csv.write_csv(pa.table({"a": x[:, 0], "b": x[:, 1], "y": y}), tmp_path / f"{name}.csv")
    pin = ("--set", "kernel=linear")  # quick, whatever the number of rows
    arguments = ("fit", "train.csv", "--target", "y", "--valid", "valid.csv", "--trials", "12", *pin)
    stop(tmp_path, KILLED, 4, *arguments)
    models = []
    for name, more in (("stopped", ["--resume"]), ("whole", [])):
        outcome = xrfm(*arguments, "--model", f"{name}.xrfm", *more, folder=tmp_path)
        assert outcome.status == 0, outcome.err
        models.append((tmp_path / f"{name}.xrfm").read_bytes())
    assert models[0] == models[1]


@pytest.fixture(scope="module")
def unfinished(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tables and the checkpoint of a fit that was killed."""
    folder = tmp_path_factory.mktemp("begun")
    for name in ("train.csv", "test.csv"):
        shutil.copy(place / name, folder)
    stop(folder, KILLED, 5, *FIT, name="model")
    return folder


@pytest.fixture
def begun(unfinished: Path, tmp_path: Path) -> Path:
    """A copy of that folder: a checkpoint can be moved."""
    return Path(shutil.copytree(unfinished, tmp_path / "copy"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("--seed 1", "another --seed."),
        ("--metric mae --drop sold", "another --drop and another --metric."),
        ("--set ridge=0.1", "another --set."),
        ("--valid test.csv", "another content of --valid."),
    ],
)
def test_other_options_are_refused(more: str, named: str, begun: Path, xrfm: Command) -> None:
    before = sorted(path.name for path in (begun / "model.run").iterdir())
    outcome = xrfm(*FIT, "--resume", *more.split(), folder=begun)
    assert outcome.status == 2
    assert named in outcome.error
    assert "delete model.run to start anew, or leave out --resume" in outcome.error
    assert sorted(path.name for path in (begun / "model.run").iterdir()) == before


def test_other_data_are_refused(begun: Path, xrfm: Command) -> None:
    text = (begun / "train.csv").read_text()
    (begun / "train.csv").write_text(text.replace("Wien", "Graz", 1))
    outcome = xrfm(*FIT, "--resume", folder=begun)
    assert outcome.status == 2
    assert "another content of DATA." in outcome.error


def test_limits_and_words_may_differ(begun: Path, xrfm: Command) -> None:
    more = "--trials 9 --time-limit 10m --preset best --quiet --json"
    outcome = xrfm(*FIT, "--resume", *more.split(), folder=begun)
    assert outcome.status == 0, outcome.err
    assert len(outcome.document["trials"]) == 9
    assert not (begun / "model.run").exists()


def test_a_damaged_step_is_named(begun: Path, whole: bytes, xrfm: Command) -> None:
    victim = sorted((begun / "model.run").glob("*.step"))[0]
    victim.write_bytes(victim.read_bytes()[:100])
    outcome = xrfm(*FIT, "--resume", folder=begun)
    assert outcome.status == 0, outcome.err
    assert f"model.run/{victim.name}: was damaged, so it was computed again" in outcome.err
    assert (begun / "model.xrfm").read_bytes() == whole


def test_a_fit_without_resume_leaves_the_record_of_another_alone(begun: Path, xrfm: Command) -> None:
    facts = json.loads((begun / "model.run" / "fit.json").read_text())
    assert facts["--seed"] == 0
    assert xrfm(*FIT, "--trials", "1", folder=begun).status == 0
    assert (begun / "model.run" / "fit.json").exists()


def test_a_refit_has_nothing_to_resume(folder: Path, regression: Path, xrfm: Command) -> None:
    outcome = xrfm("fit", "test.csv", "--from", regression.name, "--resume", folder=folder)
    assert outcome.status == 2
    assert "--resume" in outcome.error
