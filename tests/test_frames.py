"""Python tables mean the same as their plain equivalents, or are refused by column name."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.exceptions import DataConversionWarning

from xrfm_cli import XRFMClassifier, XRFMRegressor
from xrfm_cli.datasets import encode_target, fit_encoder, infer_schema
from xrfm_cli.datasets.schema.target import TargetSchema
from xrfm_cli.estimators.frames import as_frame, table_of, training_table

pytestmark = pytest.mark.usefixtures("few_trees")

ROWS = 24
NUMBERS = np.random.default_rng(0).normal(size=ROWS).round(2)
WHOLE = np.arange(ROWS) % 5 - 1
DAYS = pd.date_range("2020-01-01", periods=ROWS).to_series(index=range(ROWS))


def objects(*items: Any) -> pd.Series:
    """A column of Python objects, repeated to the rows of a test."""
    cells = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        cells[place] = item
    return pd.Series(np.tile(cells, ROWS // len(items)), dtype=object)


def words(*items: str | None) -> pd.Series:
    """A plain column of text."""
    return pd.Series(list(items) * (ROWS // len(items)), dtype=object)


DAY, LATER = dt.date(2020, 1, 1), dt.date(2020, 3, 1)
IDS = [uuid.UUID(int=place) for place in (1, 2)]
# The column, and the plain one that it means.
SAME: dict[str, tuple[pd.Series, pd.Series]] = {
    "pandas.cut": (
        pd.Series(pd.cut(NUMBERS, 3)),
        pd.Series(pd.cut(NUMBERS, 3)).astype(str).astype(object),
    ),
    "intervals": (objects(pd.Interval(0, 1), pd.Interval(1, 2), None), words("(0, 1]", "(1, 2]", None)),
    "big-endian floats": (pd.Series(NUMBERS.astype(">f8")), pd.Series(NUMBERS)),
    "big-endian integers": (pd.Series(WHOLE.astype(">i4")), pd.Series(WHOLE)),
    "float16": (pd.Series(NUMBERS.astype("f2")), pd.Series(NUMBERS.astype("f2").astype("f4"))),
    "longdouble": (pd.Series(NUMBERS.astype(np.longdouble)), pd.Series(NUMBERS)),
    "Int64": (pd.Series([1, None, 3] * 8, dtype="Int64"), pd.Series([1, None, 3] * 8, dtype="f8")),
    "Float64": (pd.Series([1.5, None, 3] * 8, dtype="Float64"), pd.Series([1.5, None, 3] * 8)),
    "boolean": (pd.Series([True, None, False] * 8, dtype="boolean"), words("true", None, "false")),
    "string": (pd.Series(["a", None, "NA"] * 8, dtype="string"), words("a", None, "NA")),
    "sparse": (pd.Series(pd.arrays.SparseArray(WHOLE)), pd.Series(WHOLE)),
    "periods": (DAYS.dt.to_period("D"), DAYS),
    "period objects": (DAYS.dt.to_period("D").astype(object), DAYS),
    "zone": (DAYS.dt.tz_localize("UTC").dt.tz_convert("Europe/Vienna"), DAYS),
    "timedelta": (pd.Series(pd.to_timedelta(WHOLE, unit="h")), pd.Series(WHOLE * 3600)),
    "category of numbers": (
        pd.Series(pd.Categorical([3, 10, None] * 8)),
        words("3", "10", None).astype("category"),
    ),
    "category of booleans": (pd.Series(pd.Categorical([True, False] * 12)), words("true", "false")),
    "category of dates": (pd.Series(pd.Categorical(DAYS)), DAYS),
    "category of several types": (pd.Series(pd.Categorical([1, "x"] * 12)), words("1", "x")),
    "unused and ordered": (
        pd.Series(pd.Categorical(["lo", "hi", ""] * 8, categories=["", "lo", "mid", "hi"], ordered=True)),
        words("lo", "hi", ""),
    ),
    "decimals": (objects(Decimal("1.5"), Decimal(2), None), pd.Series([1.5, 2, None] * 8)),
    "numbers of several types": (objects(Decimal("1.5"), 2, np.float32(4)), pd.Series([1.5, 2, 4] * 8)),
    "huge integers": (objects(2**70, 1, 2), pd.Series([2.0**70, 1, 2] * 8)),
    "numbers and text": (objects(1, "x", None), words("1", "x", None)),
    "booleans and numbers": (objects(True, 2), words("True", "2")),
    "boolean objects": (objects(True, False, None), words("true", "false", None)),
    "dates": (objects(DAY, LATER, None), pd.Series(pd.to_datetime([DAY, LATER, None] * 8))),
    "dates and times": (objects(DAY, pd.Timestamp(LATER)), pd.Series(pd.to_datetime([DAY, LATER] * 12))),
    "timedelta objects": (
        objects(dt.timedelta(hours=1), np.timedelta64(2, "h"), pd.NaT),
        pd.Series([3600, 7200, None] * 8),
    ),
    "times of day": (objects(dt.time(3), dt.time(4, 30)), words("03:00:00", "04:30:00")),
    "UUIDs": (objects(*IDS), words(*(str(item) for item in IDS))),
}


def encoded(column: pd.Series | NDArray[Any]) -> tuple[str, bytes]:
    """A column's kind and what a model sees of it."""
    frame = pd.DataFrame({"c": column}) if isinstance(column, pd.Series) else column[:, None]
    table = table_of(frame, names=["c"])
    schema = infer_schema(table)
    _, x, _ = fit_encoder(table, schema, target=np.linspace(0, 1, ROWS)[:, None])
    return schema.columns[0].kind, x.tobytes()


