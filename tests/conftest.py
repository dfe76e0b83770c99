"""How ``pytest -n`` hands out the tests, and a fixture that makes fits cheaper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)  # pytest runs without xdist too
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out consecutive tests, so that mostly one process makes the fixtures of a module."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(scope="module")
def few_trees() -> Iterator[None]:
    """Boost a tenth of the baseline's trees: all of them take most of a small fit and decide nothing here.

    Separate processes boost all of them, so the reports of their fits differ in the score of this baseline.
    """
    from xrfm_cli.tuning.problem import baselines

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "TREES", 10)
        yield
