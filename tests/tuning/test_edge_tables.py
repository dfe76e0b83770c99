"""Tables that are tiny, constant, wide, huge in scale, full of gaps or of copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.tuning.tables import answers, as_text, fit, law, one_line, skewed, table_of, task_table
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.errors import InputError
from xrfm_cli.tuning import FitConfig, FittedModel, fit_model


def check(model: FittedModel, table: Table) -> np.ndarray:
    """Assert properties of every model, however odd its table."""
    found = answers(model, table)
    assert len(found) == table.n_rows
    assert np.isfinite(found).all()
    assert np.isfinite(model.report.score)
    if found.ndim == 2:
        assert (found > 0).all()
        np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-9)
    return found


def fit_and_check(columns: dict[str, Any], **options: Any) -> FittedModel:
    table = table_of(columns)
    model = fit(table, **options)
    check(model, table)
    return model


def small(task: str, n: int) -> dict[str, Any]:
    columns = law(n, seed=2)
    if task != "regression":
        names = ["no", "yes"] if task == "binary" else ["a", "b", "c"]
        columns["y"] = [names[k % len(names)] for k in range(n)]
    return columns


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 10, 30])
def test_tiny_tables(task: str, n: int) -> None:
    model = fit_and_check(small(task, n), trials=2, folds=None)
    assert model.report.rows == n


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_handful_of_rows_is_fitted_or_refused_in_one_line(task: str, n: int) -> None:
    try:
        fit_and_check(small(task, n), folds=None)
    except InputError as error:
        one_line(error)


@pytest.mark.slow
@pytest.mark.parametrize(
    "metric", [None, "accuracy", "f1", "log_loss", "average_precision", "balanced_accuracy"]
)
def test_two_rows_of_a_class(metric: str | None) -> None:
    columns = law(30)
    columns["y"] = ["rare" if k in (4, 21) else "usual" for k in range(30)]
    fit_and_check(columns, trials=2, folds=None, metric=metric)
    columns["y"] = ["rare" if k in (4, 21) else "ab"[k % 2] for k in range(30)]
    fit_and_check(columns, trials=2, folds=None, metric=metric)


@pytest.mark.slow
@pytest.mark.parametrize("metric", [None, "auc", "f1"])
def test_one_row_of_a_class(metric: str | None) -> None:
    columns = law(30)
    columns["y"] = ["rare" if k == 4 else "ab"[k % 2] for k in range(30)]
    fit_and_check(columns, trials=2, folds=None, metric=metric)
    columns["y"] = ["rare" if k == 4 else "usual" for k in range(30)]
    fit_and_check(columns, trials=1, folds=None, metric=metric)


def test_constant_columns_are_left_out() -> None:
    columns = law(40)
    model = fit_and_check(columns | {"same": [7.0] * 40, "word": ["x"] * 40, "none": [None] * 40})
    assert {group.column for group in model.members[0].encoder.groups} == {"a", "b", "useless", "town"}


@pytest.mark.parametrize("kind", ["numeric", "category", "boolean", "date"])
def test_one_feature(kind: str) -> None:
    columns = law(60)
    feature: Any = {
        "numeric": columns["a"],
        "category": columns["town"],
        "boolean": (columns["a"] > 0).tolist(),
        "date": np.datetime64("2020-01-01", "D") + np.arange(60) * np.timedelta64(3, "D"),
    }[kind]
    if kind == "date":
        feature = [str(day) for day in feature]
    fit_and_check({"only": feature, "y": columns["y"]}, trials=3)


def test_a_feature_that_varies_in_one_row_alone() -> None:
    # The fold that validates on this row trains on a constant column.
    columns = {"flag": [float(k == 7) for k in range(40)], "y": law(40)["y"]}
    fit_and_check(columns, folds=5)


def test_a_feature_that_is_present_in_one_fold_alone() -> None:
    values: list[float | None] = [None] * 40
    values[3], values[4] = 1.0, 2.0
    fit_and_check({"rare": values, "a": law(40)["a"], "y": law(40)["y"]}, folds=5)


@pytest.mark.slow
def test_more_columns_than_rows() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(30, 80))
    columns: dict[str, Any] = {f"x{k}": x[:, k] for k in range(80)} | {"y": x[:, 0] + x[:, 1]}
    fit_and_check(columns, trials=4)
    fit_and_check(columns | {"y": np.where(x[:, 0] > 0, "p", "q").tolist()}, trials=2)


def test_many_categories_more_than_rows_can_tell() -> None:
    columns = law(40)
    columns |= {f"c{k}": [f"v{(i * (k + 3)) % 17}" for i in range(40)] for k in range(6)}
    fit_and_check(columns, trials=3)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e12, 1e100, 1e300])
def test_scales_of_the_features_do_not_matter(scale: float) -> None:
    columns = law(60)
    plain = fit(columns, pinned={"iterations": 1})
    scaled = columns | {"a": columns["a"] * scale, "b": columns["b"] / scale}
    model = fit_and_check(scaled, pinned={"iterations": 1})
    assert model.report.score == pytest.approx(plain.report.score, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e-12, 1e30, 1e170, 1e298])
@pytest.mark.parametrize("metric", ["rmse", "r2"])
def test_the_scale_of_the_target_comes_back(scale: float, metric: str) -> None:
    columns = law(60)
    plain = fit(columns, metric=metric, trials=2)
    scaled = columns | {"y": columns["y"] * scale}
    model = fit_and_check(scaled, metric=metric, trials=2)
    expected = plain.report.score * (scale if metric == "rmse" else 1.0)
    assert model.report.score == pytest.approx(expected, rel=0.02)
    probe = table_of(law(20, seed=3))
    np.testing.assert_allclose(answers(model, probe) / scale, answers(plain, probe), rtol=0.02, atol=0.02)


def test_a_target_of_the_smallest_floats_is_fitted() -> None:
    columns = law(60)
    plain = fit(columns, metric="r2", pinned={"iterations": 1})
    model = fit_and_check(columns | {"y": columns["y"] * 1e-310}, metric="r2", pinned={"iterations": 1})
    assert model.report.score == pytest.approx(plain.report.score, rel=0.02)
    assert model.report.metrics["rmse"] == pytest.approx(plain.report.metrics["rmse"] * 1e-310, rel=0.02)


def test_a_skewed_target_of_any_scale_has_logarithms() -> None:
    scores = []
    for scale in (1.0, 1e-200, 1e200):
        columns = skewed(60)
        model = fit_and_check(
            columns | {"y": columns["y"] * scale},
            metric="poisson_deviance",
            pinned={"target_transform": "log"},
        )
        scores.append(model.report.score / scale)
    assert scores == pytest.approx([scores[0]] * 3, rel=0.02)


def test_a_target_beyond_what_can_be_summed_is_refused_by_its_row() -> None:
    columns = law(60)
    columns["y"][7] = -1.7976931348623157e308
    with pytest.raises(InputError, match=r"row 8, target 'y': -1.79769e\+308 is beyond 1e\+300") as caught:
        fit(columns)
    one_line(caught.value)


def test_a_target_far_from_zero_keeps_its_digits() -> None:
    columns = law(60)
    plain = fit(columns, pinned={"iterations": 1})
    model = fit_and_check(columns | {"y": columns["y"] + 1e9}, pinned={"iterations": 1})
    assert model.report.score == pytest.approx(plain.report.score, rel=0.02)


def test_outliers_stop_nothing() -> None:
    columns = law(60)
    columns["a"][3], columns["b"][5] = 1e20, -1e15
    columns["y"][7] = 1e8
    fit_and_check(columns, trials=3)


@pytest.mark.slow
def test_copied_rows_are_no_obstacle(task: str) -> None:
    columns = small(task, 20)
    copied = {name: np.repeat(np.array(values), 4).tolist() for name, values in columns.items()}
    fit_and_check(copied, trials=3)


def test_equal_rows_with_different_targets_are_averaged() -> None:
    generator = np.random.default_rng(0)
    side = np.arange(80) % 2
    columns = {"x": side.astype(float), "y": side * 10.0 + generator.normal(size=80)}
    model = fit_and_check(columns, pinned={"ridge": 0.001})
    found = answers(model, table_of({"x": [0.0, 1.0]}))
    np.testing.assert_allclose(found, [columns["y"][side == k].mean() for k in (0, 1)], atol=0.3)


@pytest.mark.slow
def test_gaps_in_every_column_and_in_every_row(task: str) -> None:
    columns = small(task, 60)
    names = ["a", "b", "useless", "town"]
    for place, name in enumerate(names):
        values = list(columns[name])
        columns[name] = [None if (k + place) % 4 == 0 else v for k, v in enumerate(values)]
    table = table_of(columns)
    model = fit(table, trials=2)
    check(model, table)
    assert {r["what"] for r in model.report.repairs} == {"missing"}
    emptied = table_of({name: [None] * 3 for name in names})
    check(model, emptied)
    repairs = model.predict(emptied).repairs
    assert {(r.column, r.count) for r in repairs} == {(name, 3) for name in names}


def test_infinite_cells_are_mended_and_counted() -> None:
    columns = law(40)
    columns["a"][[1, 2]] = np.inf, -np.inf
    model = fit_and_check(columns)
    assert {"column": "a", "what": "infinite", "count": 2} in model.report.repairs


def test_categories_never_seen_before() -> None:
    model = fit(law(60), trials=3)
    new = law(30, seed=1)
    known = answers(model, table_of(new))
    table = table_of(new | {"town": ["Rom", "Oslo", None] * 10})
    found = check(model, table)
    assert np.abs(found - known).max() < 5.0
    counts = {(r.column, r.what): r.count for r in model.predict(table).repairs}
    assert counts[("town", "unseen category")] == 20


def test_columns_to_predict_may_be_more_and_in_another_order(model: FittedModel) -> None:
    columns = law(20, seed=3)
    found = answers(model, table_of(columns))
    turned = {name: columns[name] for name in reversed(list(columns))} | {"more": ["?"] * 20}
    del turned["y"]
    assert answers(model, table_of(turned)).tobytes() == found.tobytes()


def test_a_missing_column_is_named_with_the_nearest(model: FittedModel) -> None:
    columns = law(5)
    columns["usless"] = columns.pop("useless")
    with pytest.raises(InputError, match=r"no column 'useless'.*Did you mean 'usless'") as caught:
        model.predict(table_of(columns, "new.csv"))
    assert one_line(caught.value).startswith("new.csv: ")


def test_no_rows_give_no_predictions(task: str, model: FittedModel) -> None:
    empty = table_of(law(8)).take(np.array([], dtype=np.int64))
    found = answers(model, empty)
    assert found.shape == ((0,) if task == "regression" else (0, len(model.target.classes)))


@pytest.mark.slow
def test_text_and_typed_cells_give_the_same_model(task: str) -> None:
    columns = small(task, 40)
    table = table_of(columns)
    left, right = fit(table), fit(as_text(table))
    probe = table_of(law(25, seed=6))
    assert answers(left, probe).tobytes() == answers(right, as_text(probe)).tobytes()


def test_little_memory_means_fewer_centers_and_is_told() -> None:
    generator = np.random.default_rng(0)
    columns = {"x": generator.normal(size=3_000), "y": generator.normal(size=3_000)}
    model = fit(columns, memory_bytes=1 << 24, folds=2)
    assert len(model.members[0].tree.leaves[0].centers) < 3_000
    assert "of its rows are centers" in str(model.report.fallbacks)


def test_numbers_may_be_called_categories() -> None:
    columns = {"code": np.arange(60) % 5, "y": (np.arange(60) % 5 == 3) * 4.0 + law(60)["a"] * 0.01}
    model = fit(columns, SchemaOverrides(target="y", categorical=("code",)))
    found = answers(model, table_of({"code": [3, 2]}))
    assert found[0] > found[1] + 2


LABELS: dict[str, tuple[Any, Any]] = {
    "booleans": (False, True),
    "whole numbers": (1, 2),
    "decimals": (1.0, 2.5),
    "text": ("<=50K", ">50K"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LABELS)
def test_classes_keep_the_type_they_came_in(kind: str) -> None:
    low, high = LABELS[kind]
    columns = law(60)
    model = fit_and_check(columns | {"y": [high if y > 1.5 else low for y in columns["y"]]})
    assert model.target.classes == (low, high)
    assert [type(label) for label in model.target.classes] == [type(low), type(high)]
    assert model.target.positive == high


def test_the_positive_class_can_be_chosen() -> None:
    table = task_table("binary", 60)
    usual, turned = fit(table, folds=2), _with_positive(table, "no")
    assert turned.target.classes == ("yes", "no")
    assert turned.report.score == pytest.approx(usual.report.score, abs=0.05)
    p = answers(turned, table)
    np.testing.assert_allclose(p[:, ::-1], answers(usual, table), atol=0.1)


def _with_positive(table: Table, positive: str) -> FittedModel:
    target = infer_target(table, "y", positive=positive)
    schema = infer_schema(table, SchemaOverrides(target="y"))
    return fit_model(table, schema, target, FitConfig(trials=0, folds=2))


@pytest.mark.parametrize("metric", ["auc", "log_loss", "f1"])
def test_classes_that_come_one_after_the_other_in_time(metric: str) -> None:
    # Early folds train on one class and validate on another.
    columns = law(60) | {"y": ["a"] * 20 + ["b"] * 20 + ["c"] * 20, "t": np.arange(60)}
    model = fit(columns, SchemaOverrides(target="y", time="t"), metric=metric)
    check(model, table_of(columns))


@pytest.mark.slow
def test_many_classes_of_few_rows() -> None:
    columns = law(90)
    fit_and_check(columns | {"y": [f"k{k % 30:02d}" for k in range(90)]}, trials=2)


def test_groups_that_are_the_classes() -> None:
    columns = law(60) | {"y": ["abc"[k % 3] for k in range(60)], "g": [k % 3 for k in range(60)]}
    model = fit(columns, SchemaOverrides(target="y", group="g"), folds=None)
    check(model, table_of(columns))


def equal_rows(n: int, seed: int, *, shuffled: bool = True) -> dict[str, Any]:
    """Half of the rows are one and the same; a category has mean targets, for too many levels."""
    rng = np.random.default_rng(seed)
    service = rng.integers(0, 40, n)
    size, rate = rng.lognormal(size=n), rng.random(n)
    label = np.where(service % 3 == 0, "scan", np.where(size > 1.2, "flood", "normal")).astype(object)
    half = n // 2
    service[:half], size[:half], rate[:half], label[:half] = 1, 1.5, 0.5, "flood"
    order = rng.permutation(n) if shuffled else np.arange(n)
    names = np.array([f"s{k}" for k in range(40)], dtype=object)
    columns = {"service": names[service], "size": size, "rate": rate, "y": label}
    return {name: list(values[order]) for name, values in columns.items()}


@pytest.mark.slow
def test_a_large_group_of_equal_rows_is_one_row_of_the_leaf_that_predicts_it() -> None:
    """The folds of a mean target must not tell copies apart, neither in splits nor in a leaf's bandwidth."""
    table = table_of(equal_rows(1000, seed=1))
    model = fit(table, trials=3, pinned={"leaf_size": 100})
    seen = table_of({name: values[:1] for name, values in equal_rows(1000, seed=2, shuffled=False).items()})
    encoded, _ = model.encode(seen)
    for member in model.members:
        x = torch.from_numpy(encoded[id(member.encoder)])
        near = [int(((leaf.centers - x).abs().amax(1) < 0.01).sum()) for leaf in member.tree.leaves]
        assert len(near) > 1
        assert sum(near) == near[int(member.tree.route(x))] == 1  # in its own leaf, and once
    found = check(model, seen)
    assert found[0, list(model.target.classes).index("flood")] > 0.99