@pytest.mark.parametrize("name", SAME)
def test_a_column_means_the_same_as_the_plain_one(name: str) -> None:
    column, plain = SAME[name]
    assert encoded(column) == encoded(plain)


ARRAYS: dict[str, tuple[NDArray[Any], pd.Series]] = {
    "big-endian": (NUMBERS.astype(">f8"), pd.Series(NUMBERS)),
    "float16": (NUMBERS.astype("f2"), pd.Series(NUMBERS.astype("f2").astype("f4"))),
    "masked": (np.ma.MaskedArray(WHOLE, WHOLE == 2), pd.Series(WHOLE, dtype=float).where(WHOLE != 2)),
    "days": (DAYS.to_numpy().astype("M8[D]"), DAYS),
    "months": (np.array(["2020-01", "2021-05"] * 12, "M8[M]"), pd.Series(["2020-01-01", "2021-05-01"] * 12)),
    "hours": (WHOLE.astype("m8[h]"), pd.Series(WHOLE * 3600)),
    "bytes": (np.array([b"a", b"\xc3\xa9"] * 12), words("a", "é")),
    "text": (np.array(["a", "", "nan"] * 8), words("a", "", "nan")),
    "objects": (objects(1, "x", None).to_numpy(), words("1", "x", None)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_means_the_same_as_the_plain_column(name: str) -> None:
    array, plain = ARRAYS[name]
    assert encoded(array) == encoded(plain)


REFUSED: dict[str, tuple[pd.Series, str]] = {
    "lists": (objects([1], [2]), "not list"),
    "dictionaries": (objects({"a": 1}, {}), "not dict"),
    "bytes": (objects(b"a", b"b"), "not bytes"),
    "arrays": (objects(np.zeros(2), np.ones(2)), "not ndarray"),
    "complex objects": (objects(1j, 2j), "not complex"),
    "complex": (pd.Series(NUMBERS + 1j), "Complex data not supported"),
    "zones and none": (objects(pd.Timestamp("2020"), pd.Timestamp("2020", tz="UTC")), "some have none"),
    "beyond floats": (objects(10**400, 1), "too large"),
    "half a character": (objects("\ud800", "a"), "surrogates"),
    "Arrow's lists": (pd.Series([[1]] * ROWS, dtype=pd.ArrowDtype(pa.list_(pa.int64()))), "holds list"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_by_name_unless_it_is_not_needed(name: str) -> None:
    column, fact = REFUSED[name]
    frame = pd.DataFrame({"odd": column, "size": NUMBERS})
    with pytest.raises((ValueError, TypeError), match=r"column 'odd'") as fault:
        XRFMRegressor(trials=0).fit(frame, NUMBERS)
    assert fact in str(fault.value)
    assert "--" not in str(fault.value)
    fitted = XRFMRegressor(trials=0, folds=2, threads=1, drop=["odd"]).fit(frame, NUMBERS)
    assert np.isfinite(fitted.predict(frame)).all()


def matrix(kind: str = "f8") -> NDArray[Any]:
    """Two columns that explain `y`."""
    return np.column_stack([NUMBERS, WHOLE]).astype(kind)


class Capsule:
    """A frame or a column of an unknown library."""

    def __init__(self, held: pa.Table | pa.ChunkedArray) -> None:
        self.held = held

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.held.__arrow_c_stream__(requested_schema)


def records() -> NDArray[Any]:
    found = np.zeros(ROWS, dtype=[("a", ">f8"), ("b", "i2")])
    found["a"], found["b"] = NUMBERS, WHOLE
    return found


TABLES: dict[str, Callable[[], Any]] = {
    "Fortran order": lambda: np.asfortranarray(matrix()),
    "not contiguous": lambda: np.repeat(matrix(), 2, axis=0)[::2],
    "lists": lambda: matrix().tolist(),
    "objects": lambda: matrix("O"),
    "text": lambda: matrix("U"),
    "big-endian": lambda: matrix(">f8"),
    "masked": lambda: np.ma.MaskedArray(matrix(), np.zeros((ROWS, 2), bool)),
    "records": records,
    "record array": lambda: records().view(np.recarray),
    "named by numbers": lambda: pd.DataFrame(matrix()),
    "named by tuples": lambda: pd.DataFrame(matrix(), columns=pd.MultiIndex.from_product([["a"], [1, 2]])),
    "an empty name": lambda: pd.DataFrame(matrix(), columns=["", "b"]),
    "an index": lambda: pd.DataFrame(matrix(), index=DAYS, columns=["a", "b"]),
    "Arrow": lambda: pa.table({"a": NUMBERS, "b": WHOLE}),
    "a record batch": lambda: pa.record_batch({"a": NUMBERS, "b": WHOLE}),
    "a capsule": lambda: Capsule(pa.table({"a": NUMBERS, "b": WHOLE})),
}


@pytest.fixture(scope="module")
def expected() -> NDArray[np.float64]:
    """Predictions of the model of a plain array."""
    return quick().fit(matrix(), NUMBERS + WHOLE).predict(matrix())


def quick(**options: Any) -> XRFMRegressor:
    return XRFMRegressor(trials=0, folds=2, threads=1, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_table_means_the_same_as_the_plain_array(name: str, expected: NDArray[np.float64]) -> None:
    table = TABLES[name]()
    fitted = quick().fit(table, NUMBERS + WHOLE)
    np.testing.assert_array_equal(fitted.predict(table), expected)
    assert fitted.n_features_in_ == 2
    columns = getattr(as_frame(table), "columns", ())
    if len(columns) and all(isinstance(column, str) for column in columns):
        assert fitted.feature_names_in_.tolist() == list(columns)


def test_columns_without_names_are_known_by_their_place() -> None:
    named = pd.DataFrame(matrix(), columns=["a", "b"])
    by_name, by_place = quick().fit(named, NUMBERS), quick().fit(matrix(), NUMBERS)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(by_name.predict(matrix()), by_name.predict(named))
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        np.testing.assert_array_equal(by_place.predict(named), by_place.predict(matrix()))
    for wrong in (named[["b", "a"]], named[["a"]], named.assign(c=1)):
        with pytest.raises(ValueError, match="feature names"):
            by_name.predict(wrong)
    with pytest.raises(ValueError, match="3 features"):
        by_place.predict(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("table", "fact"),
    [
        (pd.DataFrame(matrix(), columns=["a", "a"]), "2 columns are named 'a'"),
        (pa.Table.from_arrays([pa.array(WHOLE)] * 2, names=["a", "a"]), "2 columns are named 'a'"),
        (pd.DataFrame(matrix(), columns=[0, "b"]), "string names"),
        (pd.DataFrame(index=range(ROWS)), "0 feature"),
        (np.array(1.0), "Expected 2D array"),
        (NUMBERS, "Expected 2D array"),
        (pd.Series(NUMBERS), "2-dimensional"),
        (pa.chunked_array([NUMBERS]), "Expected 2D array"),
        (matrix()[None], "dim 3"),
        (matrix() + 1j, "Complex"),
    ],
)
def test_what_is_no_table_is_refused(table: Any, fact: str) -> None:
    with pytest.raises((ValueError, TypeError), match=fact):
        quick().fit(table, NUMBERS)


def test_a_column_may_come_in_another_type_to_predict() -> None:
    frame = pd.DataFrame({"a": NUMBERS, "b": pd.Categorical(WHOLE), "day": DAYS})
    fitted = quick().fit(frame, NUMBERS + WHOLE)
    for other in (
        frame.astype({"a": str, "b": str, "day": str}),
        frame.astype({"a": object, "b": float, "day": object}),
        frame.astype({"b": "Int64", "day": "datetime64[s]"}),
    ):
        np.testing.assert_array_equal(fitted.predict(other), fitted.predict(frame))


LABELS = np.array(["a", "b", "NA", ""] * 6)
FLAGS = np.arange(ROWS) % 2 == 1
CLASSES: dict[str, tuple[Any, NDArray[Any]]] = {
    "spellings of missing cells": (
        np.array(["NA", "", "nan", "None"] * 6),
        np.array(["", "NA", "None", "nan"]),
    ),
    "blanks": (np.array(["a", "a ", " a"] * 8), np.array([" a", "a", "a "])),
    "versions": (np.array(["1.1", "1.10", "1"] * 8), np.array(["1", "1.1", "1.10"])),
    "list": (LABELS.tolist(), np.unique(LABELS)),
    "Series": (pd.Series(LABELS), np.unique(LABELS).astype(object)),
    "unused categories": (
        pd.Series(pd.Categorical(LABELS, categories=["z", *np.unique(LABELS)])),
        np.unique(LABELS).astype(object),
    ),
    "Arrow": (pa.chunked_array([LABELS.tolist()]), np.unique(LABELS).astype(object)),
    "Arrow dictionary": (pa.array(LABELS).dictionary_encode(), np.unique(LABELS).astype(object)),
    "a capsule": (Capsule(pa.chunked_array([LABELS.tolist()])), np.unique(LABELS).astype(object)),
    "booleans": (FLAGS, np.array([False, True])),
    "boolean": (pd.Series(FLAGS, dtype="boolean"), np.array([False, True])),
    "boolean objects": (FLAGS.astype(object), np.array([False, True])),
    "integer objects": (WHOLE.astype(object), np.unique(WHOLE)),
    "Int64": (pd.Series(WHOLE, dtype="Int64"), np.unique(WHOLE)),
    "small integers": (WHOLE.astype("i1"), np.unique(WHOLE).astype("i1")),
    "big-endian": (WHOLE.astype(">i4"), np.unique(WHOLE).astype("i4")),
    "integers as text": (WHOLE.astype(str), np.unique(WHOLE.astype(str))),
    "no value masked": (np.ma.MaskedArray(WHOLE), np.unique(WHOLE)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_labels_come_back_as_they_are(name: str) -> None:
    y, classes = CLASSES[name]
    plain = np.asarray(y.held if isinstance(y, Capsule) else y)
    x = np.unique(plain.astype(str), return_inverse=True)[1][:, None] * 10.0 + NUMBERS[:, None] / 10
    classifier = XRFMClassifier(trials=0, folds=2, threads=1).fit(x, y)
    np.testing.assert_array_equal(classifier.classes_, classes)
    assert classifier.classes_.dtype == classes.dtype
    found = classifier.predict(x)
    assert found.dtype == classes.dtype
    np.testing.assert_array_equal(found, plain)


def test_a_column_of_labels_warns() -> None:
    with pytest.warns(DataConversionWarning):
        XRFMClassifier(trials=0, folds=2, threads=1).fit(matrix(), FLAGS[:, None])


@pytest.mark.parametrize(
    ("y", "fact"),
    [
        (pd.Series([1, None] * 12, dtype="Int64"), "y contains NaN: row 2"),
        (pd.Series([True, None] * 12, dtype="boolean"), "y contains NaN: row 2"),
        (pd.Series(["a", None] * 12), "y contains NaN: row 2"),
        (objects("a", None), "y contains NaN: row 2"),
        (pa.array(["a", None] * 12), "y contains NaN: row 2"),
        (np.ma.MaskedArray(WHOLE, WHOLE == 0), "y contains NaN: row 2"),
        (objects("a", 1), "holds numbers and text"),
        (objects(True, 2), "holds booleans and numbers"),
        (objects(DAY, LATER), "holds date"),
        (pd.cut(NUMBERS, 3), "holds Interval"),
        (DAYS, "dtype datetime64"),
        (matrix(), "1d array"),
    ],
)
def test_labels_that_cannot_be_are_refused(y: Any, fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        XRFMClassifier(trials=0).fit(matrix(), y)


@pytest.mark.parametrize(
    ("y", "fact"),
    [
        (DAYS, "dtype datetime64"),
        (objects(DAY, LATER), "holds date"),
        (pd.cut(NUMBERS, 3), "holds Interval"),
        (words("nan", "1"), "y contains NaN"),
        (words("a", "1"), "could not convert string to float: 'a'"),
    ],
)
def test_numbers_that_cannot_be_are_refused(y: Any, fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        quick().fit(matrix(), y)


@pytest.mark.parametrize(
    "weights",
    [
        pd.Series(WHOLE + 2, dtype="Float64"),
        (WHOLE + 2).astype(">i4"),
        pa.array(WHOLE + 2),
        Capsule(pa.chunked_array([WHOLE + 2])),
        pd.Series([Decimal(int(item)) for item in WHOLE + 2], dtype=object),
    ],
)
def test_weights_of_any_type(weights: Any) -> None:
    table, _, name = training_table(table_of(matrix()), NUMBERS, weights)
    assert name == "weight"
    assert table.column("weight").to_pylist() == (WHOLE + 2).tolist()


@pytest.mark.parametrize(
    "weights",
    [pd.Series([1, None] * 12, dtype="Int64"), np.ma.MaskedArray(WHOLE, WHOLE == 0), DAYS, NUMBERS[:3]],
)
def test_weights_that_cannot_be_are_refused(weights: Any) -> None:
    with pytest.raises(ValueError, match="sample_weight"):
        training_table(table_of(matrix()), NUMBERS, weights)


def test_a_label_that_spells_a_missing_cell_is_a_class() -> None:
    target = TargetSchema(name="y", task="multiclass", reason="", classes=("", "NA", "a"))
    table = table_of(pd.DataFrame({"y": ["a", "NA", "", None, " a ", "nan", "b"]}))
    assert encode_target(table, target).tolist() == [2, 1, 0, -1, 2, -1, -2]
