"""Streams whose reader has gone, disks that are full, processes that are ended: nothing partial, one line."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import pytest

from tests.cli.conftest import TINY
from tests.processes import XRFM, run_process, started
from xrfm_cli.commands.common.outputs import open_output
from xrfm_cli.errors import InputError
from xrfm_cli.main import run


@contextmanager
def unheard() -> Iterator[TextIO]:
    """A pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        yield stream


@contextmanager
def full() -> Iterator[TextIO]:
    """A device without room."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no device that is always full")
    with open("/dev/full", "w", encoding="utf-8") as stream:  # noqa: PTH123 - a device, not a path
        yield stream


@contextmanager
def room(size_bytes: int) -> Iterator[None]:
    """No file may become larger, as on a disk that is nearly full."""
    if sys.platform == "win32":
        pytest.skip("Windows has no such limit")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def status_and_words(arguments: list[object], stdout: Any) -> tuple[int, str]:
    """Run the command with its own standard output; return the status and the messages."""
    said = io.StringIO()
    with stdout as stream, redirect_stdout(stream), redirect_stderr(said):
        status = run([str(item) for item in arguments])
        stream.flush()  # as Python does when it ends
    return status, said.getvalue()


def commands(folder: Path, model: Path) -> dict[str, list[object]]:
    return {
        "info": ["info", "--model", model],
        "info --json": ["info", "--model", model, "--json"],
        "predict": ["predict", folder / "new.csv", "--model", model, "--quiet"],
        "--help": ["--help"],
        "--version": ["--version"],
    }


@pytest.mark.parametrize("name", ["info", "info --json", "predict", "--help", "--version"])
def test_a_reader_that_has_gone_is_no_error(name: str, folder: Path, regression: Path) -> None:
    assert status_and_words(commands(folder, regression)[name], unheard()) == (0, "")


@pytest.mark.parametrize("name", ["info", "info --json", "predict"])
def test_standard_output_that_is_full_is_named(name: str, folder: Path, regression: Path) -> None:
    status, said = status_and_words(commands(folder, regression)[name], full())
    assert (status, said.count("\n")) == (2, 1)
    assert said.startswith("error: standard output: cannot be written (No space left on device)")


def test_a_missed_threshold_is_missed_though_nobody_reads_it(folder: Path, regression: Path) -> None:
    arguments = ["evaluate", folder / "test.csv", "--model", regression, "--quiet", "--fail-under", "r2=1"]
    assert status_and_words(arguments, unheard()) == (1, "")


@pytest.mark.parametrize("messages", [unheard, full])
def test_a_fit_goes_on_though_nobody_hears_it(messages: Any, folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.xrfm"
    data, target = folder / "train.csv", ("--target", "price", "--drop", "sold")
    with (
        messages() as err,
        unheard() as out,
        redirect_stderr(err),
        redirect_stdout(out),
    ):
        status = run([str(item) for item in ("fit", data, *target, *TINY, "--model", model)])
    assert status == 0
    names = {"m.xrfm", "m.report.html", "m.report.json"}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_full_disk_leaves_the_old_predictions(
    ending: str, folder: Path, regression: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    path = tmp_path / f"out.{ending}"
    path.write_text("old")
    with room(2_000):
        outcome = xrfm("predict", folder / "new.csv", "--model", regression, "--output", path)
    assert outcome.status == 2
    assert outcome.error.startswith(f"error: {path}: cannot be written (File too large)")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_leaves_the_old_model(
    folder: Path, regression: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    model = tmp_path / "m.xrfm"
    model.write_bytes(regression.read_bytes())
    with room(1_000):
        outcome = xrfm("fit", folder / "train.csv", "--from", model, "--model", model)
    assert outcome.status == 2
    assert outcome.error.startswith(f"error: {model}: cannot be written (File too large)")
    assert model.read_bytes() == regression.read_bytes()
    assert [item.name for item in tmp_path.iterdir()] == ["m.xrfm"]


@pytest.mark.slow
def test_a_model_that_is_saved_is_said_to_be_though_its_report_is_not(
    folder: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    model = tmp_path / "m.xrfm"
    options = ("--trials", "0", "--set", "kernel=linear")  # a model smaller than its report
    refit = ("fit", folder / "train.csv", "--target", "price", *options, "--model", model)
    assert xrfm(*refit).status == 0
    size_bytes = model.stat().st_size
    for path in tmp_path.iterdir():
        path.unlink()
    with room(size_bytes + 100):  # the report is larger
        outcome = xrfm(*refit)
    assert outcome.status == 2
    assert "m.report.html: cannot be written (File too large)" in outcome.error
    assert outcome.error.endswith(f"The model is saved in {model}.")
    assert {item.name for item in tmp_path.iterdir()} == {"m.xrfm"}
    assert xrfm("info", "--model", model).status == 0


def test_a_full_disk_leaves_no_half_explanation(
    regression: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    model = tmp_path / "m.xrfm"
    model.write_bytes(regression.read_bytes())
    with room(1_000):
        outcome = xrfm("explain", "--model", model, "--rows", "30")
    assert outcome.status == 2
    assert "cannot be written (File too large)" in outcome.error
    assert [item.name for item in tmp_path.iterdir()] == ["m.xrfm"]


def test_what_cannot_be_read_is_not_said_to_be_unwritable(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="lost"), open_output(str(tmp_path / "out.csv")):
        raise OSError(5, "the network was lost")
    with (
        pytest.raises(InputError, match=r"out\.csv: cannot be written"),
        open_output(str(tmp_path / "no/out.csv")),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_folder_that_cannot_be_written_is_refused_before_predicting(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    outcome = xrfm("predict", folder / "new.csv", "--model", regression, "--output", "/proc/self/out.csv")
    assert outcome.status == 2
    assert "cannot write in '/proc/self'" in outcome.error
    assert "predicting" not in outcome.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("predict", "SIGTERM"),
        ("predict", "SIGINT"),
        ("predict", "SIGHUP"),
        ("explain", "SIGTERM"),
    ],
)
@pytest.mark.posix("signals")
def test_a_process_that_is_ended_leaves_nothing_partial(
    command: str, number: str, folder: Path, regression: Path, tmp_path: Path
) -> None:
    model = tmp_path / "m.xrfm"
    model.write_bytes(regression.read_bytes())
    (tmp_path / "out.csv").write_text("old")
    header, *lines = (folder / "new.csv").read_text().splitlines()
    (tmp_path / "many.csv").write_text("\n".join([header, *lines * 100]))  # enough for many seconds
    words = [command, "many.csv", "--model", "m.xrfm", "--output", "out.csv"]
    with started([*XRFM, *words], folder=tmp_path) as process:
        deadline = time.monotonic() + 60
        while not any(item.name.startswith(".out.csv.") for item in tmp_path.iterdir()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(getattr(signal, number))
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert messages.splitlines()[-1].startswith("error: interrupted")
    assert "Traceback" not in messages
    assert (tmp_path / "out.csv").read_text() == "old"
    left = {item.name for item in tmp_path.iterdir()}
    assert left - {"m.explain.html", "m.explain.json"} == {"m.xrfm", "many.csv", "out.csv"}


@pytest.mark.slow
@pytest.mark.posix("bash")
def test_streams_that_are_closed_get_no_ones_words(folder: Path, regression: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m xrfm_cli predict {folder / 'test.csv'} --model {regression}"
    script = f"{command} --output out.csv 0<&- 2>&-; echo $?; {command} --quiet >&-; echo $?"
    done = run_process(["bash", "-c", script], folder=tmp_path)
    assert done.stdout == "0\n2\n"
    assert done.stderr.startswith("error: standard output: cannot be written")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 91
