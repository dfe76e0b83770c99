"""Worker processes change how soon the trees of final models are fitted, not their bytes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import psutil
import pytest
import torch

from tests.tuning.tables import fit, law, table_of
from xrfm_cli.errors import NumericalError
from xrfm_cli.events import Event, ignore_event
from xrfm_cli.leaf_models import LeafConfig, LeafModel
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.trees import TrainingRows, TreeConfig, grow
from xrfm_cli.trees.directions import DirectionTask
from xrfm_cli.trees.tasks import FittedLeaf, LeafTask, fitted_leaves
from xrfm_cli.tuning import refit_model
from xrfm_cli.tuning.model.storage import model_to_bytes
from xrfm_cli.tuning.search.pools import forks, tree_pool
from xrfm_cli.tuning.search.storage.leaf_file import leaf_to_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has worker processes")


def task(seed: int, rows: int = 40) -> LeafTask:
    x = torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))
    config = LeafConfig(bandwidth=3.0, ridge=1e-2, iterations=2)
    y = torch.sin(x[:, :1])
    return LeafTask(x=x, y=y, weights=None, config=config, seed=seed, start=None, memory_bytes=1 << 28)


def bytes_of(leaves: Sequence[LeafModel]) -> list[bytes]:
    return [leaf_to_bytes((leaf, ())) for leaf in leaves]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of the leaves that this process fits."""
    rows, own = [], LeafTask.run

    def counted(some: LeafTask, on_event: Callable[[Event], None]) -> FittedLeaf:
        rows.append(len(some.x))
        return own(some, on_event)

    monkeypatch.setattr(LeafTask, "run", counted)
    return rows


@pytest.fixture(scope="module")
def alone() -> list[bytes]:
    """The leaves of seven tasks, fitted by this process."""
    return bytes_of([task(seed).run(ignore_event)[0] for seed in range(7)])


@pytest.mark.parametrize("count", [2, 3])
def test_workers_give_the_leaves_of_one_process_in_order(
    count: int, here: list[int], alone: list[bytes]
) -> None:
    heard: list[Event] = []
    with tree_pool.tree_pool(count, heard.append) as workers:
        found = list(fitted_leaves(map(task, range(7)), heard.append, workers=workers))
        assert workers is not None
        assert len(workers.tasks.forks.members) == count
    assert bytes_of(found) == alone
    assert not here
    assert not heard
    assert not psutil.Process().children()


def test_one_leaf_and_large_leaves_stay_here(here: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_pool, "MOST_ROWS", 50)
    with tree_pool.tree_pool(2, print) as workers:
        list(fitted_leaves([task(0)], print, workers=workers))
        list(fitted_leaves([task(1, rows=60), task(2, rows=60)], print, workers=workers))
        assert workers is not None
        assert not workers.has_started
        list(fitted_leaves([task(3), task(4, rows=60), task(5)], print, workers=workers))
    assert here == [40, 60, 60, 60]


def test_workers_that_are_killed_are_told_of_and_their_leaves_are_fitted_here(
    here: list[int], alone: list[bytes]
) -> None:
    heard: list[Event] = []
    with tree_pool.tree_pool(2, heard.append) as workers:
        found = []
        for leaf in fitted_leaves(map(task, range(7)), heard.append, workers=workers):
            found.append(leaf)
            for child in psutil.Process().children():
                child.kill()
    assert bytes_of(found) == alone
    assert here
    assert [event.message for event in heard] == [forks.LOST] * 2


def test_a_leaf_that_cannot_be_fitted_is_an_error_as_without_workers() -> None:
    bad = task(3)
    bad.x[0, 0] = float("inf")
    with tree_pool.tree_pool(2, print) as workers, pytest.raises(NumericalError):
        list(fitted_leaves([task(0), task(1), bad], print, workers=workers))


def test_little_memory_has_no_workers(
    here: list[int], alone: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_pool, "MEMORY_SHARE", 1e-6)
    with tree_pool.tree_pool(2, print) as workers:
        found = list(fitted_leaves(map(task, range(3)), print, workers=workers))
    assert bytes_of(found) == alone[:3]
    assert here == [40, 40, 40]


def test_workers_compute_the_directions_of_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(3_000, 70, generator=source)  # so wide that eigenvectors depend on the number of threads
    rows = TrainingRows(x=x, routed=x, y=x[:, :1] * x[:, 1:2], weights=None)
    config = TreeConfig(leaf_size=200, split_rows=300)
    here, own = [], DirectionTask.run

    def counted(some: DirectionTask, on_event: Callable[[Event], None]) -> list[torch.Tensor]:
        here.append(some)
        return own(some, on_event)

    monkeypatch.setattr(DirectionTask, "run", counted)

    def splits(count: int) -> list[tuple[list[float], float]]:
        here.clear()
        with tree_pool.tree_pool(count, print) as workers:
            found = grow(rows, config, generator=torch.Generator().manual_seed(1), workers=workers).splits
        return [(node.direction.tolist(), node.threshold) for node in found]

    alone = splits(1)
    assert len(here) == len(alone) == 15
    assert splits(3) == alone
    assert len(here) == 1  # the root: workers start when there are two tasks


def test_a_worker_has_one_thread_after_nested_computations_too() -> None:
    def threads(request: bytes) -> bytes:
        with compute_threads(1):
            pass
        with compute_threads(rows=5_000):
            inside = torch.get_num_threads()
        return f"{inside} {torch.get_num_threads()}".encode()

    workers = forks.Forks(on_event=print)
    with compute_threads(2):  # the worker starts in the middle of a computation
        workers.start(1, threads)
        workers.give("key", b"")
        assert list(workers.receive(30)) == [("key", b"1 1")]
        workers.close()


def test_any_number_of_workers_gives_the_same_bytes_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    start = forks.Forks.start

    def counted(some: forks.Forks, count: int, answer: forks.Answer) -> None:
        used.append(count)
        start(some, count, answer)

    monkeypatch.setattr(forks.Forks, "start", counted)

    def models(workers: int) -> list[bytes]:
        size = {"leaf_size": 40, "min_leaf_size": 10}
        model = fit(law(150), trials=1, folds=2, pinned=size, workers=workers)
        assert len(model.members[0].tree.leaves) == 4
        again = refit_model(model, table_of(law(200, seed=1)), workers=workers)
        return [model_to_bytes(found) for found in (model, again)]

    assert models(1) == models(3)
    assert used == [3, 3]
