"""Transfer learning: a base model of a related table helps a table of few rows, or stays out of the way."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from tests.tuning.tables import (
    CLASS_NAMES,
    answers,
    described,
    fit,
    law,
    noise_table,
    one_line,
    same_bits,
    table_of,
    task_table,
)
from xrfm_cli import XRFMRegressor
from xrfm_cli.datasets import Table
from xrfm_cli.errors import OptionError
from xrfm_cli.reports import attribute_rows, explain_model
from xrfm_cli.tuning import FitConfig, FittedModel, fit_model, load_model, refit_model, save_model
from xrfm_cli.tuning.scoring.class_transforms import ClassTransform
from xrfm_cli.tuning.scoring.target_transforms import LogTransform, ValueTransform
from xrfm_cli.tuning.transfer.matching import match_base
from xrfm_cli.tuning.transfer.translation import FEWEST_ROWS, Translation

FEW = 24
HOWS = ("projection", "translation", "both")


def drifted(n: int, *, seed: int, task: str = "regression") -> Table:
    """The law on another scale, without one column of the base and with one more."""
    columns = law(n, seed=seed)
    del columns["useless"]
    y = columns["y"]
    columns["size"] = np.random.default_rng(seed).uniform(0, 1, n)
    if task == "regression":
        columns["y"] = 10 + 2 * y + columns["size"]
    elif task == "binary":
        columns["y"] = np.where(y + 0.3 * columns["size"] > 1.7, "yes", "no").tolist()
    else:
        columns["y"] = CLASS_NAMES[np.digitize(y + 0.3 * columns["size"], [1.0, 2.2])].tolist()
    return table_of(columns, "few.csv")


def transferred(model: FittedModel, table: Table, *, trials: int = 0, **pinned: Any) -> FittedModel:
    """A model of a table, fitted with another as its base."""
    table, schema, target = described(table)
    base = match_base(model, name="base.xrfm", table=table, schema=schema, target=target)
    config = FitConfig(trials=trials, folds=3, pinned=pinned)
    return fit_model(table, schema, target, config, base=base)


@pytest.fixture(scope="module")
def helped(models: dict[str, FittedModel]) -> dict[str, FittedModel]:
    """A model of few rows for each task, fitted with a base."""
    return {
        task: transferred(model, drifted(40, seed=5, task=task), trials=3, transfer="both")
        for task, model in models.items()
    }


def error(model: FittedModel, table: Table) -> float:
    """The root mean square error over the targets' deviation."""
    y = np.array(table.column("y").to_pylist())
    return float(np.sqrt(np.mean((answers(model, table) - y) ** 2)) / y.std())


@pytest.mark.slow
@pytest.mark.parametrize("how", HOWS)
def test_a_base_of_many_rows_helps_few(models: dict[str, FittedModel], how: str) -> None:
    few, test = drifted(FEW, seed=5), drifted(300, seed=6)
    with_base = error(transferred(models["regression"], few, trials=4, transfer=how), test)
    assert with_base < 0.7 * error(fit(few, trials=4), test), with_base


def test_the_search_finds_out_what_helps(models: dict[str, FittedModel]) -> None:
    few, test = drifted(FEW, seed=5), drifted(300, seed=6)
    found = transferred(models["regression"], few, trials=8)
    assert error(found, test) < 0.7 * error(fit(few, trials=8), test)
    kinds = {trial["params"].get("transfer") for trial in found.report.trials}
    assert kinds == {"projection", "translation", "both", None}
    assert [item["name"] for item in found.report.baselines][1] == "base model"
    assert any("base.xrfm shares 3 columns ('a', 'b', 'town')" in note for note in found.report.notes)
    weights = {"projection": 0.0, "translation": 0.0, "both": 0.0, None: 0.0}
    for member in found.members:
        weights[member.params.get("transfer")] += member.weight
    columns, rest = (weights[how] + weights["both"] for how in ("projection", "translation"))
    start = sum(m.weight for m in found.members if m.params.get("start_matrix") == "base")
    assert found.report.notes[-1] == (
        f"base.xrfm: {columns:.0%} of the ensemble's weight learned from its predictions as columns, "
        f"{rest:.0%} of the ensemble's weight learned the part of the target that its predictions "
        "do not explain, "
        f"{start:.0%} started from its feature matrix"
    )


