"""Schemas: the user's options win, errors are reported, and JSON keeps everything."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets import (
    ColumnSchema,
    SchemaOverrides,
    Table,
    TableSchema,
    check_columns,
    concatenate_tables,
    fit_encoder,
    infer_schema,
    read_groups,
    read_table,
    read_time,
    read_weights,
    sample_path,
    typed_table,
)
from xrfm_cli.errors import SchemaError

CELLS = {
    "age": ["41", "29", "?", "35"],
    "code": ["1", "2", "1", "3"],
    "city": ["Graz", "Linz", "Graz", "Wien"],
    "day": ["2014-10-13", "2014-10-14", "2015-01-01", "2015-01-02"],
    "weight": ["1", "2", "0", "0.5"],
    "same": ["x", "x", "x", "x"],
    "y": ["1.5", "2.5", "3.5", "7"],
}


def make_table(**changed: list[str]) -> Table:
    return Table(pa.table(CELLS | changed), "data.csv")


def test_roles_and_kinds_that_the_user_names_win() -> None:
    overrides = SchemaOverrides(
        target="y",
        weight="weight",
        group="city",
        time="day",
        ids=("age",),
        drop=("same",),
        categorical=("code",),
    )
    schema = infer_schema(make_table(), overrides)
    roles = {column.name: column.role for column in schema.columns}
    assert roles == {
        "age": "id",
        "code": "feature",
        "city": "group",
        "day": "time",
        "weight": "weight",
        "same": "dropped",
        "y": "target",
    }
    assert schema.column("code").kind == "categorical"
    assert schema.column("code").reason == "--categorical"
    assert [column.name for column in schema.features] == ["code", "day"]


def test_constants_and_identifiers_are_dropped_with_their_reason() -> None:
    table = make_table(name=["a", "b", "c", "d"])
    column = infer_schema(table).column("same")
    assert (column.role, column.kind) == ("dropped", "constant")
    assert column.reason == "the same text in every row: 'x'"
    assert infer_schema(table, SchemaOverrides(ids=("same",))).column("same").role == "id"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (SchemaOverrides(target="yy"), "data.csv: no column 'yy'"),
        (SchemaOverrides(drop=("ciyt",)), "no column 'ciyt'. Did you mean 'city'?"),
        (SchemaOverrides(numeric=("Age",)), "no column 'Age'. Did you mean 'age'?"),
        (
            SchemaOverrides(target="y", weight="y"),
            "column 'y' was given two roles, target and weight; keep one",
        ),
        (SchemaOverrides(numeric=("age",), categorical=("age",)), "was given two kinds"),
        (SchemaOverrides(numeric=("city",)), "row 1, column 'city': 'Graz' is not a number"),
        (SchemaOverrides(datetime=("city",)), "row 1, column 'city': 'Graz' is not a date"),
        (
            SchemaOverrides(target="y", drop=("age", "code", "city", "day", "weight")),
            "no column is left to learn from",
        ),
    ],
)
def test_wrong_overrides_are_refused(overrides: SchemaOverrides, message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        infer_schema(make_table(), overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_first_text_in_a_numeric_column_is_named() -> None:
    table = make_table(age=["41", "29", "-", "old"])
    with pytest.raises(
        SchemaError, match=r"data.csv: row 4, column 'age': 'old' is not a number; .* --numeric age"
    ):
        infer_schema(table, SchemaOverrides(numeric=("age",)))


@pytest.mark.parametrize(
    ("cells", "date_format"),
    [
        (["1413192600", "1413192700"], "epoch s"),
        (["1413192600000", "1413192700000"], "epoch ms"),
        (["20141013", "20141014"], "digits"),
        (["13.10.2014", "14.10.2014"], "day first"),
    ],
)
def test_columns_called_dates(cells: list[str], date_format: str) -> None:
    table = Table(pa.table({"when": cells}))
    assert (
        infer_schema(table, SchemaOverrides(datetime=("when",))).column("when").datetime_format == date_format
    )


def test_a_counter_is_a_feature_where_nothing_else_is_left() -> None:
    table = Table(pa.table({"item": list(range(60)), "y": [place * 0.5 for place in range(60)]}))
    assert infer_schema(table).column("item").kind == "identifier"
    column = infer_schema(table, SchemaOverrides(target="y")).column("item")
    assert (column.kind, column.role) == ("numeric", "feature")


def test_schema_survives_json() -> None:
    schema = infer_schema(make_table(), SchemaOverrides(target="y", time="day"))
    assert TableSchema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_bad_kinds_and_roles_are_refused() -> None:
    with pytest.raises(SchemaError, match="no kind 'number'"):
        ColumnSchema(name="a", kind="number")  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="no date format"):
        ColumnSchema(name="a", kind="datetime", datetime_format="backwards")  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match=r"no column 'agee' in the schema\. Did you mean 'age'"):
        infer_schema(make_table()).column("agee")


def test_missing_columns_at_prediction() -> None:
    schema = infer_schema(make_table(), SchemaOverrides(target="y", ids=("age",)))
    fewer = make_table().select(["code", "day", "weight"])
    check_columns(make_table().select(["code", "city", "day", "weight"]), schema)
    with pytest.raises(SchemaError, match=r"data.csv: no column 'city', which the model needs"):
        check_columns(fewer, schema)
    renamed = Table(fewer.data.append_column("citty", pa.array(CELLS["city"])), "new.csv")
    with pytest.raises(SchemaError, match=r"no column 'city'.* Did you mean 'citty'"):
        check_columns(renamed, schema)
    with pytest.raises(SchemaError, match=r"no column 'age', which the model needs \(2 more are missing\)"):
        check_columns(fewer, schema, needed=("id", "target", "feature"))


def test_weights() -> None:
    overrides = SchemaOverrides(weight="weight")
    schema = infer_schema(make_table(), overrides)
    weights = read_weights(make_table(), schema)
    assert weights is not None
    assert weights.tolist() == [1.0, 2.0, 0.0, 0.5]
    assert read_weights(make_table(), infer_schema(make_table())) is None
    for bad in ("-1", "", "inf", "heavy"):
        with pytest.raises(SchemaError, match="row 3, weight 'weight'"):
            read_weights(make_table(weight=["1", "1", bad, "1"]), schema)
    with pytest.raises(SchemaError, match="is 0 in every row"):
        read_weights(make_table(weight=["0", "0", "0", "0"]), schema)


def test_groups_and_times() -> None:
    table = make_table()
    schema = infer_schema(table, SchemaOverrides(group="city", time="day"))
    groups, time = read_groups(table, schema), read_time(table, schema)
    assert groups is not None
    assert time is not None
    assert groups.tolist() == [0, 1, 0, 2]
    assert (np.diff(time) > 0).all()
    numbers = read_time(table, infer_schema(table, SchemaOverrides(time="y")))
    assert numbers is not None
    assert numbers.tolist() == [1.5, 2.5, 3.5, 7.0]
    none = infer_schema(table)
    assert read_groups(table, none) is None
    assert read_time(table, none) is None
    with pytest.raises(SchemaError, match="row 2, group 'city' has no value"):
        read_groups(make_table(city=["a", "", "b", "b"]), schema)
    with pytest.raises(SchemaError, match="row 2, time 'day' has no value"):
        read_time(make_table(day=["2014-01-01", "", "2014-01-02", "2014-01-03"]), schema)
    with pytest.raises(SchemaError, match="time 'city' is categorical"):
        read_time(table, infer_schema(table, SchemaOverrides(time="city")))


@pytest.mark.parametrize("name", ["autos.csv", "credit.csv", "bikes.parquet"])
def test_a_typed_table_gives_the_same_schema_and_matrix(name: str) -> None:
    table = read_table(sample_path(name))
    schema = infer_schema(table)
    typed = typed_table(table, schema)
    target = np.arange(table.n_rows, dtype=float)[:, None]
    encoder, x, _ = fit_encoder(table, schema, target=target)
    again, x_typed, _ = fit_encoder(typed, schema, target=target)
    assert x.tobytes() == x_typed.tobytes()
    assert encoder.state()[0] == again.state()[0]


def test_tables_of_text_and_of_types_are_put_under_each_other() -> None:
    texts = Table(
        pa.table({"a": ["1", "2,5"], "b": ["x", ""], "c": ["1.2.2014", "13.2.2014"], "d": ["1", "q"]}),
        "a",
        (),
        ",",
    )
    types = Table(
        pa.table(
            {
                "c": pa.array([0], pa.timestamp("us")),
                "b": pa.array(["y"]).dictionary_encode(),
                "a": [4.25],
                "d": [1.5],
                "more": [1],
            }
        ),
        "b",
    )
    joined = concatenate_tables(texts, types)
    assert joined.column("a").to_pylist() == [1.0, 2.5, 4.25]
    assert joined.column("b").to_pylist() == ["x", "", "y"]
    assert [str(value)[:10] for value in joined.column("c").to_pylist()] == [
        "2014-02-01",
        "2014-02-13",
        "1970-01-01",
    ]
    assert joined.column("d").to_pylist() == ["1", "q", "1,5"]
    with pytest.raises(SchemaError, match="b: no column 'e', which a has"):
        concatenate_tables(Table(pa.table({"e": [1]}), "a"), types)
