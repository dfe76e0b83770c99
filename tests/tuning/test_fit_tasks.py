"""Whole fits of each task: scores, baselines, the report and the samples that ship."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn import metrics as skm
from sklearn.dummy import DummyClassifier, DummyRegressor

from tests.tuning.tables import answers, fit, law, noise_table, sample, scores, table_of, task_table
from xrfm_cli.datasets import SchemaOverrides, encode_target
from xrfm_cli.errors import OptionError, XRFMError
from xrfm_cli.events import Event
from xrfm_cli.tuning import METRICS, FittedModel, default_metric, evaluate_metrics
from xrfm_cli.tuning.problem.validation_plan import make_validation_plan
from xrfm_cli.tuning.scoring.thresholds import MOST_PROBABLE


def test_a_bent_law_is_learned_far_better_than_by_the_baselines(task: str, model: FittedModel) -> None:
    report = model.report
    assert report.metric == default_metric(task)
    loss = METRICS[report.metric].loss
    assert [baseline["name"] for baseline in report.baselines][1:] == ["ridge", "boosted trees"]
    for baseline in report.baselines[:2]:
        assert loss(report.score) < 0.8 * loss(baseline["score"])
    assert loss(report.score) < loss(report.baselines[2]["score"])
    new = task_table(task, 300, seed=9)
    y_true = encode_target(new, model.target)
    fresh = evaluate_metrics(model.target, y_true, answers(model, new))[report.metric]
    assert loss(fresh) < 0.8 * min(loss(b["score"]) for b in report.baselines[:2])
    assert loss(fresh) < 1.2 * loss(report.score)  # the out-of-fold score holds on new rows


def test_the_report_agrees_with_itself(task: str, model: FittedModel) -> None:
    report = model.report
    assert report.rows == 120
    assert report.dropped_rows == 0
    assert report.stopped_by == "trials"
    assert len(report.trials) == 3
    assert [trial["number"] for trial in report.trials] == [0, 1, 2]
    assert any(trial["state"] == "complete" for trial in report.trials)
    assert report.metrics[report.metric] == pytest.approx(report.score, rel=1e-9)
    assert report.score_low <= report.score <= report.score_high or task == "regression"
    assert report.score_low <= report.score_high
    assert report.lower_is_better == METRICS[report.metric].lower_is_better
    assert sum(member["weight"] for member in report.ensemble) == pytest.approx(1.0)
    assert [member["trial"] for member in report.ensemble] == [m.trial for m in model.members]
    assert len({member["trial"] for member in report.ensemble}) == len(report.ensemble)
    assert report.validation == {
        "scheme": "cross-validation",
        "folds": 3,
        "judged_rows": 120,
        "reason": report.validation["reason"],
    }
    assert sum(leaf["rows"] for leaf in report.leaves) == 120 * len(model.members)
    assert set(report.seconds) >= {"prepare", "search", "refit", "total"}
    json.dumps(report.to_json(), allow_nan=False)


def test_the_kept_out_of_fold_predictions_give_the_score(task: str, model: FittedModel) -> None:
    oof, report = model.report.oof, model.report
    y_true, predicted = np.array(oof["target"]), np.array(oof["prediction"])
    assert sorted(oof["row"]) == list(range(120))
    if task == "binary":
        predicted = np.column_stack([1 - predicted, predicted])
    assert evaluate_metrics(model.target, y_true, predicted)[report.metric] == pytest.approx(
        report.score, rel=1e-6
    )
    expected = encode_target(task_table(task), model.target)[oof["row"]]
    assert y_true.tolist() == expected.tolist()


def test_the_chosen_ensemble_is_no_worse_than_its_best_trial(task: str, model: FittedModel) -> None:
    loss = METRICS[model.report.metric].loss
    best = min(map(loss, scores(model).values()))
    assert loss(model.report.score) <= best * 1.02 + 1e-6  # calibration is shared, so not exactly


def test_probabilities_add_to_one_and_labels_follow(models: dict[str, FittedModel]) -> None:
    for task, classes in (("binary", 2), ("multiclass", 3)):
        model = models[task]
        p = answers(model, task_table(task, 200, seed=4))
        assert p.shape == (200, classes)
        np.testing.assert_allclose(p.sum(1), 1.0, atol=1e-12)
        assert (p > 0).all()
        assert (model.labels(p) == p.argmax(1)).all()
        assert model.decision == MOST_PROBABLE
    assert models["binary"].target.classes == ("no", "yes")
    assert models["multiclass"].target.classes == ("blue", "green", "red")


def test_out_of_fold_predictions_come_from_the_other_folds_alone() -> None:
    table, pinned = task_table("regression", 90), {"iterations": 0}  # nothing is learned across folds
    model = fit(table, pinned=pinned)
    predicted = np.empty(90)
    predicted[model.report.oof["row"]] = model.report.oof["prediction"]
    for fold in make_validation_plan(90, seed=0, folds=3).folds:
        apart = fit(table.take(np.sort(fold.train)), pinned=pinned)
        np.testing.assert_allclose(answers(apart, table.take(fold.valid)), predicted[fold.valid], atol=2e-4)


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_regression_baseline_equals_the_dummy(metric: str) -> None:
    columns = law(90)
    model = fit(columns, metric=metric, pinned={"iterations": 0})
    plan = make_validation_plan(90, seed=0, folds=3)
    guesses, y = np.empty(90), columns["y"]
    for fold in plan.folds:
        dummy = DummyRegressor().fit(np.zeros((len(fold.train), 1)), y[fold.train])
        guesses[fold.valid] = dummy.predict(np.zeros((len(fold.valid), 1)))
    score = {"rmse": skm.root_mean_squared_error, "mae": skm.mean_absolute_error, "r2": skm.r2_score}[metric]
    assert model.report.baselines[0]["name"] == "mean"
    assert model.report.baselines[0]["score"] == pytest.approx(score(y, guesses), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1", "log_loss", "brier"])
@pytest.mark.parametrize("classes", ["binary", "multiclass"])
def test_class_baseline_equals_the_dummy(classes: str, metric: str) -> None:
    table = task_table(classes, 90)
    model = fit(table, metric=metric, pinned={"iterations": 0})
    codes = encode_target(table, model.target)
    plan = make_validation_plan(90, seed=0, folds=3, strata=codes)
    p = np.empty((90, len(model.target.classes)))
    for fold in plan.folds:
        dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(fold.train), 1)), codes[fold.train])
        p[fold.valid] = dummy.predict_proba(np.zeros((len(fold.valid), 1)))
    if (classes, metric) == ("binary", "f1"):
        p = np.tile([0.0, 1.0], (90, 1))  # the constant that serves it best
    expected = evaluate_metrics(model.target, codes, p)[metric]
    assert model.report.baselines[0]["name"] == "majority"
    assert model.report.baselines[0]["score"] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("classes", ["binary", "multiclass"])
def test_a_constant_ranks_nothing(classes: str) -> None:
    model = fit(task_table(classes, 91), metric="auc", pinned={"iterations": 0})
    assert model.report.baselines[0]["score"] == pytest.approx(0.5, abs=1e-9)


def test_labels_use_the_threshold_that_was_tuned_for_f1() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(240, 2))
    rare = generator.uniform(size=240) < 0.35 / (1 + np.exp(-2 * x[:, 0]))  # never above one half
    columns = {"a": x[:, 0], "b": x[:, 1], "y": np.where(rare, "yes", "no").tolist()}
    model = fit(columns, metric="f1", trials=2)
    threshold = model.decision.threshold
    assert threshold is not None
    assert 0 < threshold < 0.5
    p = answers(model, table_of(columns))
    assert (model.labels(p) == (p[:, 1] >= threshold)).all()
    positive = np.array(model.report.oof["prediction"])
    y_true = np.array(model.report.oof["target"])
    tuned = skm.f1_score(y_true, positive >= threshold)
    assert model.report.score == pytest.approx(tuned, rel=1e-6)
    assert model.report.metrics["f1"] == pytest.approx(tuned, rel=1e-6)
    assert tuned > skm.f1_score(y_true, positive >= 0.5, zero_division=0.0)
    assert model.report.score_low <= model.report.score <= model.report.score_high


@pytest.mark.slow
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_can_be_asked_for(metric: str) -> None:
    for task in METRICS[metric].tasks:
        table = task_table(task, 60)
        if metric in ("poisson_deviance", "gamma_deviance", "mape"):
            columns = law(60)
            table = table_of(columns | {"y": np.exp(columns["y"])})
        report = fit(table, metric=metric, pinned={"iterations": 1}).report
        assert report.metric == metric
        assert math.isfinite(report.score)
        assert report.score == pytest.approx(report.metrics[metric], rel=1e-9)
        loss = METRICS[metric].loss
        assert loss(report.score) <= loss(report.baselines[0]["score"])


@pytest.mark.parametrize("metric", ["poisson_deviance", "auc"])
def test_a_metric_that_the_target_does_not_allow_is_refused(metric: str) -> None:
    columns = law(60)
    with pytest.raises(OptionError, match=f"--metric {metric}"):
        fit(columns | {"y": columns["y"] - 10.0}, metric=metric)


def test_poisson_deviance_survives_predictions_below_zero() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=80)
    counts = generator.poisson(np.exp(1.5 * x - 1)).astype(float)
    model = fit({"x": x, "y": counts}, metric="poisson_deviance", task="regression")
    assert math.isfinite(model.report.score)


SAMPLES = [("autos.csv", "price", "regression"), ("wine.csv", "cultivar", "multiclass")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "target", "task"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_samples_are_learned(name: str, target: str, task: str) -> None:
    table = sample(name)
    model = fit(table, SchemaOverrides(target=target), target=target, trials=2)
    assert model.target.task == task
    loss = METRICS[model.report.metric].loss
    assert loss(model.report.score) < 0.5 * loss(model.report.baselines[0]["score"])
    assert np.isfinite(answers(model, table)).all()


@pytest.mark.slow
def test_the_credit_sample_is_ranked() -> None:
    table = sample("credit.csv", 300)
    model = fit(table, SchemaOverrides(target="class"), target="class", trials=2)
    assert model.report.metric == "auc"
    assert model.report.score > 0.65


@pytest.mark.slow
def test_nineteen_classes_with_gaps_are_told_apart() -> None:
    table = sample("soybean.csv", 300)
    model = fit(table, SchemaOverrides(target="class"), target="class", metric="accuracy", trials=2, folds=2)
    p = answers(model, table)
    assert p.shape[1] == len(model.target.classes)
    np.testing.assert_allclose(p.sum(1), 1.0, atol=1e-12)
    assert model.report.score > 0.7


def test_the_bikes_are_validated_by_later_rows() -> None:
    table = sample("bikes.parquet", 300)
    model = fit(table, SchemaOverrides(target="rentals", time="time"), target="rentals", trials=1)
    assert model.report.validation["reason"].endswith("validated on later rows")
    assert model.report.score < model.report.baselines[0]["score"]
    moments = np.array(table.column("time").to_pylist())
    validated = np.zeros(300, dtype=bool)
    validated[model.report.oof["row"]] = True
    assert moments[~validated].max() < moments[validated].min()


def test_a_target_without_signal_is_not_learned() -> None:
    columns = noise_table(300)
    model = fit(columns, trials=4, metric="r2")
    assert model.report.score <= 0.05
    assert model.report.score > -0.2


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 400])
def test_a_rare_class_without_signal_costs_no_more_than_its_share(n: int) -> None:
    columns = noise_table(n) | {"y": np.where(np.arange(n) % 4 == 0, "rare", "usual").tolist()}
    report = fit(columns, metric="log_loss", trials=2, folds=5).report
    assert report.score <= report.baselines[0]["score"] + 0.01


def test_rows_without_a_target_are_left_out_and_said() -> None:
    columns = law(60)
    y = columns["y"].tolist()
    y[3] = y[40] = None
    events: list[Event] = []
    model = fit(columns | {"y": y}, on_event=events.append)
    assert model.report.dropped_rows == 2
    assert model.report.rows == 58
    assert any(e.kind == "note" and e.message.startswith("2 rows left out, without a target") for e in events)


def test_events_tell_what_happens() -> None:
    events: list[Event] = []
    fit(law(60), trials=2, on_event=events.append)
    assert [e.message for e in events if e.kind == "stage"] == [
        "preparing rows and folds",
        "searching",
        "fitting the chosen models on all rows",
        "measuring the columns on held-out rows",
    ]
    shares = [e.done for e in events if e.kind == "progress" and e.done is not None]
    assert all(0 <= share <= 1 for share in shares)
    assert any("trial 2 of 2 · best rmse" in e.message for e in events)


def test_a_table_without_a_feature_is_refused() -> None:
    with pytest.raises(XRFMError, match="column"):
        fit({"same": [1.0] * 10, "y": list(range(10))})
