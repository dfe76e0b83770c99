"""Target encoding: the mean target of a level, without the row's own target."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets import (
    Encoder,
    EncodingConfig,
    Repair,
    SchemaOverrides,
    Table,
    fit_encoder,
    infer_schema,
)

N = 3000


def fit(
    levels: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None, category: str = "one_hot"
) -> tuple[Encoder, np.ndarray, Table]:
    table = Table(pa.table({"v": [f"level {level}" for level in levels]}))
    config = EncodingConfig(category=category)  # type: ignore[arg-type]
    encoder, x, _ = fit_encoder(table, infer_schema(table), config, target=target, weights=weights, seed=0)
    return encoder, x, table


def test_a_random_category_tells_nothing_about_a_random_target() -> None:
    """The training matrix must not leak: with own targets included the correlation would be about 0.57."""
    rng = np.random.default_rng(0)
    levels, target = rng.integers(0, 1000, N), rng.normal(size=(N, 1))
    encoder, x, table = fit(levels, target)
    naive = encoder.encode(table)[0][:, 0]
    assert np.corrcoef(naive, target[:, 0])[0, 1] > 0.4
    assert abs(np.corrcoef(x[:, 0], target[:, 0])[0, 1]) < 0.08


def test_rows_are_told_as_predictions_see_them_where_training_is_cross_fitted() -> None:
    rng = np.random.default_rng(3)
    numbers, levels = rng.normal(size=400), rng.integers(0, 60, 400)
    table = Table(pa.table({"a": numbers, "v": [f"level {level}" for level in levels]}))
    weights = np.where(rng.random(400) < 0.2, 0.0, 1.0)
    target = rng.normal(size=(400, 1))
    encoder, x, seen = fit_encoder(table, infer_schema(table), target=target, weights=weights)
    assert seen is not None
    np.testing.assert_array_equal(seen, encoder.encode(table)[0])
    differs = (x != seen).any(axis=1)
    assert differs[weights > 0].mean() > 0.9
    assert not differs[weights == 0].any()
    plain = Table(pa.table({"a": numbers}))
    assert fit_encoder(plain, infer_schema(plain), target=target)[2] is None


def test_levels_are_told_apart_by_their_means() -> None:
    rng = np.random.default_rng(1)
    effects = rng.normal(size=60)
    levels = rng.integers(0, 60, N)
    target = (effects[levels] + 0.3 * rng.normal(size=N))[:, None]
    encoder, x, table = fit(levels, target)
    assert encoder.feature_names == ("v target", "v frequency")
    assert np.corrcoef(x[:, 0], effects[levels])[0, 1] > 0.98
    assert x.std(axis=0) == pytest.approx([1.0, 1.0], abs=1e-3)
    new = encoder.encode(table)[0]
    assert np.corrcoef(new[:, 0], effects[levels])[0, 1] > 0.99


def test_unseen_and_missing_levels_become_the_overall_mean() -> None:
    rng = np.random.default_rng(2)
    levels = rng.integers(0, 50, N)
    encoder, _, _ = fit(levels, (levels / 25.0)[:, None])
    x, repairs = encoder.encode(Table(pa.table({"v": ["new", ""]})))
    assert x[:, 0] == pytest.approx([0.0, 0.0], abs=0.05)
    assert repairs == (Repair("v", "missing", 1), Repair("v", "unseen category", 1))


def test_missing_cells_are_a_level_where_training_had_them() -> None:
    cells = [f"level {place % 60}" if place % 4 else "" for place in range(400)]
    target = np.array([[0.0] if cell else [5.0] for cell in cells])
    table = Table(pa.table({"v": cells}))
    encoder, *_ = fit_encoder(table, infer_schema(table), target=target)
    x, _ = encoder.encode(Table(pa.table({"v": ["", "level 1"]})))
    assert x[0, 0] > 1.0 > x[1, 0]


@pytest.mark.parametrize(("classes", "columns"), [(2, 1), (3, 3), (25, 10)])
def test_class_indicators_make_a_bounded_number_of_columns(classes: int, columns: int) -> None:
    rng = np.random.default_rng(3)
    levels = rng.integers(0, 100, N)
    target = np.eye(classes)[levels % classes]
    encoder, x, _ = fit(levels, target)
    assert encoder.n_features == columns + 1
    assert np.isfinite(x).all()


def test_every_category_of_more_than_two_levels_on_demand() -> None:
    levels = np.arange(N) % 3
    encoder, _, _ = fit(levels, np.ones((N, 1)) * levels[:, None], category="target")
    assert encoder.feature_names == ("v target", "v frequency")
    encoder, _, _ = fit(levels % 2, levels[:, None] * 1.0, category="target")
    assert encoder.feature_names == ("v=level 1",)


def test_weights_shift_the_means() -> None:
    levels = np.repeat(np.arange(50), 20)
    target = np.tile([0.0] * 10 + [1.0] * 10, 50) + (levels == 0) * np.tile([0.0] * 10 + [3.0] * 10, 50)
    heavy = np.tile([0.1] * 10 + [1.9] * 10, 50)
    plain, _, _ = fit(levels, target[:, None])
    weighted, _, _ = fit(levels, target[:, None], heavy)
    cell = Table(pa.table({"v": ["level 0"]}))
    assert plain.encode(cell)[0][0, 0] > 2
    assert weighted.encode(cell)[0][0, 0] > 2
    assert plain.state()[1]["0.table"].tolist() != weighted.state()[1]["0.table"].tolist()


def test_a_constant_target_gives_a_constant_column() -> None:
    encoder, x, _ = fit(np.arange(N) % 60, np.zeros((N, 1)))
    assert (x[:, 0] == 0).all()
    assert encoder.n_features == 2


def test_levels_of_one_row_tell_nothing() -> None:
    """Not even which fold a row was in."""
    rng = np.random.default_rng(4)
    cells = [f"name {place}" for place in range(400)]
    table = Table(pa.table({"v": cells, "w": rng.normal(size=400)}))
    schema = infer_schema(table, SchemaOverrides(categorical=("v",)))
    _, x, _ = fit_encoder(table, schema, target=rng.normal(size=(400, 1)))
    assert (x[:, 0] == 0).all()
