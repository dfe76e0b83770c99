"""A column of exposure: rates are learned, and predictions are multiplied by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import mean_gamma_deviance, mean_poisson_deviance

from tests.tuning.tables import answers, described, fit, law, one_line, same_bits, table_of
from xrfm_cli.datasets import SchemaOverrides, Table
from xrfm_cli.errors import InputError, OptionError, SchemaError
from xrfm_cli.reports import attribute_rows
from xrfm_cli.tuning import FittedModel, load_model, refit_model, save_model
from xrfm_cli.tuning.transfer.matching import match_base

ROLES = SchemaOverrides(target="y", offset="years")
POISSON = {"loss": "poisson", "iterations": 1}


def claims(n: int = 250, *, seed: int = 0, factor: float = 1.0) -> dict[str, Any]:
    """Counts in years of very different length; the column ``rate`` is no feature but the truth."""
    columns = law(n, seed=seed)
    random = np.random.default_rng([seed, 1])
    years = random.choice([0.1, 1.0, 4.0], n)
    rate = np.exp(columns["a"])
    return columns | {"years": factor * years, "y": random.poisson(rate * years).astype(float)}


def rate_of(columns: dict[str, Any]) -> np.ndarray:
    return np.exp(columns["a"])


@pytest.fixture(scope="module")
def model() -> FittedModel:
    return fit(claims(), ROLES, task="regression", metric="poisson_deviance", pinned=POISSON)


def test_predictions_grow_with_the_exposure(model: FittedModel) -> None:
    new = claims(300, seed=3)
    found = answers(model, table_of(new))
    doubled = answers(model, table_of(new | {"years": 2 * new["years"]}))
    np.testing.assert_allclose(doubled, 2 * found, rtol=1e-12)
    rates = found / new["years"]
    assert np.corrcoef(np.log(rates), new["a"])[0, 1] > 0.9
    assert "years" not in {column.name for column in model.schema.features}
    assert "years" in model.columns_read


def test_an_offset_beats_the_column_as_a_feature() -> None:
    columns, new, pinned = claims(300), claims(2_000, seed=3), POISSON | {"ridge": 1.0}
    plain = fit(columns, task="regression", metric="poisson_deviance", pinned=pinned)
    offset = fit(columns, ROLES, task="regression", metric="poisson_deviance", pinned=pinned)
    deviances = [mean_poisson_deviance(new["y"], answers(own, table_of(new))) for own in (offset, plain)]
    assert deviances[0] < 0.97 * deviances[1]


def test_the_deviance_of_counts_is_that_of_rates_weighted_by_exposure(model: FittedModel) -> None:
    columns = claims(200, seed=5)
    y, years, found = columns["y"], columns["years"], answers(model, table_of(columns))
    of_rates = mean_poisson_deviance(y / years, found / years, sample_weight=years)
    assert mean_poisson_deviance(y, found) == pytest.approx(of_rates * years.mean())
    assert mean_gamma_deviance(y + 1, found) == pytest.approx(
        mean_gamma_deviance((y + 1) / years, found / years)
    )


def test_scores_are_of_the_target_as_it_stands_in_the_table(model: FittedModel) -> None:
    oof, y = model.report.oof, claims()["y"]
    assert sorted(oof["target"]) == sorted(y)
    assert model.report.score == pytest.approx(mean_poisson_deviance(oof["target"], oof["prediction"]))
    names = {row["name"]: row["score"] for row in model.report.baselines}
    assert set(names) == {"mean", "ridge", "boosted trees"}
    years = claims()["years"]
    assert names["mean"] == pytest.approx(mean_poisson_deviance(y, years * y.sum() / years.sum()), rel=0.02)


def test_a_fit_is_that_of_rates_with_the_exposure_as_weight() -> None:
    columns = claims(120)
    years = columns["years"]
    shares = years / years.mean()
    offset = fit(columns, ROLES, task="regression", pinned=POISSON)
    rates = {name: values for name, values in columns.items() if name != "years"}
    rates |= {"y": columns["y"] / years, "w": shares}
    weighted = fit(rates, SchemaOverrides(target="y", weight="w"), task="regression", pinned=POISSON)
    np.testing.assert_allclose(
        answers(offset, table_of(columns)) / years, answers(weighted, table_of(rates)), rtol=1e-4
    )


def test_the_unit_of_the_exposure_does_not_matter(model: FittedModel) -> None:
    months = fit(claims(factor=12.0), ROLES, task="regression", metric="poisson_deviance", pinned=POISSON)
    np.testing.assert_allclose(
        answers(months, table_of(claims(factor=12.0))), answers(model, table_of(claims())), rtol=1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"metric": "gamma_deviance", "pinned": {"loss": "gamma"}},
        {"metric": "pinball@0.9"},
        {"metric": "rmse", "pinned": {"target_transform": "log"}},
        {"metric": "mae", "trials": 3},
    ],
    ids=["gamma", "quantile", "log", "mae"],
)
def test_other_losses_learn_rates_too(options: dict[str, Any]) -> None:
    columns, new = claims(200), claims(400, seed=3)
    for own in (columns, new):
        own["y"] = rate_of(own) * own["years"] * np.random.default_rng(0).uniform(0.5, 1.5, len(own["y"]))
    model = fit(columns, ROLES, task="regression", **options)
    found, wanted = answers(model, table_of(new)), rate_of(new) * new["years"]
    assert np.corrcoef(np.log(np.maximum(found, 1e-3)), np.log(wanted))[0, 1] > 0.95
    assert model.report.score < model.report.baselines[0]["score"]


def test_files_refits_and_validation_rows_keep_it(model: FittedModel, tmp_path: Path) -> None:
    table = table_of(claims(40, seed=4))
    save_model(model, tmp_path / "m.xrfm")
    assert same_bits(answers(load_model(tmp_path / "m.xrfm"), table), answers(model, table))
    again = refit_model(model, table_of(claims()))
    np.testing.assert_allclose(answers(again, table), answers(model, table), rtol=0.1)
    valid = claims(60, seed=8)
    validated = fit(
        claims(), ROLES, task="regression", metric="poisson_deviance", pinned=POISSON, valid=valid
    )
    assert sorted(validated.report.oof["target"]) == sorted(valid["y"])
    found = answers(validated, table_of(valid))
    assert validated.report.score == pytest.approx(mean_poisson_deviance(valid["y"], found), rel=0.05)


def test_explanations_are_of_rates(model: FittedModel) -> None:
    columns = claims(30, seed=6)
    found = attribute_rows(model, table_of(columns))
    np.testing.assert_allclose(
        found.column("prediction").to_numpy() * columns["years"], answers(model, table_of(columns))
    )
    per_unit = np.asarray(model.predict(table_of(columns), per_unit=True).values)
    np.testing.assert_allclose(found.column("prediction").to_numpy(), per_unit)


def test_a_base_with_an_offset_gives_rates_and_is_no_start(model: FittedModel) -> None:
    table, schema, target = described(table_of(claims(60, seed=9)), task="regression")
    base = match_base(model, name="base.xrfm", table=table, schema=schema, target=target)
    assert not base.predicts_target
    rates = model.predict(table, per_unit=True).values
    np.testing.assert_allclose(base.outputs_of(table)[:, 0], np.asarray(rates))


def refused(columns: dict[str, Any], **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        fit(columns, ROLES, **({"task": "regression"} | options))
    return one_line(caught.value)


@pytest.mark.parametrize("wrong", [0.0, -1.0, None, float("nan"), float("inf")], ids=str)
def test_a_row_without_exposure_is_named(wrong: float | None, model: FittedModel) -> None:
    columns = claims(30)
    columns["years"] = pa.array([*columns["years"][:6], wrong, *columns["years"][7:]])
    assert "small.csv: row 7, offset 'years'" in refused(columns)
    assert "valid.csv: row 7, offset 'years'" in refused(
        claims(30), valid=Table(pa.table(columns), "valid.csv")
    )
    with pytest.raises(SchemaError, match=r"new\.csv: row 1007, offset 'years'"):
        model.predict(Table(pa.table(columns), "new.csv"), before=1000)


def test_a_table_without_the_column_is_refused(model: FittedModel) -> None:
    columns = claims(30)
    del columns["years"]
    with pytest.raises(SchemaError, match=r"small\.csv: no column 'years', the exposure") as caught:
        model.predict(table_of(columns))
    one_line(caught.value)
    with pytest.raises(SchemaError, match="no column 'years'"):
        refit_model(model, table_of(columns))


def test_only_amounts_have_an_exposure() -> None:
    below, classes = claims(30), claims(30)
    below["y"][4] = -1.0
    classes["y"] = np.where(np.arange(30) % 2, "a", "b").tolist()
    assert "negative 'y' in row 5" in refused(below)
    with pytest.raises(OptionError, match=r"'y' of small\.csv is a class"):
        fit(classes, ROLES)
