"""Steps of a search as tasks of a dask cluster: like :mod:`step_pool`, with workers on other machines.

dask.distributed keeps the queue, moves the rows to workers that join, and runs a task again if its worker is
lost. A task's name is the hash of everything that its result depends on, so one that runs twice changes
nothing. Rows are sent once to each worker; a worker encodes the folds that its steps need, and keeps them.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from threadpoolctl import threadpool_limits

from xrfm_cli.errors import OptionError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.mentions import option
from xrfm_cli.printable import counted
from xrfm_cli.tuning.problem.fold_cache import FoldCache
from xrfm_cli.tuning.problem.learning_problem import FinalRows, Problem
from xrfm_cli.tuning.search.pools.pool import POLL_S
from xrfm_cli.tuning.search.pools.step_pool import StepKey, is_short, key_of, run_in_worker
from xrfm_cli.tuning.search.step import Step, StepResult
from xrfm_cli.tuning.search.storage.step_file import from_bytes, step_name

SAME = ("xrfm-cli", "torch", "numpy")  # with other versions of these, a step might have another result
CONNECT_S = 10.0  # until the scheduler answers
LOOK_S = 1.0  # how often the workers of the cluster are counted
RETRIES = 2  # of a task whose worker is lost
# Messages about workers are stages, so they are not in the report: the model is the same without them.
LOST = "searching; a step was lost with its dask workers, and runs here"
ALONE = "searching; the dask cluster has no workers, so steps run here until some join"

_problems: dict[str, Problem] = {}  # of a worker, by their hashes
one_at_a_time = threading.Lock()  # a worker with several threads shares the encoded folds


@dataclass(slots=True, kw_only=True, eq=False)
class DaskPool:
    """The tasks of a search on a cluster, and results that have not been asked for yet."""

    problem: Problem
    on_event: OnEvent
    client: Any
    content: Any  # a future of the pickled problem, which is an argument of every task
    digest: str
    running: dict[StepKey, Any] = field(default_factory=dict)  # futures
    places: dict[StepKey, str] = field(default_factory=dict)  # workers that steps were meant for
    results: dict[StepKey, StepResult] = field(default_factory=dict)
    lost: set[StepKey] = field(default_factory=set)
    known_workers: set[str] = field(default_factory=set)
    looked_s: float = float("-inf")
    is_alone: bool = False

    @property
    def workers(self) -> tuple[str, ...]:
        """Return the addresses of the workers; raises OptionError if one of them has other versions."""
        if time.monotonic() - self.looked_s > LOOK_S:
            self.looked_s = time.monotonic()
            found: set[str] = set()
            with suppress(OSError, TimeoutError):
                found = set(self.client.scheduler_info(n_workers=-1)["workers"])
            if found - self.known_workers:
                check_versions(self.client, sorted(found - self.known_workers))
            if not found and not self.is_alone:
                self.on_event(Event(kind="stage", message=ALONE))
            self.known_workers, self.is_alone = found, not found
        return tuple(sorted(self.known_workers))

    def takes(self, step: Step) -> bool:
        """Return whether a step is run by workers."""
        return is_short(self.problem, step) and bool(self.workers)

    def has_room(self) -> bool:
        """Return whether a worker is idle."""
        return len(self.running) < len(self.workers)

    def known(self, step: Step) -> StepResult | None:
        """Return the result of a step if it is there."""
        return self.results.get(key_of(step))

    def offer(self, step: Step) -> None:
        """Submit a step, unless it is known, running or was lost."""
        key = key_of(step)
        if key in self.results or key in self.lost or key in self.running or not self.workers:
            return
        name = step_name(step, self.problem.plan.folds[step.fold])
        # A worker cannot ask this process whether it is late: its steps are short.
        sent = pickle.dumps(replace(step, is_late=None))
        # Dask would prefer the worker that has the rows already, and leave the others idle.
        load = Counter(self.places[other] for other in self.running)
        self.places[key] = min(self.workers, key=lambda worker: load[worker])
        self.running[key] = self.client.submit(
            run_task,
            self.content,
            self.digest,
            sent,
            key=f"xrfm-{self.digest}-{name}",
            retries=RETRIES,
            workers=[self.places[key]],
            allow_other_workers=True,
        )

    def obtain(self, step: Step, *, look_ahead: Callable[[], None]) -> StepResult | None:
        """Wait for the result of a step; None if it was lost, and the caller must run it."""
        key = key_of(step)
        while key not in self.results:
            self.offer(step)
            if key in self.lost or not self.workers:
                self._drop(key)
                return None
            look_ahead()
            self._receive(key)
        look_ahead()
        return self.results[key]

    def forget(self, trial: int) -> None:
        """Drop the results of a trial that has ended."""
        for key in [key for key in (*self.results, *self.running) if key[0] == trial]:
            self.results.pop(key, None)
            self._drop(key)

    def close(self) -> None:
        """Cancel what is running and leave the cluster."""
        for key in list(self.running):
            self._drop(key)
        with suppress(OSError, TimeoutError):
            self.client.close()

    def _receive(self, awaited: StepKey) -> None:
        """Take the results that have arrived; wait a moment for the awaited one."""
        import distributed

        if awaited in self.running:  # none is there if all workers left, or some came back, just now
            with suppress(TimeoutError), self.client.as_current():
                distributed.wait(self.running[awaited], timeout=POLL_S)
        for key, future in list(self.running.items()):
            if not future.done():
                continue
            try:
                self.results[key] = from_bytes(future.result(timeout=CONNECT_S), self.problem.data.device)
            except OptionError:
                raise
            except Exception:  # noqa: BLE001 - whatever ended the task, this process runs the step itself
                self.lost.add(key)
                self.on_event(Event(kind="stage", message=LOST))
            self.running.pop(key)

    def _drop(self, key: StepKey) -> None:
        future = self.running.pop(key, None)
        if future is not None:
            with suppress(OSError, TimeoutError):
                future.cancel()


@contextmanager
def dask_pool(problem: Problem, scheduler: str, on_event: OnEvent) -> Iterator[DaskPool]:
    """Connect to a scheduler, send the rows, and leave the cluster with the context.

    Raises OptionError if the scheduler does not answer, or if a worker has other versions.
    """
    client = connect(scheduler)
    pool = None
    try:
        content = pickle.dumps(_as_sent(problem))
        digest = hashlib.sha256(content).hexdigest()[:16]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # dask warns that a file would be better
            # A task, unlike scattered data, outlives the workers that hold its result.
            sent = client.submit(bytes, content, key=f"xrfm-{digest}")
        pool = DaskPool(problem=problem, on_event=on_event, client=client, content=sent, digest=digest)
        found, size = counted(len(pool.workers), "worker"), f"{len(content) / 2**20:.1f} MiB of rows"
        message = f"searching with {found} of {scheduler}; each worker receives {size}"
        on_event(Event(kind="stage", message=message))
        yield pool
    finally:
        if pool is not None:
            pool.close()
        else:
            client.close()


def connect(scheduler: str) -> Any:
    """Return a client of a scheduler; OptionError in one line if there is none."""
    try:
        import distributed
    except ImportError:
        raise OptionError(
            f"{option('engine', 'dask')}: needs dask.distributed: pip install 'xrfm-cli[dask]'"
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # this class reports workers that leave
    try:
        return distributed.Client(scheduler, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as fault:
        reason = " ".join(str(fault).split()) or type(fault).__name__
        raise OptionError(
            f"{option('scheduler', scheduler)}: no dask scheduler answers ({reason}); start one with "
            "dask scheduler"
        ) from None


def check_versions(client: Any, workers: list[str]) -> None:
    """Refuse workers whose versions are not those of this process."""
    for name in SAME:
        own = version(name)
        # The function comes with Python, so a worker without this package can run it too.
        found: Mapping[str, Any] = client.run(version, name, workers=workers, on_error="return")
        for worker, theirs in found.items():
            if theirs == own:
                continue
            has = f"no {name}" if isinstance(theirs, PackageNotFoundError) else f"{name} {theirs}"
            raise OptionError(
                f"{option('scheduler')}: the dask worker {worker} has {has}, but this program has {own}; "
                "install the same version there"
            )


def run_task(content: bytes, digest: str, sent: bytes) -> bytes:
    """Run a step in a worker, with one thread; return its serialised result."""
    with one_at_a_time, compute_threads(1), threadpool_limits(1):
        if digest not in _problems:
            _problems.clear()  # of an earlier search
            _problems[digest] = pickle.loads(content)
        return run_in_worker(_problems[digest], pickle.loads(sent))


def _as_sent(problem: Problem) -> Problem:
    """Return the part of the problem that steps need: the rows of the search; workers encode the folds."""
    final = FinalRows(data=problem.data, rows=problem.plan.refit_rows)
    folds = FoldCache(data=problem.data, plan=problem.plan, max_bytes=problem.folds.max_bytes)
    return replace(problem, final=final, folds=folds, scorer=replace(problem.scorer, folds=folds))
