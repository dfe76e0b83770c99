"""Refuse outputs that would replace an input or another output.

Files are compared by identity, not by name, so links, other spellings and members of globs and folders are
recognised. All checks run before any file is opened.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from xrfm_cli.commands.common.places import (
    Read,
    Written,
    check_names,
    checkpoint_folder,
    find_reads,
    find_writes,
)
from xrfm_cli.datasets.files.rejects import ENDING as REJECTS_ENDING
from xrfm_cli.datasets.files.streams import STANDARD_INPUT
from xrfm_cli.errors import OptionError
from xrfm_cli.files import replaced_file
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.shared import CommonOptions
from xrfm_cli.urls import is_copy

Identity = tuple[int, int] | str | None


def check_places(options: CommonOptions) -> None:
    """Raise OptionError if a command would overwrite its inputs or its own results."""
    check_names(options)
    if isinstance(options, FitOptions) and options.no_clobber:
        refuse_existing(options)
    reads, writes = list(find_reads(options)), list(find_writes(options))
    for read in reads:
        files = _by_identity(read.files)
        for written in writes:
            _refuse_replacing(read, files, written)
        for stream, name in ((sys.stdout, "standard output"), (sys.stderr, "standard error")):
            file = files.get(_stream_identity(stream))
            if file is not None:
                raise OptionError(f"{name}: is {read.what}, {file}; send it to another file")
    for one, other in combinations(writes, 2):
        if one.path == other.path or identity(one.path) == identity(other.path) is not None:
            raise OptionError(f"{other.subject} is also written by {one.option}; give them different names")
    for written in writes:
        if written.is_tried:
            check_writable(written.path)


def refuse_existing(options: FitOptions) -> None:
    """Refuse the name of an existing model, except for the fit that ``--resume`` continues."""
    is_continued = options.resume and checkpoint_folder(options.model).exists()
    if os.path.lexists(options.model) and not (is_continued or options.dry_run):
        raise OptionError(
            f"--model {options.model}: exists already, and --no-clobber keeps it; give another name"
        )


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be created or replaced; create a temporary file in its folder to find out.

    URLs are tried when the inputs are downloaded.
    """
    if is_copy(path):
        return
    try:
        target, _ = replaced_file(path)
        folder = target.parent
        if not folder.exists():
            raise OptionError(f"{path}: no directory '{path.parent}'; create it first")
        if not folder.is_dir():
            raise OptionError(f"{path}: '{path.parent}' is not a directory")
        with TemporaryFile(dir=folder):  # the file has no name, so nothing is left behind
            pass
    except OSError as fault:
        reason = fault.strerror or fault
        raise OptionError(
            f"{path}: cannot write in '{path.parent}': {reason}; choose another place"
        ) from fault


def identity(path: Path) -> Identity:
    """Return a key that identifies a file or folder under every name; None for devices and pipes."""
    try:
        facts = path.stat()
    except OSError:
        return os.path.realpath(path)
    is_kept = stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)
    if not is_kept:
        return None
    # Some Windows network drives have no inode numbers.
    return (facts.st_dev, facts.st_ino) if facts.st_ino else os.path.realpath(path)


def _refuse_replacing(read: Read, files: Mapping[Identity, Path], written: Written) -> None:
    """Refuse to overwrite a file that is read, or to write into a folder or glob that is read."""
    if written.name == read.may_be_replaced_by and not written.part:
        return
    subject = written.subject
    file = files.get(identity(written.path))
    if file is not None:
        known_as = "" if str(file) == str(written.path) else f", {file}"
        raise OptionError(f"{subject} is {read.what}{known_as}; give another name")
    target, given = Path(os.path.realpath(written.path)), Path(read.given)
    if (given.is_dir() or is_copy(given)) and target.is_relative_to(os.path.realpath(given)):
        raise OptionError(f"{subject} is in the folder that is read, {read.given}; write it elsewhere")
    if _is_pattern(read.given) and _matches(target, given) and not target.name.endswith(REJECTS_ENDING):
        raise OptionError(f"{subject} matches the pattern that is read, {read.given}; give another name")


def _is_pattern(given: str) -> bool:
    return any(mark in given for mark in "*?[") and not Path(given).exists()


def _matches(target: Path, pattern: Path) -> bool:
    """Return whether a glob pattern matches this path, which need not exist."""
    fixed = next(place for place, part in enumerate(pattern.parts) if any(mark in part for mark in "*?["))
    folder, wanted = os.path.realpath(Path(*pattern.parts[:fixed])), pattern.parts[fixed:]
    if not target.is_relative_to(folder):
        return False
    parts = target.relative_to(folder).parts
    if "**" in wanted:
        return bool(parts) and fnmatchcase(parts[-1], wanted[-1])
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _by_identity(files: Iterable[Path]) -> dict[Identity, Path]:
    """Return the files that an output could overwrite, by identity; devices and pipes are skipped."""
    found: dict[Identity, Path] = {}
    for file in files:
        key = _stream_identity(sys.stdin) if str(file) == STANDARD_INPUT else identity(file)
        if key is not None:
            found.setdefault(key, file)
    return found


def _stream_identity(stream: Any) -> Identity:
    """Return the identity of the file that a standard stream is redirected to; None without a file."""
    try:
        facts = os.fstat(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None
    return (facts.st_dev, facts.st_ino) if stat.S_ISREG(facts.st_mode) else None
