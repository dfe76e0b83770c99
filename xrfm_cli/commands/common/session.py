"""The context of a running command: its start time and its renderer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from xrfm_cli import __version__
from xrfm_cli.clock import Slowdown
from xrfm_cli.commands.common.loading import load_command
from xrfm_cli.options.cores import cpu_quota, usable_cores
from xrfm_cli.options.shared import CommonOptions, MachineOptions
from xrfm_cli.terminal.log_file import open_log
from xrfm_cli.terminal.rendering import Renderer

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# How often torch's waiting threads poll for work before they sleep. By default they keep the cores busy for
# milliseconds, which slows the compiled loops' threads: a leaf of 2,000 rows took 1.7 times as long.
SPIN_VARIABLE, SPINS = "GOMP_SPINCOUNT", "1000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of one command."""

    command: str
    started: float  # on the clock of time.monotonic
    renderer: Renderer
    slowdown: Callable[[], float] = field(default_factory=Slowdown)  # by other processes


@contextmanager
def open_session(command: str, options: CommonOptions, *, started: float | None) -> Iterator[Session]:
    """Check the inputs, import the command's libraries and open a session.

    The session's progress bar is removed in any case. ``started`` is None if the process is not the command's
    own.
    """
    slowdown = Slowdown()
    # Thread pools read these variables once, when their library is first imported.
    if isinstance(options, MachineOptions) and options.threads is not None:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(options.threads)))
    elif cpu_quota() is not None:
        for name in THREAD_VARIABLES:
            os.environ.setdefault(name, str(usable_cores()))
    os.environ.setdefault(SPIN_VARIABLE, SPINS)
    from xrfm_cli.commands.common.inputs import check_inputs  # may import libraries that read these variables
    from xrfm_cli.commands.common.overlaps import check_places
    from xrfm_cli.commands.common.urls import fetch_inputs

    check_places(options)
    with open_log(options.log_file) as log:
        renderer = Renderer(
            is_quiet=options.quiet, is_verbose=options.verbose, is_json=options.as_json, log=log
        )
        renderer.log(f"xrfm {__version__} {command} {getattr(options, 'data', None) or ''}".rstrip())
        try:
            fetch_inputs(options, renderer)
            check_inputs(options)
            with renderer.loading(command):
                load_command(command, owns_process=started is not None)
            yield Session(
                command=command,
                started=time.monotonic() if started is None else started,
                renderer=renderer,
                slowdown=slowdown,
            )
        finally:
            renderer.close()
