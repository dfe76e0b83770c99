"""One fitted model a task, shared by the tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tuning.tables import fit, task_table
from xrfm_cli.tuning import FittedModel
from xrfm_cli.tuning.problem import baselines

TASKS = ("regression", "binary", "multiclass")


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """Boost a tenth of the baseline's trees: they take a third of a small fit and decide nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "TREES", 10)
        yield


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
