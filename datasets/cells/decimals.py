"""Find the decimal mark of a text table from unambiguous cells only.

1,5 and 1.234,50 have a decimal comma, 1.5 and 1,234.50 a decimal point. 1.234 is ambiguous, unless a number
of four digits in the same column shows that thousands are not grouped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xrfm_cli.datasets.cells.units import CURRENCY, CURRENCY_NAMES, SCALES, SIGN
from xrfm_cli.datasets.cells.values import GROUP_SIGNS, MISSING_WORDS, PLACEHOLDER_WORDS

_BEFORE = rf"^\(?{SIGN}(?:(?:{CURRENCY}|{CURRENCY_NAMES}\s)\s?)?\(?{SIGN}"
_AFTER = "[\u2212-]?" + r"(?:\s?[^\s\d.,;:/+-][^\s\d.,;:]{0,5}[.]?)?" + rf"(?:\s?{CURRENCY})?\)?$"
_EXPONENT = r"(?:[eE][+-]?\d+)?"


def _marked(mark: str, groups: str) -> str:
    """Match numbers in which ``mark`` must be the decimal mark, or ``groups`` must separate thousands."""
    lakhs = r"|\d{1,2}(?:,\d\d)+,\d{3}(?:[.]\d+)?" if groups == "," else ""  # Indian grouping
    mark, groups = re.escape(mark), re.escape(groups)
    return (
        rf"{_BEFORE}(?:\d*{mark}(?:\d{{1,2}}|\d{{4,}}){_EXPONENT}|(?:0\d*|\d{{4,}})?{mark}\d+{_EXPONENT}"
        rf"|\d+{mark}\d+[eE][+-]?\d+|\d{{1,3}}(?:{groups}\d{{3}})+{mark}\d+|\d{{1,3}}(?:{groups}\d{{3}}){{2,}}"
        rf"|\d{{1,3}}(?:[{GROUP_SIGNS}]\d{{3}})+{mark}\d+{lakhs}){_AFTER}"
    )


def _either(mark: str) -> str:
    """Match numbers in which ``mark`` is either the decimal mark or the thousands separator."""
    return rf"{_BEFORE}[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}{_AFTER}"


# Kept as text, because Arrow also applies them to whole columns.
SURE = {",": _marked(",", "."), ".": _marked(".", ",")}
UNSURE = {",": _either(","), ".": _either(".")}
_SURE = {mark: re.compile(pattern) for mark, pattern in SURE.items()}
_UNSURE = {mark: re.compile(pattern) for mark, pattern in UNSURE.items()}
_NUMBER = re.compile(
    rf"{_BEFORE}(?:\d+|\d{{1,2}}(?:,\d\d)+,\d{{3}}(?:[.]\d+)?|\d{{1,3}}(?:[{GROUP_SIGNS}.,]\d{{3}})+|\d*[.,]\d+|\d+[.,]"
    rf"|\d{{1,3}}(?:[{GROUP_SIGNS}.,]\d{{3}})+[.,]\d+){_EXPONENT}{_AFTER}"
)
# The usual spellings, which are much faster to match: a number, and one whose point must be the decimal mark.
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?$")
_PLAIN_POINT = re.compile(r"-?(?:\d+\.(?:\d{1,2}|\d{4,})|0\.\d+)$")
_LETTERS = re.compile(r"[\W\d_]+")  # everything but letters
_LONG_WHOLE = re.compile(rf"{_BEFORE}[1-9]\d{{3,}}{_AFTER}")
_MISSING = frozenset((*MISSING_WORDS, *PLACEHOLDER_WORDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecimalMark:
    """The decimal mark of a table, as far as the sample shows it."""

    mark: str  # empty if no cell has one
    doubt: str = ""  # why the mark is ambiguous
    numeric_places: tuple[int, ...] = ()  # columns of numbers


def is_missing_word(cell: str) -> bool:
    """Return whether a cell spells a missing value.

    >>> is_missing_word(" n/a "), is_missing_word("0")
    (True, False)
    """
    return cell.strip() in _MISSING


def is_number_like(cell: str) -> bool:
    """Return whether a cell is a number with either decimal mark, with groups, a currency sign or a unit.

    >>> [is_number_like(cell) for cell in ("1,5", "$1,200.50", "12 kg", "2024-01-02", "x1")]
    [True, True, True, False, False]
    """
    cell = cell.strip()
    return (_PLAIN.match(cell) or _NUMBER.match(cell)) is not None


def find_decimal(rows: Sequence[tuple[int, Sequence[str]]], width: int, delimiter: str) -> DecimalMark:
    """Find the decimal mark of rows, each with its line number.

    Only numeric columns are used. With a comma as the delimiter, an unquoted 1.234 has a decimal point,
    because files with decimal commas are not delimited by commas.

    >>> find_decimal([(2, ["1.250"]), (3, ["0.5"])], 1, ";").mark
    '.'
    >>> find_decimal([(2, ["1.250"])], 1, ";").doubt
    "line 2 has '1.250', which may be 1.25 or 1250"
    """
    numeric = tuple(place for place in range(width) if _is_numeric(rows, place))
    sure: dict[str, tuple[int, str]] = {}
    unsure: dict[str, tuple[int, str]] = {}
    for place in numeric:
        cells = [(line, row[place].strip()) for line, row in rows]
        marked = [(line, cell) for line, cell in cells if "," in cell or "." in cell]
        has_long = bool(marked) and any(_LONG_WHOLE.match(cell) for _, cell in cells)
        for line, cell in marked:
            if _PLAIN_POINT.match(cell):
                sure.setdefault(".", (line, cell))
                continue
            for mark in (".", ","):
                if _SURE[mark].match(cell) or (has_long and _UNSURE[mark].match(cell)):
                    sure.setdefault(mark, (line, cell))
                elif _UNSURE[mark].match(cell):
                    unsure.setdefault(mark, (line, cell))
    if len(sure) == 2:
        (one, first), (other, second) = sure["."], sure[","]
        fact = f"line {one} has '{first}', line {other} has '{second}'"
        return DecimalMark(mark="", doubt=fact, numeric_places=numeric)
    if sure:
        return DecimalMark(mark=next(iter(sure)), numeric_places=numeric)
    if delimiter == "," and "," not in unsure:
        return DecimalMark(mark="." if unsure else "", numeric_places=numeric)
    if unsure:
        line, cell = next(iter(unsure.values()))
        doubt = f"line {line} has '{cell}', which {_two_meanings(cell)}"
        return DecimalMark(mark="", doubt=doubt, numeric_places=numeric)
    return DecimalMark(mark="", numeric_places=numeric)


def forbidden_marks(decimal: str, delimiter: str) -> str:
    """Return a pattern of cells that contradict the decimal mark of the sample.

    >>> bool(re.match(forbidden_marks(".", ","), "1,5"))
    True
    """
    if decimal:
        return SURE["," if decimal == "." else "."]
    patterns = [SURE[","], UNSURE[","], *([UNSURE["."]] if delimiter != "," else [])]
    return "|".join(patterns)


def contradiction(cell: str, decimal: str) -> str:
    """Explain what is wrong with a cell beyond the sample that matches `forbidden_marks`.

    >>> contradiction("1.234", ""), contradiction("1,5", ".")
    ("'1.234' may be 1.234 or 1234", "'1,5' does not fit the decimal mark '.' of the rows before")
    """
    if decimal:
        return f"'{cell}' does not fit the decimal mark '{decimal}' of the rows before"
    if any(pattern.match(cell) for pattern in _UNSURE.values()):
        return f"'{cell}' {_two_meanings(cell)}"
    return f"'{cell}' has a decimal comma, and no row before has a fraction"


def _two_meanings(cell: str) -> str:
    number = re.sub(r"^\D+|\D+$", "", cell)
    part = re.sub(r"[.]?0+$", "", number.replace(",", "."))
    return f"may be {part} or {re.sub(r'[.,]', '', number)}"


def _is_numeric(rows: Sequence[tuple[int, Sequence[str]]], place: int) -> bool:
    """Return whether nine in ten non-missing cells of a column are numbers, all with the same letters."""
    cells = [cell for cell in (row[place].strip() for _, row in rows) if cell not in _MISSING]
    others = [cell for cell in cells if not _PLAIN.match(cell)]
    numbers = [cell for cell in others if _NUMBER.match(cell)]
    units = {_LETTERS.sub("", cell) for cell in numbers} - {"", "e", "E"}
    units -= {unit for unit in units if unit.lower() in SCALES and len(units) > 1}  # scales, such as K and M
    count = len(cells) - len(others) + len(numbers)
    return bool(cells) and count >= 0.9 * len(cells) and len(units) <= 1
