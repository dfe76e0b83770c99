"""The number of threads of a computation, and that the process keeps its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_info

from xrfm_cli.leaf_models.threads import SMALL_ROWS, compute_threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    """A process that was given three threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


def numpy_threads() -> list[int]:
    """Threads of NumPy's and SciPy's BLAS."""
    return [pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"]


@pytest.mark.parametrize(
    ("count", "rows", "expected"),
    [(None, None, 3), (2, None, 2), (2, SMALL_ROWS, 1), (None, SMALL_ROWS + 1, 3), (2, SMALL_ROWS + 1, 2)],
)
def test_few_rows_have_one_thread(count: int | None, rows: int | None, expected: int) -> None:
    pools = numpy_threads()
    with compute_threads(count, rows=rows):
        assert torch.get_num_threads() == expected
        assert set(numpy_threads()) <= {1}
    assert numpy_threads() == pools


def test_a_most_holds_where_no_count_is_given() -> None:
    with compute_threads(most=2):
        assert torch.get_num_threads() == 2
    with compute_threads(most=8):
        assert torch.get_num_threads() == 3
    with compute_threads(4, most=2):
        assert torch.get_num_threads() == 4


def test_an_inner_computation_leaves_the_outer_one_its_threads() -> None:
    with compute_threads(2):
        with compute_threads(rows=10):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        assert set(numpy_threads()) <= {1}


def test_a_count_that_torch_refuses_leaves_nothing_set() -> None:
    pools = numpy_threads()
    with pytest.raises(RuntimeError), compute_threads(-1):
        pass
    assert numpy_threads() == pools
    with compute_threads(2):
        pass
    assert torch.get_num_threads() == 3


def test_a_failed_computation_leaves_nothing_set() -> None:
    pools = numpy_threads()
    with pytest.raises(ValueError, match="no"), compute_threads(rows=10):
        raise ValueError("no")
    assert numpy_threads() == pools


def test_computations_side_by_side_leave_nothing_set() -> None:
    pools, found = numpy_threads(), []
    entered, left = threading.Event(), threading.Event()

    def other() -> None:
        with compute_threads(rows=10):
            entered.set()
            left.wait(10)  # the one that began first ends first
        found.append(torch.get_num_threads() == 3)

    thread = threading.Thread(target=other)
    with compute_threads(rows=10):
        thread.start()
        assert entered.wait(10)
        assert set(numpy_threads()) <= {1}
    left.set()
    thread.join(10)
    assert found == [True]
    assert numpy_threads() == pools
