"""Combine the files of one data set: the columns they share, with common types and one decimal mark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from xrfm_cli.datasets.cells.values import is_text
from xrfm_cli.datasets.column_names import common_names
from xrfm_cli.datasets.dialect import Dialect, ReadOptions
from xrfm_cli.datasets.files.arrow_files import arrow_tables, arrow_types
from xrfm_cli.datasets.files.common_types import common_types, convert
from xrfm_cli.datasets.files.finding import Found
from xrfm_cli.datasets.files.opening import is_arrow
from xrfm_cli.datasets.files.partitions import folder_values
from xrfm_cli.datasets.table import Table
from xrfm_cli.datasets.text.csv_files import csv_tables
from xrfm_cli.datasets.text.sniffing import sniff
from xrfm_cli.errors import EmptyFileError, FileReadError, SchemaError, did_you_mean
from xrfm_cli.events import OnEvent
from xrfm_cli.printable import counted

_MOST_NAMED = 3  # files named in one note
_EXACT_BITS = 32  # a double holds every integer of this many bits exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a data set."""

    path: Path
    folders: Mapping[str, str | None]  # columns taken from folder names
    dialect: Dialect | None = None  # None for a file that is not text
    types: Mapping[str, pa.DataType] = field(default_factory=dict)  # of the columns in the file itself
    spellings: Mapping[str, str] = field(default_factory=dict)  # column name: name in the file

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns of the file, then those of its folders."""
        return tuple(dict.fromkeys((*self.types, *self.folders)))

    def has(self, name: str) -> bool:
        """Return whether the file has a column of this name."""
        return name in self.types or name in self.folders

    def type_of(self, name: str) -> pa.DataType:
        """Return the type of one of its columns."""
        return self.types.get(name, pa.string())

    def own_name(self, name: str) -> str:
        """Return the column name as the file spells it."""
        return self.spellings.get(name, name)

    def renamed(self, shared: Mapping[str, str]) -> Part:
        """Return the same file under the column names that all files share."""
        return replace(
            self,
            folders={shared[name]: value for name, value in self.folders.items()},
            types={shared[name]: kind for name, kind in self.types.items()},
            spellings={shared[name]: name for name in self.types},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The non-empty files of a data set and the columns they share."""

    files: tuple[Part, ...]
    names: tuple[str, ...] | None = None  # of all columns; None for a single Arrow file, which keeps its own
    types: Mapping[str, pa.DataType] = field(default_factory=dict)  # common to all files
    faults: Mapping[str, str] = field(default_factory=dict)  # columns not shared by all, with the reason
    notes: tuple[str, ...] = ()


def plan_parts(found: Found, source: str, options: ReadOptions, columns: Sequence[str] | None) -> Parts:
    """Inspect the start of every file; only ``columns`` matter, if given.

    Files without rows are left out. Raises `FileReadError` if all files are empty or decimal marks differ.
    """
    parts: list[Part] = []
    empty: list[EmptyFileError] = []
    for file in found.files:
        try:
            parts.append(_look(file, found, options))
        except EmptyFileError as error:
            empty.append(error)
    if not parts and len(empty) == 1:
        raise empty[0]
    if not parts:
        raise FileReadError(
            f"{source}: none of its {counted(len(empty), 'file')} has a row, for example {empty[0]}"
        )
    parts = _with_one_decimal(parts)
    notes = (*found.notes, *_empty_notes(source, empty), *_dialect_notes(parts))
    if len(found.files) == 1 and parts[0].dialect is None and not parts[0].folders:
        return Parts(files=tuple(parts), notes=notes)
    shared = common_names([tuple(names) for part in parts for names in (part.types, part.folders)])
    parts = [part.renamed(shared) for part in parts]
    known = dict.fromkeys(name for part in parts for name in part.names)
    for name in columns or ():
        if name not in known:
            raise SchemaError(f"{source}: no column '{name}'.{did_you_mean(name, known)}")
    names = tuple(name for name in known if columns is None or name in columns)
    agreed = {name: _agree(name, parts) for name in names}
    return Parts(
        files=tuple(parts),
        names=names,
        types={name: kind for name, kind in agreed.items() if not isinstance(kind, str)},
        faults={name: fault for name, fault in agreed.items() if isinstance(fault, str)},
        notes=notes,
    )


def _look(file: Path, found: Found, options: ReadOptions) -> Part:
    """Read the columns and the dialect of a file; raise `EmptyFileError` if it has no rows."""
    folders = folder_values(file, found.root)
    if is_arrow(file):
        types = arrow_types(file) if folders or len(found.files) > 1 else {}
        return Part(path=file, folders=folders, types=types)
    dialect = sniff(file, options)
    if not dialect.has_rows:
        raise EmptyFileError(f"{file}: has column names but no rows")
    types = dict.fromkeys(dialect.names, pa.string())
    return Part(path=file, folders=folders, dialect=dialect, types=types)


def _with_one_decimal(parts: list[Part]) -> list[Part]:
    """Return the files, with the decimal mark shared by all text files."""
    texts = [(part.path, part.dialect) for part in parts if part.dialect is not None]
    marks = {dialect.decimal: path for path, dialect in reversed(texts) if dialect.decimal}
    if len(marks) > 1:
        raise FileReadError(
            f"{marks[',']}: has the decimal mark ',', but {marks['.']} has '.'; write both with one mark"
        )
    mark = next(iter(marks), "")
    return [
        replace(part, dialect=replace(part.dialect, decimal=mark, doubt=""))
        if mark and part.dialect is not None
        else part
        for part in parts
    ]


