"""One fitted model a task, shared by the tests that only look at it."""

from __future__ import annotations

import pytest

from tests.tuning.tables import fit, task_table
from xrfm_cli.tuning import FittedModel

TASKS = ("regression", "binary", "multiclass")


@pytest.fixture(scope="module", autouse=True)
def cheap_fits(few_trees: None) -> None:
    """Use few trees in every module of this folder."""


@pytest.fixture(scope="session")
def models() -> dict[str, FittedModel]:
    """A model of three trials for each task."""
    return {task: fit(task_table(task), trials=3) for task in TASKS}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    """Each task in turn."""
    return str(request.param)


@pytest.fixture
def model(task: str, models: dict[str, FittedModel]) -> FittedModel:
    """The model of the task."""
    return models[task]
