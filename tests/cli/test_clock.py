"""The time limit counts from the start of the process."""

from __future__ import annotations

import subprocess
import sys


def test_the_start_of_a_process_is_before_its_first_line() -> None:
    program = (
        "import time; first = time.monotonic(); time.sleep(0.3)\n"
        "from xrfm_cli.commands.clock import process_start\n"
        "print(first - process_start())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert -0.02 <= float(done.stdout) < 5.0
