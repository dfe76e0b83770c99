"""Refuse wrong inputs at once: the libraries of a command take seconds to import.

Everything is checked again, and more strictly, when the inputs are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xrfm_cli.commands.common.usage import check_usage
from xrfm_cli.datasets.column_names import find_name
from xrfm_cli.datasets.files.finding import find_files
from xrfm_cli.datasets.files.opening import is_arrow, is_stream, open_bytes
from xrfm_cli.errors import InputError, SchemaError, did_you_mean
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.shared import CommonOptions
from xrfm_cli.trees.model_file import check_is_file
from xrfm_cli.tuning.scoring.metric_names import check_metric_name

if TYPE_CHECKING:
    from xrfm_cli.options.shared import ReadingOptions

NAMED_COLUMNS = (
    "target", "weight", "offset", "group", "time", "ids", "drop", "categorical", "numeric", "datetime", "by",
)  # fmt: skip
HEAD_BYTES = 1 << 20  # in which a column name is looked for before the header is parsed; some 100,000 names


def check_inputs(options: CommonOptions) -> None:
    """Raise InputError for contradictory options, an absent file, an unknown metric or an absent column."""
    check_usage(options)
    model = getattr(options, "model", None)
    columns = list(_named_columns(options))
    if isinstance(options, FitOptions):
        check_metric_name(options.metric)
        model = options.from_model
        columns = columns if model is None else []  # the model says which columns are read
    for path in (model, getattr(options, "transfer_from", None)):
        if path is not None:
            check_is_file(Path(path))
    for name, needed in (("data", columns), ("valid", [])):
        given = getattr(options, name, None)
        if given is not None:
            _check_table(given, options, needed)


def _named_columns(options: CommonOptions) -> Iterator[str]:
    """Yield the columns that the options name."""
    for option in NAMED_COLUMNS:
        given = getattr(options, option, None) or ()
        yield from (given,) if isinstance(given, str) else given


def _check_table(given: str, options: CommonOptions, columns: Sequence[str]) -> None:
    """Refuse a table that does not exist or, if it is one text file, lacks one of the columns."""
    found = find_files(given)
    if found.root is not None or is_stream(found.files[0]):
        return
    path = found.files[0]
    with open_bytes(path) as stream:
        head: bytes = stream.read(HEAD_BYTES)
    missing = [name for name in columns if name.encode() not in head]
    if not missing or is_arrow(path):
        return
    # Quoted names and other encodings are spelled differently there: the parsed header decides.
    names = _header(path, options)  # type: ignore[arg-type]
    for name in missing:
        if names and find_name(name, names) is None:
            raise SchemaError(f"{path}: no column '{name}'.{did_you_mean(name, names)}")


def _header(path: Path, options: ReadingOptions) -> Sequence[str]:
    """Return the column names of a text file; none if it cannot be read, which the reader explains."""
    from xrfm_cli.commands.common.reading import read_options
    from xrfm_cli.datasets.text.sniffing import sniff

    try:
        return sniff(path, read_options(options)).names
    except InputError:
        return ()