def _empty_notes(source: str, empty: Sequence[EmptyFileError]) -> list[str]:
    if not empty:
        return []
    more = "; ..." if len(empty) > _MOST_NAMED else ""
    shown = "; ".join(error.message for error in empty[:_MOST_NAMED]) + more
    return [f"{source}: files without rows left out ({len(empty):,}): {shown}"]


def _dialect_notes(parts: Sequence[Part]) -> list[str]:
    """Describe how the text files are written, once for all files with the same dialect."""
    alike: dict[str, list[Path]] = {}
    for part in parts:
        if part.dialect is not None:
            alike.setdefault(part.dialect.describe(""), []).append(part.path)
    return [
        str(paths[0]) + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "") + facts
        for facts, paths in alike.items()
    ]


def _agree(name: str, parts: Sequence[Part]) -> pa.DataType | str:
    """Return a type that fits the column in all files, or the reason why there is none."""
    has = next(part for part in parts if part.has(name))
    lacks = next((part for part in parts if not part.has(name)), None)
    if lacks is not None:
        return f"{lacks.path}: no column '{name}', which {has.path} has; give files with the same columns"
    firsts: dict[pa.DataType, Part] = {}
    for part in parts:
        firsts.setdefault(part.type_of(name), part)
    kinds = common_types(list(firsts))
    odd = _unlike(firsts)
    for kind in kinds:
        misfit = next((part for part in parts if not _fits(part, name, kind)), None)
        if misfit is None:
            return kind
        odd = next(part for own, part in firsts.items() if own != misfit.type_of(name)), misfit
    one, other = odd
    why = ", and no type holds the values of both" if kinds else ""
    own, earlier = _shown(other, name), _shown(one, name)
    fact = f"{other.path}: column '{name}' is {own}, but {earlier} in {one.path}{why}"
    return f"{fact}; write it with one type"


def _unlike(firsts: Mapping[pa.DataType, Part]) -> tuple[Part, Part]:
    """Return two files whose types of a column are incompatible, or the first and the last."""
    kinds = list(firsts)
    pairs = ((one, other) for one in kinds for other in kinds if not common_types([one, other]))
    one, other = next(pairs, (kinds[0], kinds[-1]))
    return firsts[one], firsts[other]


def _shown(part: Part, name: str) -> str:
    return str(part.types[name]) if name in part.types else "text in the name of its folder"


def _fits(part: Part, name: str, kind: pa.DataType) -> bool:
    """Return whether a column converts to ``kind``; values are read only if its type does not decide it."""
    if name not in part.types or part.dialect is not None or _is_wider(part.types[name], kind):
        return True
    try:
        for piece in arrow_tables(part.path, [part.own_name(name)]):
            for chunk in piece.data.column(0).chunks:
                convert(chunk, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _is_wider(own: pa.DataType, kind: pa.DataType) -> bool:
    """Return whether ``kind``, one of the `common_types`, holds every value of the type ``own``."""
    types = pa.types
    if types.is_dictionary(kind):
        return _is_wider(own, kind.value_type)
    if types.is_dictionary(own):
        return _is_wider(own.value_type, kind)
    if own == kind or types.is_null(own) or is_text(own):
        return True
    if types.is_floating(own):
        return bool(types.is_floating(kind))
    if types.is_floating(kind):
        return bool(types.is_integer(own) and own.bit_width <= _EXACT_BITS)
    return bool(types.is_integer(kind) or types.is_decimal(kind))


def part_tables(
    parts: Parts,
    part: Part,
    options: ReadOptions,
    columns: Sequence[str] | None,
    on_event: OnEvent,
    rows: int,
) -> Iterator[Table]:
    """Yield the pieces of one file, with the columns that all files share, in their order."""
    if parts.names is None:
        kept = columns
    else:
        kept = [name for name in parts.names if name in part.types and name not in parts.faults]
        kept = kept or list(part.types)[:1]  # keeps the number of rows
    own = None if kept is None else [part.own_name(name) for name in kept]
    types = {part.own_name(name): kind for name, kind in parts.types.items()}
    if part.dialect is None:
        pieces = arrow_tables(part.path, own, types, rows)
    else:
        pieces = csv_tables(part.path, part.dialect, options, own, on_event)
    for piece in pieces:
        yield _completed(piece, piece.column_names if kept is None else kept, part, parts)


def _completed(piece: Table, names: Sequence[str], part: Part, parts: Parts) -> Table:
    """Return a piece with columns ``names``, its folder columns, and empty columns for faults."""
    columns = dict(zip(names, piece.data.columns, strict=True))
    for name, value in part.folders.items():
        if name not in part.types:
            cells = pa.array([value] * piece.n_rows, pa.string())
            columns[name] = convert(cells, parts.types.get(name, pa.string()))
    columns |= {name: pa.nulls(piece.n_rows) for name in parts.faults}
    data = pa.table({name: columns[name] for name in parts.names or columns})
    return replace(piece, data=data, faults=parts.faults, notes=parts.notes)
