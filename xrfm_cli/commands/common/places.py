"""Find the files that a command reads and writes, from its options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xrfm_cli.datasets.files.finding import find_files
from xrfm_cli.datasets.files.rejects import rejects_path
from xrfm_cli.errors import InputError, OptionError
from xrfm_cli.options.explain_options import ExplainOptions
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.settings import flag_of
from xrfm_cli.options.shared import CommonOptions, ReadingOptions
from xrfm_cli.urls import ADDRESS, is_copy, is_on_web, without_secrets
from xrfm_cli.windows_names import why_no_file

TABLES = {"data": "the table that is read", "valid": "the table of --valid"}
INPUTS = {
    "from_model": "the model of --from",
    "transfer_from": "the model of --transfer-from",
    "compare": "the model of --compare",
    "config": "the file of --config",
}
OUTPUTS = ("output", "log_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Files that are read."""

    what: str  # for messages
    given: str
    files: tuple[Path, ...]  # all members of a glob or a folder
    may_be_replaced_by: str = ""  # the field of the only option that may replace them


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file or a folder that is written."""

    name: str  # field name of the option
    option: str  # the option with its value, for messages
    path: Path
    part: str = ""  # such as "its report", for a file whose name is derived from the option's value
    is_tried: bool = True  # check write access beforehand; False if it is opened at once or may not be needed

    @property
    def subject(self) -> str:
        """The beginning of messages about this file."""
        return f"{self.option}:" + (f" {self.part} {self.path}" if self.part else "")


def find_reads(options: CommonOptions) -> Iterator[Read]:
    """Yield the files that a command reads, with all members of globs and folders."""
    for name, what in TABLES.items():
        given = getattr(options, name, None)
        if given is not None:
            yield Read(what=what, given=given, files=_table_files(given))
    single = dict(INPUTS)
    if not isinstance(options, FitOptions):
        single["model"] = "the model that is read"
    elif options.schema and Path(options.schema).exists():
        single["schema"] = "the file of --schema"
    for name, what in single.items():
        given = getattr(options, name, None)
        if given is not None:
            # A refit may replace its own source model, which is read completely beforehand.
            successor = "model" if name == "from_model" else ""
            yield Read(what=what, given=given, files=(Path(given),), may_be_replaced_by=successor)


def find_writes(options: CommonOptions) -> Iterator[Written]:
    """Yield the files and folders that a command writes."""
    for name in OUTPUTS:
        given = getattr(options, name, None)
        if given is not None:
            yield _written(options, name, Path(given), is_tried=name != "log_file")
    if isinstance(options, FitOptions):
        yield from _fit_writes(options)
    if isinstance(options, ExplainOptions):
        for path in explain_paths(options.model):
            yield _written(options, "model", path, part="its explanation")
    if isinstance(options, ReadingOptions) and options.bad_rows == "skip":
        tables = [getattr(options, name, None) for name in TABLES]
        texts = [given for given in tables if given is not None and not Path(given).is_dir()]
        for file in dict.fromkeys(file for given in texts for file in _table_files(given)):
            yield _written(
                options, "bad_rows", rejects_path(file), part="the file of rejected rows", is_tried=False
            )


def _fit_writes(options: FitOptions) -> Iterator[Written]:
    if options.schema is not None and not Path(options.schema).exists():
        yield _written(options, "schema", Path(options.schema))
    if options.dry_run:
        return
    yield _written(options, "model", Path(options.model))
    for path in report_paths(options.model, options.formats):
        yield _written(options, "model", path, part="its report")
    if options.resume:
        yield _written(
            options, "model", checkpoint_folder(options.model), part="its checkpoint", is_tried=False
        )
    storage = None if options.storage is None else _storage_file(options.storage)
    if storage is not None:
        yield _written(options, "storage", storage, is_tried=False)


def beside(model: str, ending: str) -> Path:
    """Return a path beside the model file, named after it; in this folder for a model on a web server."""
    path = Path(model)
    if is_on_web(path):  # nothing can be written there
        path = Path(path.name)
    if not path.name:
        raise OptionError(f"{model}: is a directory; give the name of a file")
    return path.with_name(f"{path.name.removesuffix('.xrfm')}.{ending}")


def report_paths(model: str, formats: str = "html,json") -> tuple[Path, ...]:
    """Return the paths of a model's report, in the order of the formats.

    >>> [path.name for path in report_paths("models/night.xrfm")]
    ['night.report.html', 'night.report.json']
    """
    return tuple(beside(model, f"report.{name}") for name in formats.split(","))


def explain_paths(model: str) -> tuple[Path, Path]:
    """Return the paths of a model's explanation."""
    return beside(model, "explain.html"), beside(model, "explain.json")


def checkpoint_folder(model: str) -> Path:
    """Return the folder of a fit's checkpoint.

    >>> checkpoint_folder("models/night.xrfm").name
    'night.run'
    """
    return beside(model, "run")


def _table_files(given: str) -> tuple[Path, ...]:
    """Return the files of a table; the path itself if there are none, which the reader reports better."""
    if is_copy(Path(given)):  # is not downloaded yet
        return (Path(given),)
    try:
        return find_files(given).files
    except (InputError, OSError):
        return (Path(given),)


def _storage_file(storage: str) -> Path | None:
    """Return the file of a shared study; None for a database server.

    >>> _storage_file("sqlite:///tuning.db?mode=rwc"), _storage_file("postgresql://host/db")
    (PosixPath('tuning.db'), None)
    """
    if "://" not in storage:
        return Path(storage)
    scheme, _, rest = storage.partition(":///")
    file = rest.partition("?")[0]
    return Path(file) if scheme.startswith("sqlite") and file and not file.startswith(":") else None


def _written(
    options: CommonOptions, name: str, path: Path, *, part: str = "", is_tried: bool = True
) -> Written:
    option = f"{flag_of(type(options), name)} {getattr(options, name)}"
    return Written(name=name, option=option, path=path, part=part, is_tried=is_tried)


def check_names(options: CommonOptions) -> None:
    """Refuse strings that cannot be file names."""
    for name in (*TABLES, *INPUTS, *OUTPUTS, "model", "schema", "storage", "folder"):
        value = getattr(options, name, None)
        if value is not None:
            _check_name(flag_of(type(options), name), name, value)


def _check_name(flag: str, name: str, value: str) -> None:
    place = f"{flag} {value}" if flag else value
    if "\0" in value:
        raise OptionError(f"{flag or 'DATA'}: contains a NUL character; give the name of a file")
    if ADDRESS.match(value) and name != "storage" and not Path(value).exists():
        raise OptionError(f"{without_secrets(place)}: cannot be at a URL; give the name of a file")
    fault = why_no_file(Path(value)) if name not in TABLES and not ADDRESS.match(value) else None
    if fault is not None:
        raise OptionError(f"{place}: {fault}")
