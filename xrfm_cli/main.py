"""Entry point of the command ``xrfm``; the only place that turns errors into exit statuses.

0    done
1    a given threshold was missed
2    bad input or usage, explained in one line
3    internal error; --debug shows its traceback
130  interrupted
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, NoReturn

import typer

from xrfm_cli.clock import process_start
from xrfm_cli.commands.registry import application
from xrfm_cli.errors import InputError, did_you_mean
from xrfm_cli.options.completion import SHELL_VARIABLE
from xrfm_cli.options.config import source_of
from xrfm_cli.options.parsing import YES
from xrfm_cli.terminal import streams
from xrfm_cli.terminal.endings import ENDINGS, SignalHandler

DONE, MISSED, BAD_INPUT, FAULT, INTERRUPTED = 0, 1, 2, 3, 130
CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]  # ClickException, wherever typer keeps it


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    if arguments is None:
        started = process_start()
        streams.open_closed_streams()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # an old terminal shows ? for bar characters
        _leave(run(sys.argv[1:], started=started))
    sys.exit(run(arguments))


def _leave(status: int) -> NoReturn:
    """End the process at once; taking the interpreter and torch apart took 0.1 to 0.5 s.

    After an error or an interrupt, library threads may still be running, and exit handlers that wait for them
    could hang or abort.
    """
    if status in (DONE, MISSED):
        atexit._run_exitfuncs()  # as multiprocessing does before it leaves a process
    for flush in (streams.results().flush, streams.messages().flush):
        with contextlib.suppress(OSError, ValueError):  # the exit status is enough
            flush()
    os._exit(status)


def _as_help_option(arguments: list[str]) -> list[str]:
    """Return the arguments with ``help COMMAND`` turned into ``COMMAND --help``.

    >>> _as_help_option(["help", "fit"]), _as_help_option(["fit", "help"])
    (['fit', '--help'], ['fit', 'help'])
    """
    return [*arguments[1:], "--help"] if arguments[:1] == ["help"] else arguments


def run(arguments: Sequence[str], *, started: float | None = None) -> int:
    """Run the command line and return the exit status.

    The time limit counts from ``started``, on the clock of ``time.monotonic``; without it, from now.

    >>> run(["--version"])  # doctest: +ELLIPSIS
    xrfm ...
    0
    """
    is_debugging = "--debug" in arguments or os.environ.get("XRFM_DEBUG", "").lower() in YES
    handlers = _interrupt_on_termination()
    try:
        return _invoke(_as_help_option(list(arguments)), started)
    except InputError as fault:
        return _fail(str(fault), BAD_INPUT)
    except KeyboardInterrupt as interrupt:
        return _fail(str(interrupt) or "interrupted: nothing was saved", INTERRUPTED)
    except BrokenPipeError:
        streams.silence(sys.stdout)  # the reader has closed the pipe
        return DONE
    except OSError as fault:
        if is_debugging:
            traceback.print_exc()
        place = fault.filename if isinstance(fault.filename, str) else "system"
        return _fail(f"{place}: {fault.strerror or fault}", BAD_INPUT)
    except Exception as fault:  # noqa: BLE001 - process boundary: every other error is status 3
        if is_debugging:
            traceback.print_exc()
        kind = type(fault).__name__
        way_out = "" if is_debugging else " (--debug shows where)"
        return _fail(f"internal error: {kind}: {fault}{way_out}", FAULT)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _invoke(arguments: list[str], started: float | None) -> int:
    """Parse and run with typer, converting its usage errors to InputError with our messages."""
    command = application()
    if SHELL_VARIABLE in os.environ:  # the shell asks for completions
        command.main(arguments, prog_name="xrfm")
    try:
        # Not application.main, which has its own messages and statuses for interrupts and broken pipes.
        with command.make_context("xrfm", arguments, obj=started) as context:
            status = command.invoke(context)
    except typer.Exit as end:
        status = end.exit_code
    except SystemExit as end:  # from typer's completion options, or from rich for a closed pipe
        status = DONE if isinstance(end.__context__, BrokenPipeError) else end.code
    except CLICK_ERROR as fault:
        raise InputError(_usage(fault, arguments, command.commands)) from fault
    streams.results().flush()
    return status if isinstance(status, int) else DONE


def _usage(fault: Any, arguments: Sequence[str], commands: Mapping[str, Any]) -> str:
    """Format a usage error as one line that suggests the nearest option or command."""
    if isinstance(fault, typer.BadParameter) and fault.message and fault.param is not None:
        return f"{source_of(fault.ctx, fault.param)}: {fault.message}"
    command = next((name for name in arguments if name in commands), None)
    place = f"xrfm {command}" if command else "xrfm"
    if hasattr(fault, "possibilities"):
        name = str(getattr(fault, "option_name", ""))
        flags = [flag for item in commands[command].params for flag in item.opts] if command else []
        return f"{place}: no option '{name}'.{did_you_mean(name, flags)} See {place} --help"
    words = arguments[0] if arguments else ""
    if command is None and words and not words.startswith("-"):
        return f"xrfm: no command '{words}'.{did_you_mean(words, commands)} See xrfm --help"
    message = str(getattr(fault, "format_message", lambda: fault)()).rstrip(".")
    return f"{place}: {message[:1].lower()}{message[1:]}. See {place} --help"


def _fail(message: str, status: int) -> int:
    """Print an error and return the status."""
    from xrfm_cli.terminal.rendering import print_error  # imports rich, which takes a moment

    print_error(message)
    return status


def _interrupt_on_termination() -> dict[signal.Signals, SignalHandler]:
    """Make termination signals act like Ctrl-C, which keeps the best model. Return the previous handlers.

    A signal that is ignored stays ignored, as SIGHUP is under nohup.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        return {}
    heard = [number for number in ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, interrupt) for number in heard}
