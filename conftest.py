"""What pytest looks for doctests in and skips, and that no property is judged by the time it takes."""

import os
from importlib.util import find_spec

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

collect_ignore_glob = [] if find_spec("triton") else ["*/triton_kernels.py"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with its reason, a test of what Windows does not have."""
    marker = item.get_closest_marker("posix")
    if marker is not None and os.name != "posix":
        pytest.skip(f"needs a POSIX system: {marker.args[0]}")
