"""Matrices: what each kind of column becomes, row by row the same in any chunk and any file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrfm_cli.datasets import (
    Encoder,
    EncodingConfig,
    Repair,
    SchemaOverrides,
    Table,
    fit_encoder,
    infer_schema,
    merge_repairs,
    read_table,
    sample_path,
)
from xrfm_cli.datasets.encoders.categorical import OneHotEncoder
from xrfm_cli.datasets.encoders.numeric import share_between
from xrfm_cli.errors import OptionError, SchemaError

CONFIGS = [
    EncodingConfig(),
    EncodingConfig(numeric="quantile", category="target"),
    EncodingConfig(max_one_hot=4, min_level_count=1),
    EncodingConfig(numeric="piecewise"),
]
SAMPLES = {
    "autos.csv": "price",
    "credit.csv": "class",
    "wine.csv": "cultivar",
    "soybean.csv": "class",
    "bikes.parquet": "rentals",
}


def encode_columns(
    columns: dict[str, Any], config: EncodingConfig | None = None, **overrides: Any
) -> tuple[Encoder, np.ndarray]:
    table = Table(pa.table(columns), "data.csv")
    schema = infer_schema(table, SchemaOverrides(**overrides))
    config = config or EncodingConfig(min_level_count=1)
    return fit_encoder(table, schema, config, target=np.linspace(-1, 1, table.n_rows)[:, None])[:2]


def as_columns(encoder: Encoder, x: np.ndarray) -> dict[str, list[float]]:
    return {name: x[:, place].tolist() for place, name in enumerate(encoder.feature_names)}


def test_numbers_are_standardised_with_an_indicator() -> None:
    encoder, x = encode_columns({"a": ["1", "3", "", "-"]})
    assert as_columns(encoder, x) == {"a": [-1.0, 1.0, 0.0, 0.0], "a missing": [0.0, 0.0, 1.0, 1.0]}
    assert (x.dtype, x.flags.c_contiguous) == (np.float32, True)


def test_only_the_indicator_of_a_constant_with_gaps() -> None:
    encoder, _ = encode_columns({"a": [1.0, None, 1.0], "b": [1.0, 2.0, 4.0]})
    assert encoder.feature_names == ("a missing", "b")


def test_infinite_and_unreadable_cells_count_as_missing() -> None:
    encoder, _ = encode_columns({"a": ["1", "3", "5"], "when": ["2014-01-01", "2014-02-02", "2014-03-03"]})
    new = Table(pa.table({"a": ["inf", "old", "", "3"], "when": ["soon", "", "2014-01-01", "2014-02-02"]}))
    x, repairs = encoder.encode(new)
    assert np.isfinite(x).all()
    assert set(repairs) == {
        Repair("a", "missing", 1),
        Repair("a", "infinite", 1),
        Repair("a", "unreadable number", 1),
        Repair("when", "missing", 1),
        Repair("when", "unreadable date", 1),
    }
    assert x[:3, 0].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "values",
    [
        [1e308, -1e308, 1e300, 5.0],
        [1e-310, 2e-310, 3e-310, 0.0],
        [1e16, 1e16 + 2, 1e16 + 4, 1e16],
        [np.inf, 1.0, 2.0, -np.inf],
        [2.0**63, 2.0**62, 1.0, 0.0],
    ],
)
@pytest.mark.parametrize("numeric", ["standard", "quantile", "piecewise"])
def test_extreme_numbers_stay_finite(values: list[float], numeric: Any) -> None:
    encoder, x = encode_columns({"a": values}, EncodingConfig(numeric=numeric))
    assert np.isfinite(x).all()
    assert x[:, 0].std() > 0.1
    far, _ = encoder.encode(Table(pa.table({"a": [1.7e308, -1.7e308]})))
    assert np.isfinite(far).all()
    assert np.isfinite(far**2).all()


def test_normal_scores() -> None:
    values = np.random.default_rng(0).lognormal(size=5000)
    encoder, x = encode_columns({"a": values}, EncodingConfig(numeric="quantile"))
    order = np.argsort(values)
    assert (np.diff(x[order, 0]) >= 0).all()
    assert x.mean() == pytest.approx(0, abs=0.01)
    assert x.std() == pytest.approx(1, abs=0.02)
    assert np.abs(x).max() < 3.6
    assert len(encoder.state()[1]["0.knots"]) <= 1000
    far, _ = encoder.encode(Table(pa.table({"a": [-1e9, 1e9]})))
    assert far[:, 0].tolist() == [x.min(), x.max()]


def test_weights_count_as_copies_and_rows_of_weight_zero_teach_nothing() -> None:
    numbers, words = [1.0, 2.0, 50.0, 4.0], ["a", "b", "z", "a"]
    table = Table(pa.table({"a": numbers, "b": words}))
    schema = infer_schema(table)
    weights = np.array([2.0, 1.0, 0.0, 1.0])
    encoder, x, _ = fit_encoder(table, schema, target=np.zeros((4, 1)), weights=weights)
    copies = table.take(np.array([0, 0, 1, 3]))
    expected, *_ = fit_encoder(copies, schema, target=np.zeros((4, 1)))
    np.testing.assert_allclose(encoder.encode(table)[0][:, 0], expected.encode(table)[0][:, 0], rtol=1e-6)
    assert not any("z" in name for name in encoder.feature_names)
    assert x.shape[0] == 4


def test_two_levels_make_one_column() -> None:
    encoder, x = encode_columns({"sex": ["male", "female", "male"], "smokes": ["yes", "no", "no"]})
    assert as_columns(encoder, x) == {"sex=male": [1.0, 0.0, 1.0], "smokes": [1.0, 0.0, 0.0]}
    new, repairs = encoder.encode(Table(pa.table({"sex": ["other", ""], "smokes": ["", "often"]})))
    assert new.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert {repair.what for repair in repairs} == {"missing", "unseen category"}


def test_rare_and_unseen_levels_share_a_column() -> None:
    cells = ["a"] * 5 + ["b"] * 4 + ["c"] * 2 + ["d", ""]
    encoder, x = encode_columns({"v": cells}, EncodingConfig(min_level_count=3))
    assert encoder.feature_names == ("v=a", "v=b", "v rare", "v missing")
    assert x.sum(axis=0).tolist() == [5, 4, 3, 1]
    assert encoder.training_repairs == (Repair("v", "missing", 1),)
    new, repairs = encoder.encode(Table(pa.table({"v": ["c", "zzz", "a"]})))
    assert new.tolist() == [[0, 0, 1, 0], [0, 0, 1, 0], [1, 0, 0, 0]]
    assert repairs == (Repair("v", "unseen category", 1),)


def test_a_number_is_one_level_however_it_is_written() -> None:
    encoder, _ = encode_columns({"v": [3, 4, 5, 3]}, categorical=("v",))
    expected, _ = encoder.encode(Table(pa.table({"v": [3, 4, 5]})))
    for cells in (["3", "4.0", "5.00"], [3.0, 4.0, 5.0], pa.array([3, 4, 5], pa.int8()), [" 3", "4 ", "5"]):
        assert encoder.encode(Table(pa.table({"v": cells})))[0].tolist() == expected.tolist()


def test_dates_become_elapsed_time_and_calendar() -> None:
    cells = [
        f"{day:02d}-0{month}-2014 {hour:02d}:00"
        for month in (1, 2, 3)
        for day in (1, 14, 27)
        for hour in (0, 6, 12)
    ]
    encoder, x = encode_columns({"when": cells})
    columns = as_columns(encoder, x)
    assert columns["when hour=6"][:4] == [0.0, 1.0, 0.0, 0.0]
    assert columns["when hour sin"][1] == pytest.approx(1.0)
    assert columns["when month=2"] == [0.0] * 9 + [1.0] * 9 + [0.0] * 9
    assert columns["when weekday=2"][0] == 1.0  # 1 January 2014 was a Wednesday
    assert np.std(columns["when elapsed"]) == pytest.approx(1.0, abs=1e-6)
    assert not any("minute" in name for name in columns)


def test_the_time_column_gives_only_its_calendar() -> None:
    encoder, _ = encode_columns({"when": ["2014-01-01", "2014-02-02", "2014-03-03"]}, time="when")
    assert "when elapsed" not in encoder.feature_names
    assert "when month=2" in encoder.feature_names


def test_text_has_a_bounded_width() -> None:
    cells = [f"the {place} brown foxes jump over number {place * 7}" for place in range(50)]
    encoder, x = encode_columns({"note": [*cells, ""]})
    assert encoder.n_features == 35
    assert np.allclose(np.square(x[:50, 2:34]).sum(axis=1), 1.0, atol=1e-5)
    assert x[50].tolist() == [0.0] * 34 + [1.0]


def test_groups_cover_the_matrix() -> None:
    table = read_table(sample_path("autos.csv"))
    encoder, x, _ = fit_encoder(table, infer_schema(table), target=np.zeros((table.n_rows, 1)))
    assert encoder.n_features == x.shape[1] == len(encoder.feature_names)
    assert [group.start for group in encoder.groups] == [0, *(group.stop for group in encoder.groups[:-1])]
    assert encoder.groups[-1].stop == x.shape[1]
    for group in encoder.groups:
        assert group.names == encoder.feature_names[group.start : group.stop]
        assert all(name.startswith(group.column) for name in group.names)
    assert len(set(encoder.feature_names)) == encoder.n_features


def fitted_samples() -> Iterator[tuple[str, int, Table, Encoder, np.ndarray]]:
    for name, target in SAMPLES.items():
        table = read_table(sample_path(name))
        schema = infer_schema(table, SchemaOverrides(target=target))
        y = np.random.default_rng(0).normal(size=(table.n_rows, 3))
        for number, config in enumerate(CONFIGS):
            encoder, x, _ = fit_encoder(table, schema, config, target=y, seed=1)
            yield name, number, table, encoder, x


@pytest.fixture(scope="module")
def samples() -> list[tuple[str, int, Table, Encoder, np.ndarray]]:
    return list(fitted_samples())


@pytest.mark.slow
def test_a_row_is_encoded_alike_alone_and_in_any_chunk(
    samples: list[tuple[str, int, Table, Encoder, np.ndarray]],
) -> None:
    for _, _, table, encoder, _ in samples:
        x, repairs = encoder.encode(table)
        for row in (0, 5, 77, table.n_rows - 1):
            assert encoder.encode(table.slice(row, row + 1))[0].tobytes() == x[row : row + 1].tobytes()
        cuts = [0, 3, 64, 130, table.n_rows]
        pieces = [encoder.encode(table.slice(a, b)) for a, b in pairwise(cuts)]
        assert np.concatenate([piece[0] for piece in pieces]).tobytes() == x.tobytes()
        assert set(merge_repairs(r for piece in pieces for r in piece[1])) == set(repairs)
        order = np.random.default_rng(0).permutation(table.n_rows)
        assert encoder.encode(table.take(order))[0].tobytes() == x[order].tobytes()
        assert encoder.encode(table.slice(0, 0))[0].shape == (0, encoder.n_features)


def test_state_round_trip_is_bit_identical(
    samples: list[tuple[str, int, Table, Encoder, np.ndarray]],
) -> None:
    for _, _, table, encoder, _ in samples:
        document, arrays = encoder.state()
        again = Encoder.from_state(
            json.loads(json.dumps(document)), {name: a.copy() for name, a in arrays.items()}
        )
        assert again.encode(table)[0].tobytes() == encoder.encode(table)[0].tobytes()
        assert again.groups == encoder.groups
        assert again.config == encoder.config
        assert again.training_repairs == encoder.training_repairs


def test_matrices_are_finite_and_of_bounded_scale(
    samples: list[tuple[str, int, Table, Encoder, np.ndarray]],
) -> None:
    for name, _, _, _, x in samples:
        assert np.isfinite(x).all(), name
        assert np.abs(x).max() < 50, name
        assert (x.std(axis=0) > 0).all(), name


def test_the_seed_decides_the_cross_fitting() -> None:
    columns = {"v": [f"level {place % 40}" for place in range(400)]}
    table = Table(pa.table(columns))
    target = np.random.default_rng(0).normal(size=(400, 1))
    schema = infer_schema(table)
    first, same, other = (fit_encoder(table, schema, target=target, seed=seed)[1] for seed in (3, 3, 4))
    assert first.tobytes() == same.tobytes()
    assert first.tobytes() != other.tobytes()


CELLS = st.sampled_from(
    [
        "1",
        "2.5",
        "-3e2",
        "",
        "NA",
        "-",
        "abc",
        "yes",
        "No",
        "2014-10-13",
        "13.10.2014 09:30",
        "1,5",
        "é",
        "inf",
        "$3",
    ]
)


@pytest.mark.slow
@settings(max_examples=60, derandomize=True)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=2, max_size=15), st.sampled_from([".", ","]))
def test_any_cells_are_encoded_row_by_row(rows: list[tuple[str, str]], decimal: str) -> None:
    table = Table(pa.table({"a": [row[0] for row in rows], "b": [row[1] for row in rows]}), "t", (), decimal)
    schema = infer_schema(table)
    target = np.linspace(0, 1, len(rows))[:, None]
    try:
        encoder, x, _ = fit_encoder(
            table, schema, EncodingConfig(max_one_hot=2, min_level_count=1), target=target
        )
    except SchemaError:
        return  # nothing varies
    assert np.isfinite(x).all()
    whole, _ = encoder.encode(table)
    for row in range(table.n_rows):
        assert encoder.encode(table.slice(row, row + 1))[0].tobytes() == whole[row].tobytes()


def test_errors() -> None:
    encoder, _ = encode_columns({"age": [1.0, 2.0], "size": [3.0, 5.0]})
    with pytest.raises(
        SchemaError, match=r"new.csv: no column 'age', which the model needs\. Did you mean 'agee'"
    ):
        encoder.encode(Table(pa.table({"agee": [1.0], "size": [1.0]}), "new.csv"))
    with pytest.raises(SchemaError, match="no column varies in the 2 training rows"):
        encode_columns({"v": ["a", "a"], "w": ["", ""]})
    with pytest.raises(
        OptionError, match=r"'quantil' is none of standard, quantile, piecewise\. Did you mean 'quantile'"
    ):
        EncodingConfig(numeric="quantil")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="max_one_hot=1"):
        EncodingConfig(max_one_hot=1)


@pytest.mark.parametrize("unit", [5e-324, 2.0**-1000, 1.0, 2.0**1019])
def test_shares_between_numbers_of_any_size(unit: float) -> None:
    values = np.array([-9.0, 0.0, 1.0, 2.0, 3.0, 4.0, 9.0]) * unit
    assert share_between(values, 0.0, 4 * unit).tolist() == [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert share_between(values, -4 * unit, 4 * unit).tolist() == [0.0, 0.5, 0.625, 0.75, 0.875, 1.0, 1.0]


def test_equal_columns_of_two_encoders_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table = read_table(str(sample_path("autos.csv")))
    schema = infer_schema(table, SchemaOverrides(target="price"))
    target = np.linspace(-1, 1, table.n_rows)[:, None]
    configs = [EncodingConfig(numeric="quantile"), EncodingConfig()]
    first, second = (fit_encoder(table, schema, config, target=target)[0] for config in configs)
    alone, repairs = second.encode(table)
    known: dict[Any, Any] = {}
    first, second = (Encoder.from_state(*encoder.state()).sharing(known) for encoder in (first, second))
    encoded: Any = {}
    first.encode(table, encoded=encoded)
    categories = [kind in ("categorical", "boolean") for kind in second.kinds]
    assert [id(column) in encoded for column in second.columns] == categories
    monkeypatch.setattr(OneHotEncoder, "encode", None)  # no longer needed
    found, again = second.encode(table, encoded=encoded)
    assert np.array_equal(found, alone)
    assert again == repairs
