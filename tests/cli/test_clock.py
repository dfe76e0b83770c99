"""The time limit counts from the start of the process, and beside busy processes its end comes early."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tests.processes import run_python, started
from xrfm_cli.clock import Slowdown, seconds_of_thread


@pytest.mark.slow
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_start_of_a_process_is_before_its_first_line(system: str) -> None:
    program = (
        "import time; first = time.monotonic(); time.sleep(1.5)\n"
        "import psutil  # cannot be imported on a pretended system\n"
        "import sys; from xrfm_cli.clock import process_start\n"
        "here = sys.platform; sys.platform = sys.argv[1]\n"
        "print(here, first - process_start())"
    )
    here, seconds = run_python(program, system).split()
    # psutil knows the boot of Linux in whole seconds, which matters where another system is pretended.
    tolerance_s = 0.02 if system == here else 1.02
    assert -tolerance_s <= float(seconds) < 5.0


@pytest.mark.skipif(seconds_of_thread() == (0.0, 0.0), reason="the system does not count waiting")
def test_a_busy_core_doubles_the_time_of_its_work() -> None:
    if sys.platform != "linux":
        raise AssertionError("only Linux counts the seconds of waiting")
    cores = os.sched_getaffinity(0)
    slowdown = Slowdown()
    try:
        os.sched_setaffinity(0, {min(cores)})
        with started([sys.executable, "-c", "print(flush=True)\nwhile True: pass"]) as loop:
            assert loop.stdout is not None
            loop.stdout.readline()
            began = time.thread_time()
            while time.thread_time() < began + 0.3:
                pass
            assert slowdown() > 1.3
    finally:
        os.sched_setaffinity(0, cores)


def test_sleep_is_no_slowdown() -> None:
    slowdown = Slowdown(iter([(1.0, 5.0), (1.5, 5.0)]).__next__)
    assert slowdown() == 1.0


def test_short_work_and_other_systems_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Slowdown(iter([(0.0, 0.0), (0.01, 0.5)]).__next__)() == 1.0
    monkeypatch.setattr("xrfm_cli.clock.SCHEDULE", Path("/nowhere"))
    assert seconds_of_thread() == (0.0, 0.0)
    assert Slowdown()() == 1.0
