"""Every Arrow type and every CSV spelling of a table means the same."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.datasets.carriers import VALUES, csv_carriers, unreadable_arrays
from xrfm_cli.datasets import (
    SchemaOverrides,
    Table,
    concatenate_tables,
    fit_encoder,
    infer_schema,
    read_table,
)
from xrfm_cli.datasets.cells.dates import moment_values
from xrfm_cli.datasets.cells.durations import duration_seconds
from xrfm_cli.datasets.cells.plain_types import is_readable, plain_columns
from xrfm_cli.datasets.cells.values import level_values, number_values
from xrfm_cli.datasets.schema.columns import TableSchema
from xrfm_cli.errors import SchemaError

ROWS = 48  # enough for kinds to be told, and each value occurs often


def column_of(array: pa.Array) -> pa.ChunkedArray:
    """The values over and over, as several chunks."""
    return pa.chunked_array([array] * (ROWS // len(array)))


def write_arrow(path: Path, array: pa.Array, *, stream: bool) -> Table:
    data = pa.table({"z": np.arange(ROWS) % 7 + 0.5, "q": column_of(array)})
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(path, data.schema) as writer:
        writer.write_table(data)
    return read_table(path)


def read_csv(path: Path, cells: list[str]) -> Table:
    quoted = [f'"{cell}"' if "," in cell else cell for cell in cells * (ROWS // len(cells))]
    path.write_text("z,q\n" + "".join(f"{place % 7 + 0.5},{cell}\n" for place, cell in enumerate(quoted)))
    return read_table(path)


def all_tables(folder: Path, name: str) -> dict[str, Table]:
    """The values as read from all carriers."""
    tables = {}
    for place, array in enumerate(VALUES[name].arrays):
        for stream in (False, True):
            path = folder / f"{name}-{place}-{stream}.arrow"
            tables[f"{array.type} {stream=}"] = write_arrow(path, array, stream=stream)
        plain = tables[f"{array.type} stream=False"].data
        try:
            pq.write_table(pa.table({"z": plain["z"], "q": column_of(array)}), folder / "t.parquet")
        except pa.ArrowNotImplementedError:
            continue  # run-end encoding and others, which Parquet does not have
        tables[f"{array.type} Parquet"] = read_table(folder / "t.parquet")
    for program, cells in VALUES[name].spellings.items():
        tables[f"CSV of {program}"] = read_csv(folder / f"{name}-{program}.csv", list(cells))
    return tables


def encoded(model: tuple[Table, TableSchema], rows: Table) -> bytes:
    """The rows as a model of the other table sees them."""
    table, schema = model
    encoder, _, _ = fit_encoder(table, schema, target=np.linspace(0, 1, table.n_rows)[:, None])
    x, repairs = encoder.encode(rows)
    assert {repair.what for repair in repairs} <= {"missing", "infinite"}
    return x.tobytes()


@pytest.mark.parametrize("name", VALUES)
def test_a_model_of_any_carrier_reads_all_others(tmp_path: Path, name: str) -> None:
    tables = all_tables(tmp_path, name)
    overrides = SchemaOverrides(categorical=("q",)) if name in ("text", "UUIDs") else None
    schemas = {carrier: infer_schema(table, overrides) for carrier, table in tables.items()}
    typed, text = next(iter(tables)), list(tables)[-1]
    for carrier, schema in schemas.items():
        if "dictionary" not in carrier and carrier != "CSV of PostgreSQL":
            assert schema == schemas[typed], carrier
    for model in (typed, text):
        wanted = encoded((tables[model], schemas[model]), tables[model])
        for carrier, table in tables.items():
            assert encoded((tables[model], schemas[model]), table) == wanted, (model, carrier)


@pytest.mark.parametrize("name", [name for name, values in VALUES.items() if values.same_levels])
def test_cells_are_equal_as_categories_and_groups(tmp_path: Path, name: str) -> None:
    tables = all_tables(tmp_path, name)
    levels = {carrier: level_values(table.column("q")) for carrier, table in tables.items()}
    first = next(iter(levels.values()))
    assert len(first.values) == len(set(VALUES[name].arrays[0].to_pylist()) - {None}) - (
        name == "floats of any size"  # NaN is missing
    )
    for carrier, found in levels.items():
        assert found.values.to_pylist() == first.values.to_pylist(), carrier
        assert found.codes.tolist() == first.codes.tolist(), carrier


@pytest.mark.parametrize(("name", "program"), list(csv_carriers()))
def test_validation_rows_of_another_carrier_join(tmp_path: Path, name: str, program: str) -> None:
    typed = write_arrow(tmp_path / "t.arrow", VALUES[name].arrays[0], stream=False)
    text = read_csv(tmp_path / "t.csv", list(VALUES[name].spellings[program]))
    schema = infer_schema(typed)
    if not any(column.name == "q" for column in schema.features):
        schema = infer_schema(typed, SchemaOverrides(categorical=("q",)))
    joined = encoded((typed, schema), concatenate_tables(typed, text))
    assert joined == 2 * encoded((typed, schema), typed)


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("-1 days +23:00:00", -3600.0),
        ("-1 days -02:00:00", -93_600.0),
        ("-1 days 02:00:00", -79_200.0),
        ("1 day 02:00:00", 93_600.0),
        ("25:00:00", 90_000.0),
        ("-01:00:00.5", -3600.5),
        ("INTERVAL '-1 02:00:00' DAY TO SECOND", -93_600.0),
        ("PT-1H-30M", -5400.0),
        ("-P1DT2H", -93_600.0),
        ("P2W", 1_209_600.0),
        ("1.5d", 129_600.0),
        ("0 days 00:00:00.000000350", 3.5e-7),
        ("P1M", None),
        ("P", None),
        ("12:30", None),
        ("1:75:00", None),
    ],
)
def test_spellings_of_durations(cell: str, seconds: float | None) -> None:
    found = duration_seconds(pa.array([cell]))[0]
    assert np.isnan(found) if seconds is None else found == seconds


def test_times_and_durations_in_units_of_older_models() -> None:
    """A model that counts days reads Arrow's durations in days."""
    cells = pa.array([86_400, 43_200], pa.duration("s"))
    assert number_values(cells, unit="days").values.tolist() == [1.0, 0.5]
    assert number_values(cells, unit="duration").values.tolist() == [86_400.0, 43_200.0]


