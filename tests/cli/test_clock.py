"""The time limit counts from the start of the process."""

from __future__ import annotations

import pytest

from tests.processes import run_python


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
