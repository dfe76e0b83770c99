"""The time limit counts from the start of the process."""

from __future__ import annotations

from tests.processes import run_python


def test_the_start_of_a_process_is_before_its_first_line() -> None:
    program = (
        "import time; first = time.monotonic(); time.sleep(0.3)\n"
        "from xrfm_cli.commands.clock import process_start\n"
        "print(first - process_start())"
    )
    assert -0.02 <= float(run_python(program)) < 5.0
