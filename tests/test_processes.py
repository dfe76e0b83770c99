"""Processes that tests start receive signals and end with their test."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.processes import KILLED, run_process, run_python, started

TESTS = Path(__file__).parent


@pytest.fixture(params=["SIGINT", "SIGTERM", "SIGHUP"])
def ignored(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that this process ignores, as under nohup or in a background job."""
    number = getattr(signal, request.param)
    before = signal.signal(number, signal.SIG_IGN)
    yield number
    signal.signal(number, before)


@pytest.mark.posix("signals")
def test_a_signal_that_is_ignored_here_is_heard_there(ignored: signal.Signals) -> None:
    with started(["sleep", "100"]) as process:
        process.send_signal(ignored)
        assert process.wait(timeout=10) == -ignored
    assert signal.getsignal(ignored) is signal.SIG_IGN


@pytest.mark.posix("bash")
def test_nothing_outlives_its_test() -> None:
    with suppress(RuntimeError), started(["bash", "-c", "sleep 100 & echo $!; wait"]) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        raise RuntimeError
    assert process.returncode == -KILLED
    assert has_ended(child)


@pytest.mark.posix("bash")
def test_a_process_that_takes_too_long_is_ended_with_its_children() -> None:
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        run_process(["bash", "-c", "sleep 100 & echo $!; wait"], limit_s=0.5)
    assert has_ended(int(caught.value.stdout or 0))


@pytest.mark.posix("bash")
def test_what_a_process_says_comes_back() -> None:
    done = run_process(["bash", "-c", "cat; echo ü >&2; exit 3"], data="größe")
    assert (done.returncode, done.stdout, done.stderr) == (3, "größe", "ü\n")
    assert run_python("import sys; print(sys.argv[1:])", 1, "x") == "['1', 'x']\n"


def test_all_tests_start_processes_this_way() -> None:
    own = {Path(__file__).name, "processes.py"}
    users = [path for path in TESTS.rglob("*.py") if "import subprocess" in path.read_text(encoding="utf-8")]
    assert {path.name for path in users} == own, "use tests/processes.py"


def has_ended(number: int, *, patience_s: float = 20.0) -> bool:
    """Whether a process that is not ours to wait for ends soon; one that nobody waited for has ended."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            if psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False
