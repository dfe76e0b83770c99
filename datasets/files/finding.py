"""Find the files that a path, a folder or a pattern refers to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from xrfm_cli.datasets.files.opening import PARQUET_ENDINGS, is_arrow, is_stream, split_compression
from xrfm_cli.datasets.files.rejects import ENDING as REJECTS_ENDING
from xrfm_cli.errors import FileReadError
from xrfm_cli.remote import fetch, local_path

_WILDCARDS = "*?["
# Table formats keep a log of their valid files, in a folder of this name or in files like these.
_LOGS = (("Delta", "_delta_log"), ("Hudi", ".hoodie"), ("Iceberg", "metadata/*.metadata.json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Files sorted by name, and the folder whose subfolders may hold partition columns."""

    files: tuple[Path, ...]
    root: Path | None = None  # None for a single file that was named directly
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_files(path: str | Path) -> Found:
    """Return the files that a path, a glob pattern or a folder refers to, sorted by name.

    A folder refers to its Parquet files, also if a pattern matches it. As in Spark, names that begin with
    ``.`` or ``_`` are skipped, but not folders such as ``_year=2020``. A pattern matches as in a shell, but
    finds a folder that begins with ``_`` only if it says so. Two names of one file count once. Files at a URL
    are downloaded.
    """
    path = local_path(path)
    text = str(path)
    place = Path(path)
    fetch(place)
    if not text.strip():
        raise FileReadError("the path of the table is empty; give a file, a folder or a quoted pattern")
    if is_stream(place):
        return Found(files=(place,))
    if place.is_dir():
        return _found(_files_in_folder(place), place)
    base, pattern = _split_pattern(place)
    if pattern:
        return _found(_matches(text, base, pattern), base)
    return Found(files=(place,))


def _found(files: Sequence[Path], root: Path) -> Found:
    """Return each file below a folder once, with notes and warnings."""
    kept: dict[tuple[int, int] | Path, Path] = {}
    notes = []
    for file in sorted(files, key=lambda file: (file.is_symlink(), file)):
        try:
            status = file.stat()
        except OSError:  # reported when it is opened
            kept[file] = file
            continue
        # Some Windows network drives do not number their files.
        first = kept.setdefault((status.st_dev, status.st_ino) if status.st_ino else file.resolve(), file)
        if first is not file:
            notes.append(f"{file}: is the same file as {first}, and is read once")
    folders = {root} | {parent for file in files for parent in file.parents if parent.is_relative_to(root)}
    warnings = [
        f"{folder}: is a {name} table, whose log is not read: deleted or replaced rows may still be in "
        "its files; export it as plain Parquet to be sure"
        for folder in sorted(folders)
        for name, log in _LOGS
        if next(folder.glob(log), None) is not None
    ]
    return Found(files=tuple(sorted(kept.values())), root=root, notes=tuple(notes), warnings=tuple(warnings))


def _files_in_folder(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder and its subfolders."""
    files = list(_walk(folder, ()))
    found = _parquet_files(files)
    if not found:
        endings = Counter(_ending(file) for file in files)
        ending = next((ending for ending, _ in endings.most_common(1)), ".csv")
        raise FileReadError(
            f"{folder}: the folder holds no Parquet file; quote a pattern such as '{folder}/*{ending}'"
        )
    return found


def _parquet_files(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if split_compression(file)[1] in PARQUET_ENDINGS]


def _ending(file: Path) -> str:
    codec, ending = split_compression(file)
    return ending + (file.suffix if codec else "")


def _walk(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files in a folder and below that may be data; follow links, but not in circles."""
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise FileReadError(f"{folder}: cannot be read: {error.strerror}; check its permissions") from None
    for entry in entries:
        if entry.is_dir():
            if _is_data_folder(entry.name):
                yield from _walk(entry, (*above, real))
        elif not entry.name.startswith(("_", ".")):
            yield entry


def _is_data_folder(name: str) -> bool:
    """Return whether a folder may hold data: not ``_temporary`` or ``.git``, but ``_year=2020``."""
    return not name.startswith(".") and (not name.startswith("_") or "=" in name)


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in _WILDCARDS)


def _split_pattern(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the folder above the first wildcard and the remaining parts; real names may have brackets."""
    parts = path.parts
    for place, part in enumerate(parts):
        if _is_pattern(part) and not type(path)(*parts[: place + 1]).exists():
            return type(path)(*parts[:place]), parts[place:]
    return path, ()


def _matches(text: str, base: Path, pattern: tuple[str, ...]) -> list[Path]:
    """Return the files that a pattern below ``base`` matches, all of one format."""
    try:
        matched = [
            item
            for item in base.glob("/".join(pattern))
            if _is_meant(item.relative_to(base), pattern, is_folder=item.is_dir())
        ]
    except (ValueError, NotImplementedError) as error:
        raise FileReadError(f"{text}: is not a valid pattern: {error}") from None
    folders = [item for item in matched if item.is_dir()]
    below = [file for folder in folders for file in _parquet_files(_walk(folder, ()))]
    found = [item for item in matched if item.is_file() or (item.is_symlink() and not item.is_dir())]
    if not pattern[-1].endswith(REJECTS_ENDING):
        found = [item for item in found if not item.name.endswith(REJECTS_ENDING)]
    found = list(dict.fromkeys(found + below))
    if not found and folders:
        raise FileReadError(
            f"{text}: the pattern matches folders without a Parquet file; end it with a pattern of files, "
            f"such as '{text.rstrip('/')}/*.csv'"
        )
    if not found:
        raise FileReadError(
            f"{text}: no file matches the pattern"
            + ("; '[[]' stands for a bracket in a name" * ("[" in text))
        )
    by_kind = {is_arrow(file): file for file in found if not file.exists() or file.stat().st_size}
    if len(by_kind) > 1:
        raise FileReadError(
            f"{text}: the pattern matches CSV and other files, such as {by_kind[False]} and {by_kind[True]}; "
            "match one format"
        )
    return found


def _is_meant(place: Path, pattern: tuple[str, ...], *, is_folder: bool) -> bool:
    """Return whether a pattern covers a path: hidden names only if a part of it begins the same way."""
    *folders, name = (*place.parts, "") if is_folder else place.parts
    hidden = [folder for folder in folders if not _is_data_folder(folder)]
    hidden += [name] if name.startswith(".") else []
    return all(any(part[0] == name[0] and fnmatchcase(name, part) for part in pattern) for name in hidden)
