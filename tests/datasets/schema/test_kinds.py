"""The kind of a column: long tables of cells and kinds."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.datasets.schema.kinds import decide_kind

MANY_NAMES: list[str | None] = [f"{place:04d}-QXZ" for place in range(60)]
SENTENCES: list[str | None] = [
    f"the {place} quick brown foxes jump over {place * 7} lazy dogs" for place in range(40)
]

TEXT_CASES: list[tuple[str, list[str | None], str]] = [
    ("whole numbers", ["1", "2", "30"], "numeric"),
    ("numbers with blanks around", [" 1", "2 ", " 30 "], "numeric"),
    ("signs and exponents", ["+1", "-2.5", "1e3", ".5", "7."], "numeric"),
    ("a blank cell", ["29.85", " ", "1889.5"], "numeric"),
    ("question marks", ["?", "12", "13"], "numeric"),
    ("NA", ["NA", "12", "13.5"], "numeric"),
    ("#N/A of a spreadsheet", ["#N/A", "12", "13.5"], "numeric"),
    ("a dash among numbers", ["7", "-", "20", "-"], "numeric"),
    ("None among numbers", ["None", "12", "13.5"], "numeric"),
    ("infinite values", ["inf", "1", "-inf", "2"], "numeric"),
    ("groups of three", ["1,200", "12,000", "999"], "numeric"),
    ("currency", ["$1,200.50", "$7", "$3"], "numeric"),
    ("percent", ["10%", "12.5 %", "3%"], "numeric"),
    ("zero and one", ["0", "1", "1"], "numeric"),
    ("years", ["1999", "2004", "2011"], "numeric"),
    ("one number and a gap", ["1", "", "1"], "numeric"),
    ("yes and no", ["yes", "no", "no"], "boolean"),
    ("Yes, No and a gap", ["Yes", "No", ""], "boolean"),
    ("True and False", ["True", "False", "True"], "boolean"),
    ("Y and N", ["Y", "N", "Y"], "boolean"),
    ("t and f", ["t", "f", "t"], "boolean"),
    ("words", ["red", "green", "red"], "categorical"),
    ("two words that are no pair", ["Male", "Female", "Male"], "categorical"),
    ("None among words", ["None", "Labor Day", "None"], "categorical"),
    ("a dash among words", ["a", "-", "b"], "categorical"),
    ("numbers and words", ["1", "2", "three", "4"], "categorical"),
    ("ranges", ["0-9", "10-19", "20-29"], "categorical"),
    ("comparisons", ["<0", "0<=X<200", ">=200"], "categorical"),
    ("hours of the day in words", ["2PM", "10AM", "6PM"], "categorical"),
    ("one word and a gap", ["Shed", "", ""], "categorical"),
    ("months by name", ["may", "jun", "may"], "categorical"),
    ("postcodes of two countries", ["K1A 0B1", "98101", "K1A 0B1"], "categorical"),
    ("iso dates", ["2011-01-01", "2011-01-02", "2011-02-01"], "datetime"),
    ("iso dates with a gap", ["2011-01-01", "", "2011-02-01"], "datetime"),
    ("compact timestamps", ["20141013T000000", "20150225T000000"], "datetime"),
    ("compact days", ["20141013", "20150225", "20141209"], "datetime"),
    ("day first with hours", ["02-10-2012 09:00", "28-10-2012 10:00"], "datetime"),
    ("times of day", ["09:30", "14:45", "23:59"], "datetime"),
    ("dates and None", ["2011-01-01", "None", "2011-02-01"], "datetime"),
    ("dates and a zero date", ["2011-01-01", "0000-00-00", "2011-02-01"], "datetime"),
    ("eight digits that are no days", ["20149913", "20150225", "20141209"], "numeric"),
    ("a different name in every row", [*MANY_NAMES], "identifier"),
    ("few rows, all different", ["ann", "bob", "cyd"], "categorical"),
    ("sentences", SENTENCES, "text"),
    ("repeated sentences", SENTENCES[:2] * 20, "categorical"),
    ("empty", ["", "", ""], "constant"),
    ("all missing", [None, "NA", "?"], "constant"),
    ("one word", ["x", "x", "x"], "constant"),
    ("one number in two spellings", ["1", "1.0", "1"], "constant"),
]


@pytest.mark.parametrize(
    ("cells", "kind"), [case[1:] for case in TEXT_CASES], ids=[case[0] for case in TEXT_CASES]
)
def test_kind_of_text(cells: list[str | None], kind: str) -> None:
    decision = decide_kind("column", pa.array(cells, pa.string()))
    assert decision.kind == kind, decision.reason
    assert decision.reason


DAY, LATER = dt.datetime(2014, 10, 13, 9, 30), dt.datetime(2015, 2, 25)
TYPED_CASES: list[tuple[str, pa.Array, str]] = [
    ("ints", pa.array([1, 2, None]), "numeric"),
    ("floats", pa.array([1.5, float("nan"), 2.0]), "numeric"),
    ("float32", pa.array([0.1, 0.2], pa.float32()), "numeric"),
    ("decimals", pa.array([Decimal("1.10"), Decimal("2.20")]), "numeric"),
    ("durations", pa.array([dt.timedelta(seconds=1), dt.timedelta(days=1)]), "numeric"),
    ("bools", pa.array([True, False, None]), "boolean"),
    ("one bool", pa.array([True, True]), "constant"),
    ("dates", pa.array([DAY.date(), LATER.date()]), "datetime"),
    ("timestamps", pa.array([DAY, LATER]), "datetime"),
    ("timestamps in a zone", pa.array([DAY, LATER], pa.timestamp("ns", "Europe/Vienna")), "datetime"),
    ("times", pa.array([dt.time(9, 30), dt.time(10, 0)]), "datetime"),
    ("dictionary of words", pa.array(["a", "b", "a"]).dictionary_encode(), "categorical"),
    ("dictionary of numbers", pa.array([3, 4, 3]).dictionary_encode(), "categorical"),
    ("large strings", pa.array(["1", "2"], pa.large_string()), "numeric"),
    ("nulls", pa.nulls(3), "constant"),
    ("lists", pa.array([[1], [2]]), "constant"),
    ("bytes", pa.array([b"a", b"b"]), "constant"),
    ("no rows", pa.array([], pa.float64()), "constant"),
]


@pytest.mark.parametrize(
    ("cells", "kind"), [case[1:] for case in TYPED_CASES], ids=[case[0] for case in TYPED_CASES]
)
def test_kind_of_typed_columns(cells: pa.Array, kind: str) -> None:
    assert decide_kind("column", cells).kind == kind


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("id", range(1000, 1100), "identifier"),
        ("Id", range(1, 101), "identifier"),
        ("customer_id", np.random.default_rng(0).permutation(100), "identifier"),
        ("customerID", np.random.default_rng(0).permutation(100), "identifier"),
        ("Unnamed: 0", range(100), "identifier"),
        ("Unnamed: 0", [*range(60), *range(60)], "identifier"),
        ("__index_level_0__", [*range(1, 31), *range(1, 51), *range(1, 11)], "identifier"),
        ("__index_level_0__", [1990 + place // 4 for place in range(100)], "numeric"),
        ("Unnamed: 0", [place // 3 % 2 for place in range(100)], "numeric"),
        ("lap", [*range(60), *range(60)], "numeric"),
        ("instant", range(1, 101), "identifier"),
        ("record", range(100), "identifier"),
        ("store_id", [1, 2, 3, 4] * 25, "numeric"),
        ("id", [*range(97), 0, 1, 2], "identifier"),
        ("x", range(100), "numeric"),
        ("t", range(100), "numeric"),
        ("day", range(1, 101), "numeric"),
        ("amount", np.random.default_rng(0).permutation(100), "numeric"),
        ("paid", range(1000, 1100), "numeric"),
        ("id", range(10), "numeric"),
    ],
)
def test_kind_of_whole_numbers(name: str, values: Any, kind: str) -> None:
    integers = pa.array([int(value) for value in values])
    assert decide_kind(name, integers).kind == kind
    assert decide_kind(name, integers.cast(pa.string())).kind == kind
    assert decide_kind(name, integers.cast(pa.float64())).kind == kind


def test_reason_names_the_marks_of_missing_cells() -> None:
    decision = decide_kind("floor", pa.array(["7", "-", "20", "-"]))
    assert decision.reason == "whole numbers from 7 to 20, 2 distinct; 2 missing; '-' counts as missing"


def test_a_few_unreadable_cells_do_not_make_a_category() -> None:
    cells = [str(place / 2) for place in range(400)]
    cells[16] = "abc"
    decision = decide_kind("size", pa.array(cells))
    assert decision.kind == "numeric"
    assert "the unreadable cell 'abc' in row 17 counts as missing" in decision.reason


def test_decimal_commas_are_numbers_where_the_table_says_so() -> None:
    cells = pa.array(["1,5", "2,25", "1.000,5"])
    assert decide_kind("size", cells, ",").reason == "numbers from 1.5 to 1000.5, 3 distinct"
    assert decide_kind("size", cells, ".").kind == "categorical"


@pytest.mark.parametrize(
    ("cells", "typed"),
    [
        (["1", "2.5", ""], pa.array([1.0, 2.5, None])),
        (["1", "2", "3"], pa.array([1, 2, 3], pa.int8())),
        (["True", "False", "True"], pa.array([True, False, True])),
        (["2014-10-13 09:30:00", "2015-02-25 00:00:00"], pa.array([DAY, LATER])),
        (["2014-10-13", "2015-02-25"], pa.array([DAY.date(), LATER.date()])),
        (["0.1", "0.2"], pa.array([0.1, 0.2], pa.float32())),
        (["1.10", "2.20"], pa.array([Decimal("1.10"), Decimal("2.20")])),
        (["a", "b", ""], pa.array(["a", "b", None]).dictionary_encode()),
        (["", "", ""], pa.nulls(3)),
    ],
)
def test_text_and_typed_columns_are_decided_alike(cells: list[str], typed: pa.Array) -> None:
    assert decide_kind("column", pa.array(cells)) == decide_kind("column", typed)


@pytest.mark.parametrize(
    "cells",
    [
        ["PT1H30M", "PT45M", "P1DT1S", ""],
        ["0 days 01:30:00", "0 days 00:45:00", "1 days 00:00:01", "NA"],
        ["1h 30min", "45 min", "1d 1s", "-"],
    ],
)
def test_durations_are_seconds(cells: list[str]) -> None:
    decision = decide_kind("spell", pa.array(cells))
    assert (decision.kind, decision.unit) == ("numeric", "duration")
    values = number_values(pa.array([*cells, "soon"]), unit=decision.unit)
    np.testing.assert_array_equal(values.values, [5400.0, 2700.0, 86401.0, np.nan, np.nan])
    assert values.unreadable.tolist() == [False, False, False, False, True]


def test_numbers_with_different_units_are_words() -> None:
    decision = decide_kind("price", pa.array(["$5", "€6", "$7"]))
    assert decision.kind == "categorical"
    assert "numbers with different units ('$' and '€') are categories" in decision.reason


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (["1.5", "<0.5", *map(str, range(20))], "most values are numbers, but '<0.5' in row 2 does not fit"),
        (["5*", *map(str, range(20))], "most values are numbers, but '5*' in row 1 does not fit"),
        (
            [*(f"{day}.01.2023" for day in range(10, 31)), "01.30.2023"],
            "most values are dates, but '01.30.2023' in row 22 does not fit",
        ),
        (["Graz", "Linz", "5"], ""),
    ],
)
def test_words_that_are_nearly_numbers_or_dates_are_said(cells: list[str], note: str) -> None:
    decision = decide_kind("value", pa.array(cells))
    assert decision.kind in ("categorical", "identifier")
    assert note in decision.reason if note else "does not fit" not in decision.reason


def test_dashes_and_infinity_of_older_programs() -> None:
    values = number_values(pa.array(["\u20135.5", "1.#INF", "-1.#INF", "10\u201320"]))
    assert values.values.tolist()[:3] == [-5.5, np.inf, -np.inf]
    assert values.unreadable.tolist() == [False, False, False, True]
