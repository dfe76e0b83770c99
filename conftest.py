"""Where pytest looks for doctests, and the same examples of properties in every run."""

import os
from importlib.util import find_spec

import pytest
from hypothesis import settings

# Two workers with two threads each are more than two cores: a thread that waits must not poll meanwhile.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

collect_ignore_glob = [] if find_spec("triton") else ["*/triton_kernels.py"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with its reason, a test of what Windows does not have."""
    marker = item.get_closest_marker("posix")
    if marker is not None and os.name != "posix":
        pytest.skip(f"needs a POSIX system: {marker.args[0]}")