@pytest.mark.slow
def test_a_base_that_knows_nothing_does_no_harm() -> None:
    columns = law(200, seed=1)
    shuffled = np.random.default_rng(0).permutation(columns["y"])
    base = fit(table_of(columns | {"y": shuffled}), trials=3)
    few, test = table_of(law(60, seed=5)), table_of(law(300, seed=6))
    assert error(transferred(base, few, trials=10), test) < 1.1 * error(fit(few, trials=10), test)


def test_a_model_without_the_bases_predictions_leaves_it_out(models: dict[str, FittedModel]) -> None:
    found = transferred(models["regression"], drifted(FEW, seed=5), transfer="none")
    assert found.base is None
    assert any("did not help" in note for note in found.report.notes)
    alone = fit(drifted(FEW, seed=5))
    assert same_bits(answers(found, drifted(50, seed=6)), answers(alone, drifted(50, seed=6)))


@pytest.mark.slow
def test_the_file_is_self_contained(helped: dict[str, FittedModel], task: str, tmp_path: Path) -> None:
    save_model(helped[task], tmp_path / "one.xrfm")
    back = load_model(tmp_path / "one.xrfm")
    probe = drifted(50, seed=7, task=task)
    assert same_bits(answers(back, probe), answers(helped[task], probe))
    save_model(back, tmp_path / "two.xrfm")
    assert (tmp_path / "one.xrfm").read_bytes() == (tmp_path / "two.xrfm").read_bytes()
    assert set(back.columns_read) <= set(probe.column_names)


def test_a_row_is_predicted_by_itself(helped: dict[str, FittedModel], task: str) -> None:
    probe = drifted(20, seed=7, task=task)
    together = answers(helped[task], probe)
    alone = np.concatenate([answers(helped[task], probe.slice(row, row + 1)) for row in range(20)])
    assert same_bits(alone, together)


def test_attributions_add_up_in_the_users_columns(helped: dict[str, FittedModel], task: str) -> None:
    model, probe = helped[task], drifted(30, seed=7, task=task)
    found = attribute_rows(model, probe)
    features = [column.name for column in model.schema.features]
    assert features == ["a", "b", "town", "size"]
    assert found.column_names[: len(features)] == features
    added = sum(found.column(name).to_numpy() for name in features)
    change = found.column("prediction").to_numpy() - found.column("baseline").to_numpy()
    np.testing.assert_allclose(added, change, atol=1e-9)


def test_importances_see_through_the_base(helped: dict[str, FittedModel]) -> None:
    """The base alone knows how ``y`` bends, so what it reads must get the credit, and nothing else."""
    for rows in (None, drifted(200, seed=9)):
        explained = explain_model(helped["regression"], table=rows)
        shares = {item.column: item.share for item in explained.importances}
        assert set(shares) == {"a", "b", "town", "size"}
        assert sum(shares.values()) == pytest.approx(1.0)
        assert shares["a"] + shares["b"] > 0.6, shares
        assert sum(item.share for item in explained.agop) == pytest.approx(1.0)


def test_the_tree_of_a_translation_does_not_see_the_base(models: dict[str, FittedModel]) -> None:
    for kernel in ("norm", "linear"):
        found = transferred(
            models["regression"], drifted(60, seed=5), transfer="translation", kernel=kernel, iterations=2
        )
        [member] = found.members
        assert found.base is not None
        places = torch.from_numpy(found.base.places(member.encoder))
        assert len(places) == 1
        x = torch.from_numpy(member.encoder.encode(_extended(found, drifted(30, seed=6)))[0])
        moved = x.clone()
        moved[:, places] += 1.0
        assert torch.equal(member.tree.predict(x), member.tree.predict(moved))
        assert not np.allclose(member.outputs(x), member.outputs(moved))


def _extended(model: FittedModel, table: Table) -> Table:
    assert model.base is not None
    return model.base.extended(table, model.base.outputs_of(table))


