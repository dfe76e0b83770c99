"""Arguments of the estimators: a value of another type or out of range is a ValueError that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xrfm_cli import XRFMClassifier, XRFMRegressor

pytestmark = pytest.mark.usefixtures("few_trees")

X = np.linspace(0, 1, 24).reshape(12, 2)
WRONG: list[tuple[str, Any]] = [
    *[("threads", value) for value in (100_000, 2**70, 0, -1, "4", 1.5, True)],
    *[("trials", value) for value in (-1, 2**70, 1.5, "x", True)],
    *[("folds", value) for value in (1, 2**70, 2.5, "x")],
    *[("memory", value) for value in (1, -1, 2**70, "4GiB", 1e9)],
    *[("fit_rows", value) for value in (1, "most", 1e3)],
    *[("search_rows", value) for value in (1, "all", 1e3)],
    *[("time_limit", value) for value in (-1, 0, "soon", float("nan"), float("inf"), True, [1])],
    *[("random_state", value) for value in (-1, 2**70, "x", 1.5)],
    *[("preset", value) for value in ("fast", 3)],
    *[("metric", value) for value in ("loss", 3)],
    *[("device", value) for value in ("gpu", "cuda:99", 3)],
    *[("set", value) for value in ({"x": 1}, "abc", {3: 1}, 4)],
    *[("drop", value) for value in ("x0", [0], None, 3)],
    *[("categorical", "x0"), ("numeric", "x0"), ("datetime", "x0"), ("id", "x0")],
    *[("group", 3), ("time", 3), ("schema", 3), ("schema", "absent.toml")],
]


@pytest.mark.parametrize("kind", [XRFMRegressor, XRFMClassifier])
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_an_argument_out_of_range_is_refused_by_its_name(kind: type, name: str, value: Any) -> None:
    y = np.arange(12) % 2
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match=name if name != "time_limit" else "time_limit|duration"):
        kind(**{"trials": 0, name: value}).fit(X, y)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("level", [0, 1, -1, 2, float("nan"), "x", None, True, 0.99])
def test_a_level_out_of_range_is_refused_by_its_name(regressor: XRFMRegressor, level: Any) -> None:
    with pytest.raises(ValueError, match="level"):
        regressor.predict_interval(X, level)


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "m.xrfm"
    whole: dict[str, Any] = {
        name: np.int64(value) for name, value in {"trials": 0, "folds": 2, "threads": 1}.items()
    }
    more: dict[str, Any] = {
        "random_state": np.int32(3),
        "memory": np.int64(1 << 30),
        "time_limit": np.int64(60),
    }
    fitted = XRFMRegressor(**whole, **more).fit(X, X[:, 0])
    fitted.save(path)
    same = XRFMRegressor(trials=0, folds=2, random_state=3).fit(X, X[:, 0])
    np.testing.assert_array_equal(XRFMRegressor.load(path).predict(X), same.predict(X))


def test_predictions_check_arguments_that_were_set_later(regressor: XRFMRegressor) -> None:
    with pytest.raises(ValueError, match="threads=100000"):
        regressor.set_params(threads=100_000).predict(X)
    regressor.set_params(threads=None)


def test_a_device_of_a_loaded_model_is_checked(regressor: XRFMRegressor, tmp_path: Path) -> None:
    regressor.save(tmp_path / "m.xrfm")
    with pytest.raises(ValueError, match="device: 'gpu'"):
        XRFMRegressor.load(tmp_path / "m.xrfm", device="gpu")


@pytest.fixture(scope="module")
def regressor() -> XRFMRegressor:
    """A regressor fitted on few rows."""
    return XRFMRegressor(trials=0, folds=2).fit(X, X[:, 0])
