"""The scikit-learn estimators: scikit-learn's own checks, tables of all kinds, and the command's numbers."""

from __future__ import annotations

import copy
import json
import pickle
import pickletools
import typing
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.cli.conftest import run_here
from xrfm_cli import XRFMClassifier, XRFMRegressor
from xrfm_cli.datasets import read_table
from xrfm_cli.errors import InputError, ModelFileError, OptionError
from xrfm_cli.events import Event

pytestmark = pytest.mark.usefixtures("few_trees")

FOLDS_DIFFER = (
    "rows are dealt to folds by their place, so repeated rows are not the same as weights; "
    "and leaves in float32 cannot agree to 1e-7"
)
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": FOLDS_DIFFER,
}


def expected_failures(estimator: object) -> dict[str, str]:
    """The checks that cannot hold, with the reason of each."""
    return EXPECTED_FAILURES


@pytest.mark.slow
@parametrize_with_checks(
    [XRFMRegressor(trials=0, folds=2), XRFMClassifier(trials=0, folds=2)],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_the_checks_of_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def flats(n: int = 80) -> tuple[pd.DataFrame, pd.Series]:
    """Columns of every type that a frame has, with gaps; and what they explain."""
    generator = np.random.default_rng(0)
    size, town = generator.uniform(20, 120, n), generator.choice(["Graz", "Wien"], n)
    frame = pd.DataFrame(
        {
            "size": np.where(np.arange(n) % 11 == 3, np.nan, size),
            "town": town,
            "floor": pd.Categorical(generator.choice(["low", "high"], n)),
            "built": pd.Timestamp("2001-01-01") + pd.to_timedelta(generator.integers(0, 5000, n), unit="D"),
            "lift": generator.random(n) < 0.5,
        }
    )
    return frame, pd.Series(10 * size + np.where(town == "Wien", 300, 0), name="rent")


@pytest.fixture(scope="module")
def regressor() -> XRFMRegressor:
    """A regressor fitted on a frame."""
    return XRFMRegressor(trials=0, folds=2).fit(*flats())


def test_a_frame_with_text_dates_categories_and_gaps(regressor: XRFMRegressor) -> None:
    frame, rent = flats()
    assert regressor.score(frame, rent) > 0.9
    assert list(regressor.feature_names_in_) == list(frame.columns)
    importances = regressor.feature_importances_
    assert importances.shape == (5,)
    assert importances.sum() == pytest.approx(1.0)
    assert importances[0] == importances.max()


def test_a_column_in_another_notation_is_warned_of(regressor: XRFMRegressor) -> None:
    frame, _ = flats()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor.predict(frame)
    with pytest.warns(
        UserWarning, match="built: no cell is a date as in training, for example '.* AD'"
    ) as caught:
        regressor.predict(frame.assign(built=[f"{day:%d %B} AD" for day in frame["built"]]))
    assert caught[0].filename == __file__


def test_an_arrow_table_is_the_same_as_the_frame(regressor: XRFMRegressor) -> None:
    frame, rent = flats()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    from_table = XRFMRegressor(trials=0, folds=2).fit(table, rent.to_numpy())
    np.testing.assert_array_equal(from_table.predict(table), regressor.predict(frame))


class Stream:
    """A data frame of an unknown library with Arrow's PyCapsule interface."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def test_whatever_speaks_arrow_is_the_same_as_the_frame(regressor: XRFMRegressor) -> None:
    frame, rent = flats()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    streamed = XRFMRegressor(trials=0, folds=2).fit(Stream(table), pa.array(rent), pa.array(np.ones(80)))
    np.testing.assert_array_equal(streamed.feature_names_in_, frame.columns)
    np.testing.assert_allclose(streamed.predict(Stream(table)), regressor.predict(frame), rtol=1e-4)
    np.testing.assert_array_equal(regressor.predict(Stream(table)), regressor.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        streamed.predict(Stream(table.drop_columns("town")))
    with pytest.raises(ValueError, match="0 sample"):
        streamed.predict(table.slice(0, 0))


def test_polars_is_the_same_as_the_frame(regressor: XRFMRegressor) -> None:
    polars = pytest.importorskip("polars")
    frame, rent = flats()
    other = polars.from_pandas(frame)
    fitted = XRFMRegressor(trials=0, folds=2).fit(other, polars.Series(rent.to_numpy()))
    np.testing.assert_array_equal(fitted.predict(other), regressor.predict(frame))
    labels = polars.Series(np.where(rent > rent.median(), "dear", "cheap"))
    classifier = XRFMClassifier(trials=0, folds=2).fit(other, labels)
    assert set(classifier.predict(other)) == {"dear", "cheap"}


def test_views_as_polars_writes_them_are_read(regressor: XRFMRegressor, tmp_path: Path) -> None:
    if not hasattr(pa, "string_view"):
        pytest.skip("this Arrow has no views")
    frame, _ = flats()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    town = table.column("town").combine_chunks()
    levels = pa.array(["high", "low"]).cast(pa.string_view())
    codes = pa.array([["high", "low"].index(item) for item in frame["floor"]], pa.uint32())
    floor = pa.DictionaryArray.from_arrays(codes, levels)
    viewed = table.set_column(1, "town", town.cast(pa.string_view())).set_column(2, "floor", floor)
    np.testing.assert_array_equal(regressor.predict(viewed), regressor.predict(frame))
    with pa.ipc.new_file(tmp_path / "t.arrow", viewed.schema) as writer:
        writer.write_table(viewed)
    kinds = read_table(tmp_path / "t.arrow").data.schema.types[1:3]
    assert kinds[0] == pa.string()
    assert kinds[1].value_type == pa.string()  # the mark of a category stays


def test_names_of_the_importances(regressor: XRFMRegressor) -> None:
    assert list(regressor.get_feature_names()) == ["size", "town", "floor", "built", "lift"]
    x, y = make_regression(40, 3, random_state=0)
    assert list(XRFMRegressor(trials=0, folds=2).fit(x, y).get_feature_names()) == ["x0", "x1", "x2"]
    with pytest.raises(NotFittedError):
        XRFMRegressor().get_feature_names()


def test_a_pickle_holds_the_models_file_and_no_more(regressor: XRFMRegressor, tmp_path: Path) -> None:
    frame, _ = flats()
    content = pickle.dumps(regressor)
    for again in (pickle.loads(content), copy.deepcopy(regressor)):
        np.testing.assert_array_equal(again.predict(frame), regressor.predict(frame))
        assert again.get_params() == regressor.get_params()
        assert again.model_.created == regressor.model_.created
    named = {item for item in imported_names(content) if item.startswith(("xrfm_cli", "torch"))}
    assert named == {"xrfm_cli.estimators.regressor"}
    regressor.save(tmp_path / "rent.xrfm")
    own = (tmp_path / "rent.xrfm").read_bytes()
    assert own in content
    with pytest.raises(ModelFileError, match="the stored model: is truncated or not"):
        pickle.loads(content.replace(b'"rows": 80', b'"rows": 81'))
    assert not hasattr(pickle.loads(pickle.dumps(XRFMRegressor(trials=3))), "model_")


def imported_names(content: bytes) -> set[str]:
    """The modules that a pickle would import."""
    texts = [argument for _, argument, _ in pickletools.genops(content) if isinstance(argument, str)]
    return {text.split(" ")[0] for text in texts}


@pytest.mark.slow
@pytest.mark.parametrize("target", ["rent", "zone"])
def test_the_command_fits_the_same_model(target: str, tmp_path: Path) -> None:
    frame, rent = flats()
    frame["rent" if target == "rent" else "zone"] = (
        rent if target == "rent" else np.where(rent > 900, "a", "b")
    )
    frame.to_parquet(tmp_path / "flats.parquet")
    options = ["--trials", "2", "--folds", "2", "--seed", "3", "--preset", "quick", "--device", "cpu"]
    options += ["--set", "kernel=norm", "--drop", "lift"]
    fit = ["fit", "flats.parquet", "--target", target, *options]
    for arguments in (fit, ["predict", "flats.parquet", "--output", "p.parquet", *PROBA[target]]):
        run_command(tmp_path, *arguments)
    written = pd.read_parquet(tmp_path / "p.parquet")
    features = frame.drop(columns=target)
    same: dict[str, Any] = {"trials": 2, "folds": 2, "random_state": 3, "preset": "quick"}
    same |= {"set": {"kernel": "norm"}, "drop": ["lift"]}
    if target == "rent":
        fitted = XRFMRegressor(**same).fit(features, frame[target])
        np.testing.assert_array_equal(fitted.predict(features), written["prediction"])
    else:
        classifier = XRFMClassifier(**same).fit(features, frame[target])
        np.testing.assert_array_equal(classifier.predict_proba(features), written.iloc[:, 1:])
        np.testing.assert_array_equal(classifier.predict(features), written["prediction"])


PROBA: dict[str, tuple[str, ...]] = {"rent": (), "zone": ("--proba",)}


def zones() -> tuple[pd.DataFrame, pd.Series]:
    """Flats of two zones, with a name and a noisy rent."""
    frame, rent = flats()
    frame["flat"] = [f"no {k}" for k in range(len(frame))]
    noisy = rent + np.random.default_rng(1).normal(0, 300, len(rent))
    return frame, pd.Series(np.where(noisy > 900, "a", "b"), name="zone")


def run_command(folder: Path, *arguments: str) -> str:
    """What the command writes to standard output, in this process."""
    outcome = run_here(*arguments, "--quiet", folder=folder)
    assert outcome.status == 0, outcome.err
    return outcome.out


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:size. none of the values occurred in training"
)  # the schema takes numbers for categories
@pytest.mark.parametrize("way", ["positive", "valid", "schema", "id"])
def test_each_option_does_what_it_does_in_the_command(way: str, tmp_path: Path) -> None:
    frame, zone = zones()
    whole = frame.assign(zone=zone)
    whole[:60].to_parquet(tmp_path / "flats.parquet")
    whole[60:].to_parquet(tmp_path / "later.parquet")
    (tmp_path / "columns.toml").write_text(COLUMNS)
    options = {
        "positive": ["--positive", "a"],
        "valid": ["--valid", "later.parquet"],
        "schema": ["--schema", "columns.toml"],
        "id": ["--id", "town", "--id", "flat"],
    }
    fit = ["fit", "flats.parquet", "--trials", "1", "--preset", "quick", "--metric", "f1", "--device", "cpu"]
    run_command(tmp_path, *fit, "--target", "zone", *options[way])
    run_command(tmp_path, "predict", "later.parquet", "--output", "p.parquet", "--proba")
    written = pd.read_parquet(tmp_path / "p.parquet").iloc[:, -3:]
    written.columns = ["zone", "first", "second"]
    arguments: dict[str, Any] = {
        "positive": {"positive": "a"},
        "valid": {},
        "schema": {"schema": tmp_path / "columns.toml"},
        "id": {"id": ["town", "flat"]},
    }
    valid = (frame[60:], zone[60:]) if way == "valid" else None
    classifier = XRFMClassifier(trials=1, preset="quick", metric="f1", **arguments[way])
    classifier.fit(frame[:60], zone[:60], valid=valid)
    assert classifier.classes_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(classifier.predict(frame[60:]), written["zone"])
    columns = ["second", "first"] if way == "positive" else ["first", "second"]
    np.testing.assert_array_equal(classifier.predict_proba(frame[60:]), written[columns])
    loaded = XRFMClassifier.load(tmp_path / "model.xrfm")
    np.testing.assert_array_equal(loaded.predict_proba(frame[60:]), written[columns])
    np.testing.assert_array_equal(loaded.predict(frame[60:]), written["zone"])


COLUMNS = """
[columns.size]
kind = "categorical"
role = "feature"
[columns.town]
kind = "categorical"
role = "feature"
[columns.floor]
kind = "categorical"
role = "dropped"
[columns.built]
kind = "datetime"
role = "feature"
[columns.lift]
kind = "boolean"
role = "feature"
[columns.flat]
kind = "identifier"
role = "id"
[columns.zone]
kind = "categorical"
role = "target"
"""


def test_options_that_cannot_be_are_refused(tmp_path: Path) -> None:
    frame, zone = zones()
    with pytest.raises(ValueError, match="must be one of two classes"):
        XRFMClassifier(trials=0, positive="c").fit(frame, zone)
    with pytest.raises(ValueError, match="no positive class"):
        XRFMRegressor(trials=0, positive=1.0).fit(frame, np.arange(80.0))
    with pytest.raises(ValueError, match="no such file"):
        XRFMClassifier(trials=0, schema=tmp_path / "none.toml").fit(frame, zone)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        XRFMClassifier(trials=0).fit(frame, zone, valid=(frame[:5], zone[:4]))
    with pytest.raises(ValueError, match="feature names"):
        XRFMClassifier(trials=0).fit(frame, zone, valid=(frame[["town"]][:5], zone[:5]))


def test_validation_rows_are_not_trained_on_and_count_once_beside_weights() -> None:
    frame, rent = flats()
    weights = np.full(60, 2.0)
    valid = (frame[60:], rent[60:])
    fitted = XRFMRegressor(trials=0).fit(frame[:60], rent[:60], weights, valid=valid)
    assert fitted.model_.report.rows == 60
    assert fitted.model_.report.validation["judged_rows"] == 20


def test_a_file_brings_the_same_numbers_back_and_the_command_writes_them(
    regressor: XRFMRegressor, tmp_path: Path
) -> None:
    frame, _ = flats()
    regressor.save(tmp_path / "rent.xrfm")
    loaded = XRFMRegressor.load(tmp_path / "rent.xrfm")
    expected = regressor.predict(frame)
    np.testing.assert_array_equal(loaded.predict(frame), expected)
    np.testing.assert_array_equal(loaded.feature_names_in_, regressor.feature_names_in_)
    np.testing.assert_array_equal(loaded.predict(frame[frame.columns[::-1]].assign(more=1)), expected)
    frame.to_parquet(tmp_path / "new.parquet")
    written = run_command(tmp_path, "predict", "new.parquet", "--model", "rent.xrfm")
    np.testing.assert_allclose([float(line) for line in written.split()[1:]], expected, rtol=1e-8)
    with pytest.raises(ValueError, match="load it with XRFMRegressor"):
        XRFMClassifier.load(tmp_path / "rent.xrfm")


def test_the_command_evaluates_a_saved_model_on_the_table_that_named_the_target(tmp_path: Path) -> None:
    frame, y = flats()
    model = XRFMRegressor(trials=0).fit(frame, y.rename("price"))
    assert model.model_.target.name == "price"
    model.save(tmp_path / "m.xrfm")
    frame.assign(price=y).to_parquet(tmp_path / "flats.parquet")
    written = run_command(tmp_path, "evaluate", "flats.parquet", "--model", "m.xrfm", "--json")
    error = np.sqrt(np.mean((model.predict(frame) - y) ** 2))
    assert json.loads(written)["metrics"]["rmse"] == pytest.approx(error, rel=1e-6)


def test_a_target_of_the_name_of_a_column_gets_a_free_one() -> None:
    frame, y = flats()
    model = XRFMRegressor(trials=0).fit(frame, y.rename(frame.columns[0]))
    assert model.model_.target.name == f"{frame.columns[0]}_"


def test_intervals_hold_most_of_the_truth(regressor: XRFMRegressor) -> None:
    frame, rent = flats()
    bounds = regressor.predict_interval(frame, 0.8)
    assert bounds.shape == (80, 2)
    assert ((bounds[:, 0] <= rent) & (rent <= bounds[:, 1])).mean() >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("labels", [["no", "yes"], ["9", "10", "11"], [False, True], [3, 1, 2]])
def test_labels_keep_their_type_and_order(labels: list[Any], tmp_path: Path) -> None:
    x = np.arange(60.0)[:, None] % len(labels)
    y = np.array(labels)[x[:, 0].astype(int)]
    classifier = XRFMClassifier(trials=0, folds=2).fit(x, y)
    np.testing.assert_array_equal(classifier.classes_, np.unique(y))
    np.testing.assert_array_equal(classifier.predict(x), y)
    probabilities = classifier.predict_proba(x)
    assert probabilities.shape == (60, len(labels))
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    classifier.save(tmp_path / "m.xrfm")
    loaded = XRFMClassifier.load(tmp_path / "m.xrfm")
    np.testing.assert_array_equal(loaded.predict(x), y)
    assert loaded.classes_.dtype == classifier.classes_.dtype


def test_options_reach_the_fit() -> None:
    x, y = make_regression(60, 3, random_state=0)
    model = (
        XRFMRegressor(trials=0, folds=2, metric="mae", set={"kernel": "norm", "bandwidth": 3.0})
        .fit(x, y)
        .model_
    )
    assert model.report.metric == "mae"
    assert model.members[0].params["kernel"] == "norm"
    assert model.members[0].params["bandwidth"] == 3.0
    with pytest.raises(ValueError, match="bandwidth"):
        XRFMRegressor(trials=0, set={"bandwith": 3.0}).fit(x, y)
    with pytest.raises(ValueError, match="duration"):
        XRFMRegressor(time_limit="soon").fit(x, y)


def test_the_seed_decides() -> None:
    x, y = make_regression(50, 4, noise=5, random_state=0)

    def fitted(random_state: int | np.random.RandomState) -> np.ndarray:
        return XRFMRegressor(trials=2, folds=2, random_state=random_state).fit(x, y).predict(x)

    np.testing.assert_array_equal(fitted(1), fitted(1))
    np.testing.assert_array_equal(fitted(np.random.RandomState(5)), fitted(np.random.RandomState(5)))


def test_weights_and_threads() -> None:
    import torch

    x, y = make_classification(80, 4, random_state=0)
    before = torch.get_num_threads()
    weighted = XRFMClassifier(trials=0, folds=2, threads=1).fit(
        x, y, sample_weight=np.where(y == 1, 5.0, 1.0)
    )
    plain = XRFMClassifier(trials=0, folds=2, threads=1).fit(x, y)
    assert weighted.predict_proba(x)[:, 1].mean() > plain.predict_proba(x)[:, 1].mean()
    assert torch.get_num_threads() == before
    with pytest.raises(ValueError, match="weight"):
        plain.fit(x, y, sample_weight=np.full(80, -1.0))


@pytest.mark.slow
def test_text_labels_are_searched_in_a_pipeline() -> None:
    x, y = make_classification(60, 4, random_state=0)
    labels = np.array(["no", "yes"], dtype=object)[y]
    pipeline = Pipeline([("scale", StandardScaler()), ("model", XRFMClassifier(trials=0, folds=2))])
    grid = {"model__set": [{"bandwidth": 3.0}, {"bandwidth": 30.0}]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss").fit(x, labels)
    assert set(search.predict(x)) == {"no", "yes"}
    assert search.best_estimator_["model"].model_.members[0].params["bandwidth"] in (3.0, 30.0)


def test_every_public_method_is_typed() -> None:
    for kind in (XRFMRegressor, XRFMClassifier):
        methods = [name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))]
        own = [name for name in methods if getattr(kind, name).__module__.startswith("xrfm_cli")]
        assert {"fit", "predict", "save", "load", "get_feature_names"} <= set(own)
        for name in own:
            assert "return" in typing.get_type_hints(getattr(kind, name)), name


def test_it_takes_its_place_among_estimators() -> None:
    x, y = make_regression(60, 3, random_state=0)
    pipeline = make_pipeline(StandardScaler(), XRFMRegressor(trials=0, folds=2))
    assert cross_val_score(clone(pipeline), x, y, cv=2).min() > 0.5


def test_bad_input_is_a_value_error_in_the_words_of_the_command() -> None:
    frame, rent = flats()
    with pytest.raises(ValueError, match="Did you mean 'town'") as fault:
        XRFMRegressor(trials=0, drop=["twon"]).fit(frame, rent)
    assert isinstance(fault.value.__cause__, InputError)
    with pytest.raises(ValueError, match="one class"):
        XRFMClassifier(trials=0).fit(frame, np.zeros(80, dtype=int))
    with pytest.raises(ValueError, match="feature names"):
        XRFMRegressor(trials=0, folds=2).fit(frame, rent).predict(frame.rename(columns={"town": "city"}))
    with pytest.raises(TypeError, match="string or a number"):
        XRFMRegressor(trials=0).fit(np.array([[{}, 1.0], [2.0, 3.0]], dtype=object), [1.0, 2.0])


def test_a_callback_receives_the_progress_and_its_exception_ends_the_fit() -> None:
    x, y = make_regression(60, 3, random_state=0)
    events: list[Event] = []
    XRFMRegressor(trials=3, folds=2).fit(x, y, callback=events.append)
    shares = [event.done for event in events if event.kind == "progress" and event.count is not None]
    assert all(
        before is not None and after is not None and before <= after for before, after in pairwise(shares)
    )
    assert shares[-1] == 1.0
    assert any("best rmse" in event.message for event in events)

    def stop(event: Event) -> None:
        if event.kind == "progress":
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        XRFMRegressor(trials=3, folds=2).fit(x, y, callback=stop)


def test_an_offset_is_a_column_of_the_rows() -> None:
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"a": generator.normal(size=80), "years": generator.uniform(0.5, 2.0, 80)})
    y = generator.poisson(rows["years"] * np.exp(rows["a"])).astype(float)
    found = XRFMRegressor(trials=0, folds=2, offset="years", metric="poisson_deviance").fit(rows, y)
    twice = rows.assign(years=2 * rows["years"])
    np.testing.assert_allclose(found.predict(twice), 2 * found.predict(rows))
    with pytest.raises(InputError, match="row 1, offset 'years'"):
        found.predict(rows.assign(years=0.0))
    with pytest.raises(OptionError, match=r"offset='years': '.*' of .* is a class"):
        XRFMClassifier(trials=0, folds=2, offset="years").fit(rows, y > 0)
