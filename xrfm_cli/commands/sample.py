"""``xrfm sample``: write a sample table that ships with the package."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets.sample_tables import SAMPLES, Sample, find_sample, sample_path
from xrfm_cli.errors import OptionError
from xrfm_cli.files import write_whole
from xrfm_cli.options.declarations import SampleOptions
from xrfm_cli.options.shell_words import shell_line
from xrfm_cli.printable import printable
from xrfm_cli.terminal.tables import facts_table, heading


def run(options: SampleOptions, session: Session) -> int:
    """Write one sample table, or list all of them."""
    if options.name is None:
        if options.output is not None:
            raise OptionError("--output: name the sample to write there, such as xrfm sample autos")
        session.renderer.result(
            facts_table("Sample tables", {item.name: item.summary for item in SAMPLES}),
            heading("Next"),
            Text("  xrfm sample autos", no_wrap=True),
        )
        session.renderer.document("sample", {"samples": [asdict(item) for item in SAMPLES], "written": None})
        return 0
    sample = find_sample(options.name)
    path = Path(options.output or sample.file)
    ending = Path(sample.file).suffix
    if path.suffix != ending:
        raise OptionError(f"--output {path}: the sample is a {ending} file; end the name in {ending}")
    if path.exists() or path.is_symlink():
        raise OptionError(f"{path}: exists already; choose another name with --output")
    write_sample(sample, path)
    command = ["xrfm", "fit", str(path), "--target", sample.target]
    session.renderer.result(
        Text(printable(f"{path}: {sample.summary}")),
        heading("Next"),
        Text(printable(f"  {shell_line(command)}"), no_wrap=True),
    )
    session.renderer.document("sample", {"samples": [asdict(sample)], "written": str(path)})
    return 0


def write_sample(sample: Sample, path: Path) -> None:
    """Copy a sample table out of the package."""
    write_whole(path, sample_path(sample.file).read_bytes())
