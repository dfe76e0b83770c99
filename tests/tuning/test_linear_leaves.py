"""Linear and constant leaves in the search: tried, chosen where they win, refitted and stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tuning.tables import fit, table_of
from xrfm_cli.tuning import FittedModel, load_model, refit_model, save_model


def numbers(n: int, d: int, seed: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(n, d))
    return {f"x{j}": x[:, j] for j in range(d)}, x


def kernels(model: FittedModel) -> dict[str, float]:
    """Weight of each kernel in the ensemble."""
    weights: dict[str, float] = {}
    for member in model.members:
        kernel = str(member.params["kernel"])
        weights[kernel] = weights.get(kernel, 0.0) + member.weight
    return weights


def outputs(model: FittedModel, columns: dict[str, Any]) -> np.ndarray:
    """Values or probabilities of the rows."""
    prediction = model.predict(table_of(columns))
    found = prediction.values if prediction.probabilities is None else prediction.probabilities
    assert found is not None
    return found


def baseline(model: FittedModel, name: str) -> float:
    return float(next(b["score"] for b in model.report.baselines if b["name"] == name))


@pytest.mark.slow
def test_a_sparse_line_in_many_columns_is_found_by_the_linear_leaf() -> None:
    columns, x = numbers(80, 60)
    columns["y"] = 2 * x[:, 3] - x[:, 50] + 0.5 * x[:, 17]
    model = fit(columns, trials=12, folds=3)
    tried = [trial["params"]["kernel"] for trial in model.report.trials]
    assert tried.count("constant") == 1
    assert "linear" in tried
    assert kernels(model)["linear"] > 0.9
    assert model.report.score < 0.1 * baseline(model, "ridge")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_where_nothing_can_be_learned_the_model_is_no_worse_than_the_mean(seed: int) -> None:
    columns, _ = numbers(120, 4, seed)
    columns["y"] = np.random.default_rng(seed + 100).normal(size=120)
    model = fit(columns, trials=14, folds=3)  # all first configurations, of which the constant is the last
    last = model.report.trials[-1]
    assert (last["params"]["kernel"], last["state"]) == ("constant", "complete")
    assert last["score"] == pytest.approx(baseline(model, "mean"), rel=1e-6)
    assert model.report.score <= baseline(model, "mean") * (1 + 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["linear", "constant"])
@pytest.mark.parametrize("target", ["value", "two", "three"])
def test_both_families_do_every_task_and_are_stored(kernel: str, target: str, tmp_path: Path) -> None:
    columns, x = numbers(90, 3)
    score = x[:, 0] + 0.3 * x[:, 1]
    columns["town"] = np.where(x[:, 2] > 0, "Graz", "Linz").tolist()
    names = {"two": ["no", "yes"], "three": ["blue", "green", "red"]}.get(target, [])
    cuts = np.quantile(score, np.linspace(0, 1, len(names) + 1)[1:-1])
    columns["y"] = np.array(names)[np.digitize(score, cuts)].tolist() if names else score
    model = fit(columns, trials=2, folds=3, pinned={"kernel": kernel})
    save_model(model, tmp_path / "model.xrfm")
    again = load_model(tmp_path / "model.xrfm")
    assert (model.n_centers, again.n_centers) == (0, 0)
    found, stored = outputs(model, columns), outputs(again, columns)
    assert np.array_equal(found, stored)
    assert np.isfinite(found).all()
    assert (np.ptp(found, axis=0).max() < 1e-6) == (kernel == "constant")
    renewed = refit_model(model, table_of(columns))
    assert [leaf["rows"] for leaf in renewed.report.leaves] == [90] * len(renewed.members)


def test_a_tree_of_linear_leaves_follows_a_bend() -> None:
    columns, x = numbers(300, 2)
    columns["y"] = np.abs(x[:, 0]) + 0.1 * x[:, 1]
    pinned = {"kernel": "linear", "leaf_size": 60, "min_leaf_size": 10}
    model = fit(columns, trials=2, folds=3, pinned=pinned)
    assert len(model.members[0].tree.leaves) >= 4
    assert sum(leaf["rows"] for leaf in model.report.leaves) == 300 * len(model.members)
    assert model.report.score < 0.6 * baseline(model, "ridge")
