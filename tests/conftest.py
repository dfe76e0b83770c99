"""How ``pytest -n`` hands out the tests."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)  # pytest runs without xdist too
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out consecutive tests, so that mostly one process makes the fixtures of a module."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)
