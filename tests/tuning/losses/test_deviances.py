"""Poisson and gamma losses with a log link, from the table to the model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_gamma_deviance, mean_poisson_deviance

from tests.tuning.tables import answers, fit, law, one_line, same_bits, table_of, task_table
from xrfm_cli.errors import ModelFileError, OptionError, TargetError
from xrfm_cli.reports import attribute_rows
from xrfm_cli.trees import read_model_file, write_model_file
from xrfm_cli.tuning import FittedModel, load_model, refit_model, save_model
from xrfm_cli.tuning.scoring.target_transforms import LogMeanTransform, target_transform_from_json

DEVIANCES = {"poisson": mean_poisson_deviance, "gamma": mean_gamma_deviance}
each_loss = pytest.mark.parametrize("loss", DEVIANCES)


def amounts(loss: str, n: int = 200, *, seed: int = 0) -> dict[str, Any]:
    """Counts or positive amounts whose mean is a product of terms of the columns."""
    columns = law(n, seed=seed)
    mean = np.exp(columns["a"] + 0.7 * (np.array(columns["town"]) == "Wien"))
    random = np.random.default_rng([seed, 1])
    y = random.poisson(mean) if loss == "poisson" else random.gamma(2.0, mean / 2)
    return columns | {"y": y.astype(float)}


@pytest.fixture(scope="module")
def models() -> dict[str, FittedModel]:
    return {
        loss: fit(amounts(loss), task="regression", pinned={"loss": loss, "iterations": 1})
        for loss in DEVIANCES
    }


@each_loss
def test_members_learn_logarithms_of_means(loss: str, models: dict[str, FittedModel]) -> None:
    model, new = models[loss], amounts(loss, 500, seed=3)
    (member,) = model.members
    assert isinstance(member.target_transform, LogMeanTransform)
    assert member.target_transform.mean == pytest.approx(np.mean(amounts(loss)["y"]))
    found = answers(model, table_of(new))
    assert (found > 0).all()
    deviance, constant = DEVIANCES[loss], np.full(500, new["y"].mean())
    assert deviance(new["y"], found) < 0.85 * deviance(new["y"], constant)


@each_loss
def test_a_file_keeps_them_and_explanations_add_up(
    loss: str, models: dict[str, FittedModel], tmp_path: Path
) -> None:
    model, path, table = models[loss], tmp_path / "m.xrfm", table_of(amounts(loss, 40, seed=5))
    save_model(model, path)
    assert same_bits(answers(load_model(path), table), answers(model, table))
    found = attribute_rows(model, table)
    columns = [found.column(column.name).to_numpy() for column in model.schema.features]
    change = found.column("prediction").to_numpy() - found.column("baseline").to_numpy()
    np.testing.assert_allclose(sum(columns), change, atol=1e-9)
    np.testing.assert_allclose(found.column("prediction").to_numpy(), answers(model, table))


@pytest.mark.parametrize(
    "fact",
    [{"mean": 0.0}, {"mean": -1.0}, {"low": 9.0}, {"high": 800.0}, {"mean": 1e305}, {"kind": "logs"}],
    ids=str,
)
def test_limits_that_cannot_be_are_refused(
    fact: dict[str, Any], models: dict[str, FittedModel], tmp_path: Path
) -> None:
    save_model(models["poisson"], tmp_path / "m.xrfm")
    manifest, tensors = read_model_file(tmp_path / "m.xrfm")
    coding = manifest["members"][0]["coding"]
    coding |= {"high": 100.0} if "mean" in fact else {}
    coding |= fact
    write_model_file(tmp_path / "bad.xrfm", manifest, tensors)
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "bad.xrfm")


@pytest.mark.slow
@each_loss
def test_the_search_tries_them_for_their_deviance(loss: str) -> None:
    def tried(**options: Any) -> set[tuple[str, str]]:
        found = fit(amounts(loss, 60), task="regression", trials=6, **options)
        return {
            (trial["params"]["loss"], trial["params"]["target_transform"])
            for trial in found.report.trials
            if trial["params"]["kernel"] in ("norm", "sum_power")
        }

    of_deviance = tried(metric=f"{loss}_deviance")
    assert {(loss, "none"), ("squared", "none")} <= of_deviance
    assert (loss, "log") not in of_deviance
    assert {own for own, _ in tried(metric="rmse")} == {"squared"}
    assert {own for own, _ in tried(metric=f"{loss}_deviance", pinned={"target_transform": "log"})} == {
        "squared"
    }


def test_the_gamma_deviance_is_scored_where_it_was_asked_for() -> None:
    model = fit(amounts("gamma"), metric="gamma_deviance", task="regression")
    oof = model.report.oof
    assert model.report.score == pytest.approx(mean_gamma_deviance(oof["target"], oof["prediction"]))
    assert model.report.metrics["gamma_deviance"] == model.report.score
    assert {item["name"] for item in model.report.baselines} == {"mean", "ridge", "boosted trees"}
    assert "gamma_deviance" not in fit(amounts("gamma"), task="regression").report.metrics


@each_loss
def test_a_refit_learns_them_again_and_refuses_what_is_no_amount(
    loss: str, models: dict[str, FittedModel]
) -> None:
    model, columns = models[loss], amounts(loss)
    again = refit_model(model, table_of(columns))
    np.testing.assert_allclose(answers(again, table_of(columns)), answers(model, table_of(columns)), rtol=0.1)
    columns["y"][3] = -1.0 if loss == "poisson" else 0.0
    with pytest.raises(TargetError, match=r"in row 4 of") as caught:
        refit_model(model, table_of(columns))
    one_line(caught.value)


def test_targets_and_pins_that_do_not_fit_are_refused() -> None:
    below, zero = amounts("gamma", 30), amounts("gamma", 30)
    below["y"][4], zero["y"][4] = -1.0, 0.0
    for columns, loss in ((below, "poisson"), (zero, "gamma")):
        for options in ({"pinned": {"loss": loss}}, {"metric": f"{loss}_deviance"}):
            with pytest.raises(OptionError, match=r"row 5 of") as caught:
                fit(columns, task="regression", **options)
            one_line(caught.value)
    with pytest.raises(OptionError, match="is a class, but this loss needs numbers"):
        fit(task_table("binary", 40), pinned={"loss": "gamma"})
    with pytest.raises(OptionError, match="already learns logarithms of means"):
        fit(amounts("gamma", 30), pinned={"loss": "gamma", "target_transform": "log"})


def test_extrapolations_stay_within_the_amounts() -> None:
    transform = LogMeanTransform.fit(np.array([0.0, 0.0, 2.0, 4.0]), None)
    assert transform.decode(np.array([[9.0], [-99.0]])).ravel().tolist() == pytest.approx([4.0, 1.5 / 8])
    assert LogMeanTransform.fit(np.array([2.0, 4.0]), None).decode(np.array([[-9.0]])) == pytest.approx(2.0)
    assert target_transform_from_json(transform.to_json()) == transform
    weighted = LogMeanTransform.fit(np.array([1.0, 3.0, 50.0]), np.array([3.0, 1.0, 0.0]))
    assert (weighted.mean, weighted.decode(np.array([[99.0]])).item()) == pytest.approx((1.5, 3.0))
    starts, ends = np.array([[0.1], [-3.0], [0.4]]), np.array([[0.3], [5.0], [0.4]])
    rates = transform.rates(starts, ends)[:, :, 0]
    change = transform.decode(ends) - transform.decode(starts)
    np.testing.assert_allclose(rates * (ends - starts), change, rtol=1e-12)
    step = 1e-6
    slope = (transform.decode(ends[2:] + step) - transform.decode(ends[2:] - step)) / (2 * step)
    assert rates[2] == pytest.approx(slope[0])
    assert LogMeanTransform.fit(np.zeros(5), None).decode(np.zeros((1, 1))) == 1.0


def test_folds_without_an_amount_are_predicted_as_little() -> None:
    columns = law(40) | {"y": np.zeros(40)}
    columns["y"][7] = 2.0
    model = fit(
        columns, task="regression", metric="poisson_deviance", pinned={"loss": "poisson", "ridge": 1.0}
    )
    assert np.median(answers(model, table_of(columns))) < 0.1
    assert np.isfinite(model.report.score)