def test_the_feature_matrix_of_the_base_is_a_start(models: dict[str, FittedModel]) -> None:
    """With no update the kernel is that of the base's matrix, in which 'a' and 'b' differ."""
    found = transferred(
        models["regression"],
        drifted(FEW, seed=5),
        transfer="none",
        start_matrix="base",
        iterations=0,
        metric_shape="diagonal",
    )
    [member] = found.members
    entries = dict(
        zip(member.encoder.feature_names, member.tree.leaves[0].feature_matrix.tolist(), strict=True)
    )
    heaviest = max(models["regression"].members, key=lambda own: own.weight)
    learned = heaviest.tree.leaves[0].feature_matrix
    learned = learned if learned.ndim == 1 else learned.diagonal()
    ratio = dict(zip(heaviest.encoder.feature_names, learned.tolist(), strict=True))
    assert entries["a"] / entries["b"] == pytest.approx(ratio["a"] / ratio["b"], rel=1e-4)


def test_new_rows_refit_the_translation_too(helped: dict[str, FittedModel], task: str) -> None:
    again = refit_model(helped[task], drifted(60, seed=8, task=task))
    probe = drifted(40, seed=7, task=task)
    assert again.base is not None
    assert not same_bits(answers(again, probe), answers(helped[task], probe))
    if task == "regression":
        assert error(again, drifted(300, seed=6)) < 0.5


def test_a_base_may_have_a_base(helped: dict[str, FittedModel], tmp_path: Path) -> None:
    third = transferred(helped["regression"], drifted(30, seed=11), transfer="projection")
    save_model(third, tmp_path / "third.xrfm")
    probe = drifted(20, seed=7)
    assert same_bits(answers(load_model(tmp_path / "third.xrfm"), probe), answers(third, probe))
    added = attribute_rows(third, probe)
    total = sum(added.column(name).to_numpy() for name in ("a", "b", "town", "size"))
    change = added.column("prediction").to_numpy() - added.column("baseline").to_numpy()
    np.testing.assert_allclose(total, change, atol=1e-9)


def test_predictions_of_another_target_are_columns_too(models: dict[str, FittedModel]) -> None:
    columns = law(60, seed=5)
    table = table_of({name: columns[name] for name in ("a", "b", "town")} | {"z": 3 * columns["y"]})
    table, schema, target = described(table, target="z")
    base = match_base(models["binary"], name="base.xrfm", table=table, schema=schema, target=target)
    assert not base.predicts_target
    assert base.columns == ("base y=yes",)
    found = fit_model(table, schema, target, FitConfig(trials=2, folds=3), base=base)
    assert answers(found, table).shape == (60,)
    assert "base model" not in [item["name"] for item in found.report.baselines]


def test_constant_columns_and_text_of_other_kinds() -> None:
    """A category that has one value here still tells the base something; text for numbers does not."""
    many = law(120)
    base = fit(table_of(many))
    few = law(30, seed=5) | {"town": ["Wien"] * 30, "useless": [f"about {k} or so" for k in range(30)]}
    table, schema, target = described(table_of(few))
    found = match_base(base, name="base.xrfm", table=table, schema=schema, target=target).found
    assert set(found.shared) == {"a", "b", "town"}
    assert found.of_other_kind + found.absent == ("useless",)


def test_the_estimators_take_the_path_of_a_base(models: dict[str, FittedModel], tmp_path: Path) -> None:
    save_model(models["regression"], tmp_path / "base.xrfm")
    columns = {name: drifted(FEW, seed=5).column(name).to_pylist() for name in ("a", "b", "town", "y")}
    frame = pd.DataFrame(columns)
    estimator = XRFMRegressor(transfer_from=tmp_path / "base.xrfm", trials=2, folds=3)
    estimator.fit(frame[["a", "b", "town"]], frame["y"])
    assert estimator.model_.base is not None
    assert sum(estimator.feature_importances_) == pytest.approx(1.0)
    copy = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(
        copy.predict(frame[["a", "b", "town"]]), estimator.predict(frame[["a", "b", "town"]])
    )
    with pytest.raises(ValueError, match="transfer_from=3"):
        XRFMRegressor(transfer_from=3).fit(frame[["a", "b"]], frame["y"])  # type: ignore[arg-type]


