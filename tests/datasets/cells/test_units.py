"""Spellings of numbers in whole files: read as correct values, or as words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest

from xrfm_cli.datasets import ReadOptions, infer_schema, read_chunks, read_table
from xrfm_cli.datasets.cells.units import units_of
from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.errors import FileReadError

NUMBERS: dict[str, tuple[list[str], list[float], str]] = {
    "brackets": (["(1,200.50)", "350", "(35)"], [-1200.5, 350, -35], "accounting"),
    "brackets around money": (["$1,200.00", "($350.50)", "$(5.00)"], [1200, -350.5, -5], "$ accounting"),
    "a spreadsheet's zero": ([" $1,200.00 ", " $-   ", " $(3.50)"], [1200, 0, -3.5], "$ accounting"),
    "percent in brackets": (["(1.5%)", "2.5%", "3%"], [-1.5, 2.5, 3], "% accounting"),
    "minus after": (["1,200.50-", "350.00", "12.00-"], [-1200.5, 350, -12], "accounting"),
    "minus after, decimal comma": (["1.200,50-", "350,00", "12,00-"], [-1200.5, 350, -12], "accounting"),
    "minus after, with a unit": (["1,200.50- EUR", "350.00 EUR"], [-1200.5, 350], "EUR accounting"),
    "reais": (["R$ 5", "R$ 1.234,50", "R$\u00a0-7,25", "-R$ 8,00"], [5, 1234.5, -7.25, -8], "R$"),
    "minus around money": (["$-5", "-$5.50", "$7"], [-5, -5.5, 7], "$"),
    "euros after": (["5 €", "7,50 €", "-1.000,00\u00a0€"], [5, 7.5, -1000], "€"),
    "rupees": (["₹12,34,567.50", "₹1,00,000", "₹500"], [1234567.5, 100000, 500], "₹"),
    "crowns": (["kr 5,50", "kr 1.200,00"], [5.5, 1200], "kr"),
    "crowns after": (["5,50 kr.", "1.200,00 kr."], [5.5, 1200], "kr."),
    "scales": (["5K", "1.2M", "3bn", "300"], [5e3, 1.2e6, 3e9, 300], "scaled"),
    "scales with a fraction": (["4.35K", "7K"], [4350, 7000], "scaled"),
    "scales of money": (["€1.2M", "€300K", "-€5M"], [1.2e6, 3e5, -5e6], "€ scaled"),
    "scales of money, in brackets": (["$1.2M", "($300K)"], [1.2e6, -3e5], "$ scaled accounting"),
    "scales before money": (["5 k€", "7,5 k€", "1,2 M€"], [5e3, 7500, 1.2e6], "€ scaled"),
    "scales in German": (["5 Mio. €", "7,5 Mio. €", "1,2 Mrd. €"], [5e6, 7.5e6, 1.2e9], "€ scaled"),
    "scales in words": (["5 million", "1.2 billion"], [5e6, 1.2e9], "scaled"),
    "meters": (["5m", "7.5 m"], [5, 7.5], "m"),
    "inches": (['5"', '7.5"'], [5, 7.5], '"'),
    "kelvin": (["300 K", "273.15 K"], [300, 273.15], "K"),
    "percent": (["5%", "7.5 %", "12\u202f%"], [5, 7.5, 12], "%"),
    "Swiss": (["1'234.50", "2’345.60", "5.00"], [1234.5, 2345.6, 5], ""),
    "Swiss francs": (["CHF 1'234.50", "CHF\u00a02’345.60"], [1234.5, 2345.6], "CHF"),
    "narrow blanks": (["1\u202f234,5", "12\u202f345,6", "7,5"], [1234.5, 12345.6, 7.5], ""),
    "several blanks": (["1\u00a0234\u202f567", "2\u2009345", "7"], [1234567, 2345, 7], ""),
    "printed minus": (["\u22125", "7", "\u22128.5"], [-5, 7, -8.5], ""),
    "full width": (["１２", "３４．５", "－５"], [12, 34.5, -5], ""),
    "lakhs": (["12,34,567.50", "1,00,000.00", "500.00"], [1234567.5, 100000, 500], ""),
    "signs of no width": (["\u200e12", "5\u200b", "7"], [12, 5, 7], ""),
}
WORDS = {
    "brackets alone": ["(1)", "(2)", "(3)"],
    "codes": ["5K", "7K", "12M", "9"],
    "codes of one letter": ["5K", "7K", "9K"],
    "codes of bytes": ["1B", "2B", "5B"],
    "grades": ["1", "2-", "2", "3-"],
    "grades with plus": ["1+", "200-", "2"],
    "two units": ["5 kg", "7 lb", "8 kg"],
    "two currencies": ["$1.2M", "€1.3M", "$5K"],
    "a scale and a unit": ["5 km", "5.5k", "7 km"],
    "two minus signs": ["-(5)", "(7)", "8"],
    "an open bracket": ["(5", "7", "8"],
    "versions": ["1.2.3", "12.34.567", "1.4.5"],
}


def write(path: Path, cells: Sequence[str]) -> Path:
    lines = [f"{cell};{row % 4}\n" for row, cell in enumerate(list(cells) * 8)]
    path.write_text("v;y\n" + "".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str, tmp_path: Path) -> None:
    cells, wanted, unit = NUMBERS[name]
    path = write(tmp_path / "data.csv", cells)
    table = read_table(path)
    column = infer_schema(table).column("v")
    assert (column.kind, column.unit) == ("numeric", unit), column.reason
    found = [
        value
        for chunk in islice(read_chunks(path, chunk_rows=1), len(cells))  # the rows after them are copies
        for value in number_values(chunk.column("v"), chunk.decimal, column.unit).values.tolist()
    ]
    assert found == wanted  # alone as in the whole table


@pytest.mark.parametrize("name", WORDS)
def test_words(name: str, tmp_path: Path) -> None:
    column = infer_schema(read_table(write(tmp_path / "data.csv", WORDS[name]))).column("v")
    assert column.kind == "categorical", column.reason


def test_other_notations_than_those_learned_are_unreadable() -> None:
    """A column without brackets, scales or another unit does not get them when it is predicted."""
    cells = pa.array(["$5", "($5)", "$5K", "€5", "5", "$5-"])
    assert number_values(cells, unit="$").unreadable.tolist() == [False, True, True, True, True, True]
    assert number_values(cells, unit="$ scaled").unreadable.tolist() == [False, True, False, True, True, True]
    assert number_values(pa.array(["5", "(5)"])).unreadable.tolist() == [False, True]


def test_units_of_older_models_mean_the_same() -> None:
    for unit, cells in (("K", ["5 K"]), ("million", ["5 million"]), ("m", ["5 m"]), ("US$", ["US$ 5"])):
        assert number_values(pa.array(cells), unit=unit).values.tolist() == [5.0]


def test_few_negative_numbers_are_not_taken_for_errors(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", ["(5000)", *map(str, range(199))])
    table = read_table(path)
    column = infer_schema(table).column("v")
    assert number_values(table.column("v"), unit=column.unit).values[0] == -5000.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "fact"),
    [
        ("1.234", "'1.234' may be 1.234 or 1234"),
        ("($1,200)", "may be 1.2 or 1200"),
        ("1,5", "'1,5' has a decimal comma, and no row before has a fraction"),
    ],
)
def test_a_late_fraction_of_two_meanings_is_refused_with_them(cell: str, fact: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a;y\n" + "7;5\n" * 20_000 + f"{cell};5\n")
    with pytest.raises(FileReadError) as found:
        read_table(path)
    assert fact in str(found.value)
    assert "row 20001 (line 20002), column 'a'" in str(found.value)
    assert "--decimal" in str(found.value)
    assert read_table(path, ReadOptions(decimal=".")).n_rows == 20_001


def test_names_in_brackets_are_names(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("(1),(2)\n" + "5,7\n3,4\n" * 9)
    assert read_table(path).column_names == ("(1)", "(2)")


def test_no_units() -> None:
    assert units_of(pa.array([], pa.string())) == ()


@pytest.mark.parametrize("spell", ["${}", "{} kg", "{}.5K"])
def test_a_few_unreadable_cells_are_counted_beside_units_too(spell: str, tmp_path: Path) -> None:
    cells = [*(spell.format(n) for n in range(50)), "soon", "-"]
    path = tmp_path / "data.csv"
    path.write_text("v;y\n" + "".join(f"{cell};1\n" for cell in [*cells, *cells[:50] * 2]))
    column = infer_schema(read_table(path)).column("v")
    assert column.kind == "numeric"
    assert "'-' counts as missing; the unreadable cell 'soon' in row 51 counts as missing" in column.reason
