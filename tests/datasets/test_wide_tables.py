"""Tables of many columns: what each column costs is bounded, and short cuts change no value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets import Table, fit_encoder, infer_schema
from xrfm_cli.datasets.cells.dates import moment_values
from xrfm_cli.datasets.cells.decimals import find_decimal
from xrfm_cli.datasets.cells.values import cast_text, number_values, tidy_text
from xrfm_cli.datasets.cells.words import find_words, word_levels

DAYS = np.datetime64("2020-01-01") + np.arange(40).astype("timedelta64[D]") * 17


@pytest.mark.parametrize(("dates", "has_columns"), [(100, True), (101, False)])
def test_months_have_columns_of_their_own_in_tables_of_few_dates(dates: int, has_columns: bool) -> None:
    table = Table(pa.table({f"d{k}": DAYS.astype(str) for k in range(dates)}))
    encoder, x, _ = fit_encoder(table, infer_schema(table), target=np.zeros((40, 1)))
    names = encoder.feature_names
    assert ("d0 month=1" in names) == has_columns
    assert {"d0 elapsed", "d0 month sin", "d0 weekday cos"} <= set(names)
    assert x.shape == (40, len(names))
    assert (len(names) > 11 * dates) == has_columns
    restored = type(encoder).from_state(*encoder.state())
    assert np.array_equal(restored.encode(table)[0], x)


@pytest.mark.parametrize(
    "cells",
    [["1", "2.5", None], ["1e3", "-0"], ["inf", "NaN"], [" 1", "2"], ["1", "?"], ["", "7"], ["1,200", "3"]],
)
def test_numbers_are_those_of_tidy_text(cells: list[str | None]) -> None:
    array = pa.array(cells, pa.string())
    expected = number_values(tidy_text(array))
    found = number_values(array)
    assert np.array_equal(found.values, expected.values, equal_nan=True)
    assert np.array_equal(found.unreadable, expected.unreadable)


@pytest.mark.parametrize("cells", [["2024-05-01", None], [" 2024-05-01", "?"], ["2024-05-01", "soon"]])
def test_dates_are_those_of_tidy_text(cells: list[str | None]) -> None:
    array = pa.array(cells, pa.string())
    found, expected = moment_values(array, "iso"), moment_values(tidy_text(array), "iso")
    assert np.array_equal(found.values, expected.values)
    assert np.array_equal(found.valid, expected.valid)


WORDS = ["red", " red", "3.0", "3", "", "NA", "TRUE", None, "nan", "1.10", "red"]


@pytest.mark.parametrize("known", [("red", "3", "true"), ("NA", "red"), ("1.1",), ()])
def test_a_dictionary_is_looked_up_like_its_cells(known: tuple[str, ...]) -> None:
    plain = pa.array(WORDS, pa.string())
    stored = pa.DictionaryArray.from_arrays(
        pa.array([0, 2, None, 3, 0, 1], pa.int8()), pa.array(["red", "unused", "NA", "3.0"])
    )
    for cells in (plain.dictionary_encode(), stored):
        assert (
            find_words(cells, ".", known).tolist() == find_words(cells.cast(pa.string()), ".", known).tolist()
        )


@pytest.mark.parametrize("is_typed", [False, True])
def test_levels_of_few_cells_are_those_of_many(is_typed: bool) -> None:
    few = word_levels(pa.array(WORDS, pa.string()), is_typed=is_typed)
    more = pa.array([*WORDS, *(f"w{place}" for place in range(100))], pa.string())  # too many to be kept
    many = word_levels(more, is_typed=is_typed)
    assert many.values.to_pylist()[: len(few.values)] == few.values.to_pylist()
    assert many.codes[: len(WORDS)].tolist() == few.codes.tolist()


def test_floats_that_are_not_a_number_are_no_level() -> None:
    assert find_words(pa.array([1.5, float("nan"), None]), ".", ("1.5", "nan")).tolist() == [0, -1, -1]


def test_a_word_after_many_numbers_is_found() -> None:
    assert cast_text(pa.array([*map(str, range(100)), "x"]), pa.float64()) is None
    assert cast_text(pa.array(["x", "1"]), pa.float64()) is None
    numbers = cast_text(pa.array(["1", None]), pa.float64())
    assert numbers is not None
    assert numbers.to_pylist() == [1.0, None]


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["1.5", "2.25"], "."),
        (["1.2345", "7"], "."),
        (["0.125", "7"], "."),
        (["1,5", "2"], ","),
        (["1.5", "1,5"], ""),
        (["1.234.567", "2"], ","),
    ],
)
def test_decimal_marks_of_usual_and_unusual_numbers(cells: list[str], mark: str) -> None:
    rows = [(line, [cell]) for line, cell in enumerate(cells)]
    assert find_decimal(rows, 1, ";").mark == mark
