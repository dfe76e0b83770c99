"""One table, written as CSV and as Parquet, gives one schema and one matrix, bit for bit."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrfm_cli.datasets import (
    EncodingConfig,
    SchemaOverrides,
    Table,
    encode_target,
    fit_encoder,
    infer_schema,
    infer_target,
    read_chunks,
    read_table,
    sample_path,
)
from xrfm_cli.errors import SchemaError

TEXT = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12
).map(lambda text: "w" + text.strip() + "w")
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "float64": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    "float32": (pa.float32(), st.floats(width=32, allow_nan=False, allow_infinity=False)),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "int8": (pa.int8(), st.integers(-128, 127)),
    "bool": (pa.bool_(), st.booleans()),
    "word": (
        pa.string(),
        st.sampled_from(["red", "green", "blue", "None", "a,b", 'say "x"', "two\nlines", "é"]),
    ),
    "text": (pa.string(), TEXT),
    "day": (pa.date32(), st.dates(dt.date(1900, 1, 1), dt.date(2100, 12, 31))),
    "stamp": (
        pa.timestamp("us"),
        st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 12, 31)).map(
            lambda t: t.replace(microsecond=0)
        ),
    ),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    n = draw(st.integers(2, 40))
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=5, unique=True))
    columns = {}
    for name in names:
        kind, values = COLUMNS[name]
        cells = draw(st.lists(st.none() | values, min_size=n, max_size=n))
        columns[name] = pa.array(cells, kind)
    return pa.table(columns)


def matrices(table: Table, config: EncodingConfig) -> tuple[Any, ...]:
    schema = infer_schema(table)
    try:
        encoder, x, _ = fit_encoder(table, schema, config, target=np.linspace(0, 1, table.n_rows)[:, None])
    except SchemaError:
        return schema, None, None
    return schema, encoder.feature_names, x.tobytes()


@pytest.mark.slow
@settings(max_examples=80, derandomize=True)
@given(tables(), st.sampled_from(["standard", "quantile", "piecewise"]))
def test_a_table_survives_csv_and_parquet(data: pa.Table, numeric: Any) -> None:
    config = EncodingConfig(numeric=numeric, min_level_count=1)
    with tempfile.TemporaryDirectory() as folder:
        csv, parquet = Path(folder) / "t.csv", Path(folder) / "t.parquet"
        pacsv.write_csv(data, csv)
        pq.write_table(data, parquet)
        typed, text = read_table(parquet), read_table(csv) if data.num_columns > 1 else None
        assert typed.data.equals(data)
        expected = matrices(Table(data), config)
        assert matrices(typed, config) == expected
        if text is not None:
            assert text.n_rows == data.num_rows
            assert matrices(text, config) == expected
            pieces = [chunk.data for chunk in read_chunks(csv, chunk_rows=7)]
            assert pa.concat_tables(pieces).equals(text.data)


def pandas_frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 120
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "small": rng.normal(size=n).astype(np.float32),
            "count": rng.integers(0, 9, n),
            "gaps": np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, 9, n)),
            "flag": rng.random(n) < 0.5,
            "word": rng.choice(["a", "b", "None"], n),
            "when": pd.Timestamp("2014-01-01") + pd.to_timedelta(rng.integers(0, 10_000, n), unit="h"),
            "level": pd.Categorical(rng.choice(["x", "y", "z"], n)),
        }
    )
    frame.loc[3, "word"] = None
    return frame


def test_what_pandas_writes_means_the_same(tmp_path: Path) -> None:
    frame = pandas_frame()
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    from_memory = Table(pa.Table.from_pandas(frame, preserve_index=False))
    results = [
        matrices(table, EncodingConfig())
        for table in (read_table(tmp_path / "t.csv"), read_table(tmp_path / "t.parquet"), from_memory)
    ]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("options", [{}, {"sep": ";", "decimal": ","}, {"sep": "\t"}, {"encoding": "utf-16"}])
def test_spellings_of_csv_mean_the_same(tmp_path: Path, options: dict[str, str]) -> None:
    frame = pandas_frame()
    frame.to_csv(tmp_path / "t.csv", index=False, **options)
    frame.to_parquet(tmp_path / "t.parquet")
    config = EncodingConfig()
    assert matrices(read_table(tmp_path / "t.csv"), config) == matrices(
        read_table(tmp_path / "t.parquet"), config
    )


def test_decimal_and_date_spellings_do_not_carry_over(tmp_path: Path) -> None:
    """A model fitted on one spelling encodes another, because the mark belongs to the file."""
    (tmp_path / "de.csv").write_text("a;b\n1,5;x\n2,25;y\n1000,125;x\n")
    (tmp_path / "en.csv").write_text("a,b\n1.5,x\n2.25,y\n1000.125,x\n")
    german, english = read_table(tmp_path / "de.csv"), read_table(tmp_path / "en.csv")
    encoder, x, _ = fit_encoder(german, infer_schema(german), target=np.zeros((3, 1)))
    assert encoder.encode(english)[0].tobytes() == x.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "task", "rows", "columns"),
    [
        ("autos.csv", "price", "regression", 201, 26),
        ("credit.csv", "class", "binary", 1000, 21),
        ("wine.csv", "cultivar", "multiclass", 178, 14),
        ("soybean.csv", "class", "multiclass", 683, 36),
        ("bikes.parquet", "rentals", "regression", 2952, 9),
    ],
)
def test_samples_in_both_formats(
    tmp_path: Path, name: str, target: str, task: str, rows: int, columns: int
) -> None:
    path = sample_path(name)
    assert path.stat().st_size < 200_000
    table = read_table(path)
    assert (table.n_rows, len(table.column_names)) == (rows, columns)
    schema = infer_schema(table, SchemaOverrides(target=target))
    assert not [column for column in schema.columns if column.role == "dropped"]
    found = infer_target(table, target)
    assert found.task == task
    other = tmp_path / ("t.csv" if name.endswith("parquet") else "t.parquet")
    if name.endswith("parquet"):
        pacsv.write_csv(table.data, other)
    else:
        convert = pacsv.ConvertOptions(null_values=["?"], strings_can_be_null=True)
        pq.write_table(pacsv.read_csv(path, convert_options=convert), other)
    again = read_table(other)
    assert matrices(again, EncodingConfig()) == matrices(table, EncodingConfig())
    np.testing.assert_array_equal(encode_target(again, found), encode_target(table, found))
