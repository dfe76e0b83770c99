"""``xrfm demo``: fit a sample table and show the report."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from xrfm_cli.commands.common.overlaps import check_places
from xrfm_cli.commands.common.places import report_paths
from xrfm_cli.commands.common.session import Session
from xrfm_cli.commands.fit import fit_table
from xrfm_cli.commands.sample import write_sample
from xrfm_cli.datasets.sample_tables import find_sample, sample_path
from xrfm_cli.errors import OptionError
from xrfm_cli.options.declarations import DemoOptions
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.terminal.tables import heading, linked

TRIALS = 10  # about eight seconds on one core, and clearly better than ridge regression
FACTS = ("task", "target", "rows", "metric", "score", "lower_is_better", "baselines")


def run(options: DemoOptions, session: Session) -> int:
    """Write the sample table of cars, fit a model and show the report."""
    sample, folder = find_sample("autos"), Path(options.folder)
    _make(folder)
    data, model = folder / sample.file, folder / "demo.xrfm"
    fit = FitOptions(data=str(data), target=sample.target, trials=TRIALS, model=str(model))
    if not data.exists():
        write_sample(sample, data)
    elif not data.is_file() or data.read_bytes() != sample_path(sample.file).read_bytes():
        raise OptionError(f"{data}: exists and is not the sample table; choose another folder with --output")
    check_places(fit)
    status, document = fit_table(fit, session)
    report = report_paths(str(model))[0].resolve()
    opened = status == 0 and not (options.no_open or options.as_json or options.quiet)
    opened = opened and can_open_browser(os.environ, sys.platform) and webbrowser.open(report.as_uri())
    session.renderer.result(
        heading("Report" if opened else "Report, to open in a browser"),
        linked(report),
    )
    facts = {name: document[name] for name in FACTS}
    files = {"data": str(data), "model": str(model), "report": str(report)}
    session.renderer.document("demo", files | {"opened": opened} | facts)
    return status


def can_open_browser(environment: Mapping[str, str], platform: str) -> bool:
    """Return whether a user sits at a screen: a terminal, a display, and no CI.

    >>> can_open_browser({"CI": "true", "DISPLAY": ":0"}, "linux")
    False
    """
    if environment.get("CI") or not (sys.stdout.isatty() and sys.stderr.isatty()):
        return False
    if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return True
    return platform in ("win32", "darwin") and "SSH_CONNECTION" not in environment


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as fault:
        raise OptionError(f"--output {folder}: is a file or inside one; give a folder") from fault