def test_timestamps_of_96_bits_reach_the_year_9999(tmp_path: Path) -> None:
    """Spark writes them, and as nanoseconds they would end in 2262."""
    stamps = pa.array([dt.datetime(9999, 12, 31), dt.datetime(2024, 5, 1, 8, 30)], pa.timestamp("us"))
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"q": stamps}), path, use_deprecated_int96_timestamps=True, store_schema=False)
    assert level_values(read_table(path).column("q")).values.to_pylist() == [
        "9999-12-31",
        "2024-05-01 08:30:00",
    ]


@pytest.mark.parametrize("text", [False, True])
def test_whole_numbers_beyond_2_to_the_53_are_told_apart(text: bool) -> None:
    numbers = pa.array(range(2**53, 2**53 + 60))
    table = Table(pa.table({"user_id": numbers.cast(pa.string()) if text else numbers, "amount": numbers}))
    user, amount = infer_schema(table).columns
    assert user.kind == "identifier"
    assert user.reason == "named like an identifier, 60 distinct whole numbers in 60 rows"
    assert amount.reason.endswith("; beyond 2^53, numbers are rounded to about 16 digits")
    assert len(level_values(table.column("user_id")).values) == 60


@pytest.mark.parametrize("name", unreadable_arrays())
def test_types_that_cannot_be_read_are_refused_by_column(tmp_path: Path, name: str) -> None:
    array = unreadable_arrays()[name]
    assert not is_readable(array.type)
    table = write_arrow(tmp_path / "t.arrow", array, stream=True)
    assert table.take(np.array([0, 3])).n_rows == 2
    with pytest.raises(SchemaError, match=r"column 'q' holds .*; leave the column out with --drop"):
        infer_schema(table)
    assert infer_schema(table, SchemaOverrides(drop=("q",))).column("q").role == "dropped"
    with pytest.raises(SchemaError, match=r"t\.arrow: column 'q' holds .*, which is not a number"):
        table.column("q")


@pytest.mark.parametrize("length", ["Q", "M", "W", "D"])
def test_periods_of_pandas_are_the_dates_on_which_they_start(tmp_path: Path, length: str) -> None:
    periods = pd.period_range("2019-03-04", periods=30, freq=length)
    frame = pd.DataFrame({"q": periods.insert(5, pd.NaT), "z": np.arange(31) % 7})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_feather(tmp_path / "t.feather")
    starts = frame["q"].dt.to_timestamp().to_numpy().astype("datetime64[us]")
    for ending in ("csv", "parquet", "feather"):
        table = read_table(tmp_path / f"t.{ending}")
        (column,) = (item for item in infer_schema(table).columns if item.name == "q")
        assert (column.kind, column.datetime_format) == ("datetime", "iso"), ending
        moments = moment_values(table.column("q"), "iso")
        np.testing.assert_array_equal(moments.valid, ~np.isnat(starts))
        np.testing.assert_array_equal(
            moments.values[moments.valid].astype("datetime64[us]"), starts[~np.isnat(starts)]
        )


def test_periods_are_dates_before_pandas_has_registered_its_types() -> None:
    for length, expected in ((b'{"freq": "Q-DEC"}', dt.datetime(2010, 1, 1)), (b"{}", 160)):
        metadata = {"ARROW:extension:name": "pandas.period", "ARROW:extension:metadata": length}
        schema = pa.schema([pa.field("q", pa.int64(), metadata=metadata)])
        assert plain_columns(pa.table({"q": [160, None]}, schema=schema))["q"].to_pylist() == [expected, None]