def test_what_cannot_be_a_base(models: dict[str, FittedModel]) -> None:
    def refused(model: FittedModel, data: Table, target: str = "y") -> str:
        table, schema, own = described(data, target=target)
        with pytest.raises(OptionError) as fault:
            match_base(model, name="base.xrfm", table=table, schema=schema, target=own)
        return one_line(fault.value)

    model = models["regression"]
    assert "shares no column with small.csv" in refused(model, table_of(noise_table(30)))
    assert "fitted on 120 of the 120 rows" in refused(model, task_table("regression"))
    said = refused(model, table_of(law(30, seed=5)), target="b")
    assert "reads 'b', the target" in said
    assert "--drop b" in said


def test_some_rows_of_the_base_are_a_warning(models: dict[str, FittedModel]) -> None:
    own, others = law(120), law(30, seed=5)
    mixed = {name: [*list(own[name])[:20], *others[name]] for name in own}
    found = transferred(models["regression"], table_of(mixed))
    assert any("was fitted on 20 of these rows too" in note for note in found.report.notes)


def test_pins_of_transfer_need_a_base(models: dict[str, FittedModel]) -> None:
    for name, value in (("transfer", "projection"), ("start_matrix", "base")):
        with pytest.raises(OptionError, match="Give --transfer-from"):
            fit(table_of(law(40)), pinned={name: value})
    with pytest.raises(OptionError, match="no log odds"):
        transferred(
            models["binary"], drifted(40, seed=5, task="binary"), transfer="translation", loss="logistic"
        )


def test_a_part_of_another_model_is_refused(helped: dict[str, FittedModel], tmp_path: Path) -> None:
    model = helped["regression"]
    assert model.base is not None
    for broken in (
        replace(model, base=replace(model.base, columns=("a",))),
        replace(model, base=replace(model.base, found=replace(model.base.found, shared=("b", "weight")))),
        replace(model, base=None),
    ):
        save_model(broken, tmp_path / "broken.xrfm")
        with pytest.raises(Exception, match="not a model written by xrfm"):
            load_model(tmp_path / "broken.xrfm")


@pytest.mark.parametrize("is_start", [True, False])
def test_a_translation_is_a_ridge_on_what_the_start_leaves(is_start: bool) -> None:
    draws = np.random.default_rng(0)
    base = draws.normal(5.0, 2.0, (400, 1))
    y = 3.0 + 0.5 * base[:, 0] + 0.01 * draws.normal(size=400)
    for transform in (ValueTransform.fit(y, None), LogTransform.fit(y - y.min() + 1, None)):
        codes = transform.encode(y)
        found = Translation.fit(base, codes, None, transform, is_start=is_start)
        again = Translation.from_json(found.to_json())
        np.testing.assert_array_equal(again.codes(base, transform), found.codes(base, transform))
        if isinstance(transform, ValueTransform):
            np.testing.assert_allclose(found.codes(base, transform), codes, atol=0.1)


def test_a_translation_of_few_rows_corrects_the_mean_alone() -> None:
    base = np.arange(float(FEWEST_ROWS - 1))[:, None]
    transform = ValueTransform(mean=0.0, deviation=1.0)
    found = Translation.fit(base, base + 2.0, None, transform, is_start=True)
    np.testing.assert_allclose(found.codes(base, transform), base + 2.0)


def test_probabilities_of_the_same_classes_start_at_their_corners() -> None:
    shares = np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    transform = ClassTransform(prior=(0.2, 0.3, 0.5))
    zero = Translation(
        is_start=True,
        centers=(0.0,) * 3,
        deviations=(1.0,) * 3,
        rates=((0.0, 0.0),) * 3,
        offset=(0.0, 0.0),
    )
    np.testing.assert_allclose(transform.decode(zero.codes(shares, transform)), shares, atol=1e-12)


def test_columns_that_the_base_needs_and_the_table_lacks_are_missing_cells(
    models: dict[str, FittedModel],
) -> None:
    table, schema, target = described(drifted(30, seed=5))
    base = match_base(models["regression"], name="base.xrfm", table=table, schema=schema, target=target)
    assert base.found.absent == ("useless",)
    columns = {name: table.column(name) for name in ("a", "b", "town")}
    whole = Table(pa.table(columns | {"useless": pa.nulls(30, pa.float64())}))
    expected = models["regression"].predict(whole).values
    np.testing.assert_array_equal(base.outputs_of(table)[:, 0], expected)
