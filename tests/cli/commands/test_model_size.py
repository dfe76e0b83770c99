"""``fit --max-model-size``: the file stays below the limit, and a limit without room is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from xrfm_cli.tuning.model.storage import load_model

Command = Callable[..., Any]
LIMIT = 180_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 700 rows and 60 columns: its models take more than the limit."""
    place = tmp_path_factory.mktemp("size")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(700, 60))
    y = np.where(np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.2 * rng.normal(size=700) > 0, "yes", "no")
    table = pa.table({f"x{k}": x[:, k] for k in range(60)} | {"y": y})
    pyarrow.csv.write_csv(table.slice(0, 500), place / "train.csv")
    pyarrow.csv.write_csv(table.slice(500), place / "test.csv")
    return place


def fit(xrfm: Command, place: Path, model: str, *words: str) -> Any:
    trials = ("--trials", "4", "--folds", "2", "--threads", "2")
    return xrfm("fit", "train.csv", "--target", "y", "--model", model, *trials, *words, folder=place)


@pytest.fixture(scope="module")
def small(place: Path, xrfm: Command) -> Any:
    """The fit of ``small.xrfm``, below the limit."""
    done = fit(xrfm, place, "small.xrfm", "--max-model-size", "180kB", "--workers", "1")
    assert done.status == 0, done.err
    return done


@pytest.mark.slow
def test_the_file_stays_below_the_limit_and_scores_are_those_of_the_small_model(
    xrfm: Command, place: Path, small: Any
) -> None:
    assert fit(xrfm, place, "whole.xrfm").status == 0
    assert (place / "whole.xrfm").stat().st_size > LIMIT >= (place / "small.xrfm").stat().st_size
    assert "to keep the file small, the models have" in small.err
    model = load_model(place / "small.xrfm")
    centers = [sum(len(leaf.centers) for leaf in member.tree.leaves) for member in model.members]
    assert max(centers) < 500
    tested = xrfm("evaluate", "test.csv", "--model", "small.xrfm", "--json", folder=place).document
    assert abs(tested["metrics"]["auc"] - model.report.metrics["auc"]) < 0.12


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_same_options_give_the_same_file(xrfm: Command, place: Path) -> None:
    found = fit(xrfm, place, "two.xrfm", "--max-model-size", "180kB", "--workers", "2")
    assert found.status == 0, found.err
    one, other = load_model(place / "small.xrfm"), load_model(place / "two.xrfm")
    for mine, theirs in zip(one.members, other.members, strict=True):
        assert mine.params == theirs.params
        for leaf, twin in zip(mine.tree.leaves, theirs.tree.leaves, strict=True):
            assert leaf.coefficients.equal(twin.coefficients)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--max-model-size", "20kB"), "Allow at least"),
        (("--max-model-size", "1MB", "--transfer-from", "whole.xrfm"), "leave out one of them"),
        (("--max-model-size", "some"), "is not a size"),
        (("--set", "center_choice=landmarks"), "needs max_centers"),
        (("--set", "center_choice=nearest", "--set", "max_centers=20"), "must be one of drawn, landmarks"),
        (("--set", "center_choice=drawn", "--set", "kernel=linear"), "center_choice"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    words: tuple[str, ...], told: str, xrfm: Command, place: Path
) -> None:
    outcome = fit(xrfm, place, "none.xrfm", *words)
    assert outcome.status == 2
    assert told in outcome.error
    assert not (place / "none.xrfm").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_refit_keeps_its_centers_and_takes_no_limit(xrfm: Command, place: Path) -> None:
    again = ("fit", "train.csv", "--from", "small.xrfm", "--model", "again.xrfm")
    assert xrfm(*again, folder=place).status == 0
    assert (place / "again.xrfm").stat().st_size <= LIMIT
    outcome = xrfm(*again, "--max-model-size", "180kB", folder=place)
    assert outcome.status == 2
    assert "--max-model-size" in outcome.error


@pytest.mark.slow
def test_landmarks_can_be_pinned(xrfm: Command, place: Path) -> None:
    pins = ("--set", "max_centers=40", "--set", "center_choice=landmarks", "--set", "kernel=norm")
    outcome = fit(xrfm, place, "pinned.xrfm", "--trials", "1", *pins)
    assert outcome.status == 0, outcome.err
    for member in load_model(place / "pinned.xrfm").members:
        assert member.params["center_choice"] == "landmarks"
        assert [len(leaf.centers) for leaf in member.tree.leaves] == [40]
