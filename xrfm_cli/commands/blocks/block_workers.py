"""Workers that predict blocks of a large table side by side: processes of this machine, or a dask cluster.

A block's prediction does not depend on the process or on its threads, so the output is the same, byte for
byte, for any number of workers. Results come in the order of the rows.
"""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import pyarrow as pa
import torch

from xrfm_cli.commands.common.models import usable_bytes
from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Table
from xrfm_cli.datasets.files.finding import find_files
from xrfm_cli.datasets.files.streams import is_stream
from xrfm_cli.errors import OptionError, XRFMError
from xrfm_cli.mentions import option
from xrfm_cli.options.declarations import PredictOptions
from xrfm_cli.tuning.model.fitted_model import FittedModel, Prediction
from xrfm_cli.tuning.search.pools.fork_tasks import ForkTasks
from xrfm_cli.tuning.search.pools.forks import Forks, worker_count
from xrfm_cli.tuning.search.pools.pool import TASKS_PER_WORKER

LEAST_BYTES = 4 << 20  # of the files of a table that is worth starting processes for
WORKER_BYTES = 1 << 29  # of the memory, for each process


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Rows of a table: as read, and as they are predicted; ``before`` rows precede them."""

    read: Table
    seen: Table
    before: int


class BlockWorkers(Protocol):
    """Workers that predict blocks."""

    @property
    def window(self) -> int:
        """Return how many blocks may be under way, at least 1."""

    def offer(self, block: Block) -> None:
        """Begin a block, if the workers take it."""

    def obtain(self, block: Block) -> Prediction | None:
        """Wait for a block's predictions; None if the caller must predict it."""


def predicted_blocks(
    model: FittedModel, blocks: Iterable[Block], workers: BlockWorkers, *, interval: float | None
) -> Iterator[tuple[Block, Prediction]]:
    """Yield each block with its prediction, in order; this process predicts what no worker does."""
    coming = iter(blocks)
    waiting: deque[Block] = deque()
    while True:
        while len(waiting) < workers.window:
            block = next(coming, None)
            if block is None:
                break
            waiting.append(block)
            workers.offer(block)
        if not waiting:
            return
        block = waiting.popleft()
        found = workers.obtain(block)
        yield block, found or model.predict(block.seen, interval=interval, before=block.before)


@contextmanager
def block_workers(
    model: FittedModel, options: PredictOptions, session: Session
) -> Generator[BlockWorkers, None, None]:
    """Start processes for a large table, before a thread reads it, or connect to a cluster.

    There are no processes for small tables, streams, GPUs and models whose leaves stay in their file.
    """
    on_event = session.renderer.on_event
    if options.scheduler is not None:
        from xrfm_cli.commands.blocks.dask_blocks import dask_blocks

        if model.stored_bytes:
            raise OptionError(
                f"{options.model}: is too large to be sent to workers; allow more memory "
                f"({option('memory')}), or leave out {option('engine')}"
            )
        with dask_blocks(options, on_event) as cluster:
            yield cluster
        return
    count = worker_count(options.workers, threads=torch.get_num_threads(), device=model.device)
    count = min(count, usable_bytes(options.memory) // WORKER_BYTES)
    forks = Forks(on_event=on_event)
    try:
        if count > 1 and not model.stored_bytes and _is_large(options.data):
            forks.start(count, partial(predict_sent, model, options.interval))
        yield BlockPool(tasks=ForkTasks(forks=forks, serialise=to_bytes))
    finally:
        forks.close()


@dataclass(slots=True, kw_only=True, eq=False)
class BlockPool:
    """Processes of this machine, and the blocks that they predict."""

    tasks: ForkTasks[Block]

    @property
    def window(self) -> int:
        """Return how many blocks may be under way."""
        return max(1, TASKS_PER_WORKER * len(self.tasks.forks.members))

    def offer(self, block: Block) -> None:
        """Give a block to an idle process, at once or later."""
        self.tasks.send(block.before, block)

    def obtain(self, block: Block) -> Prediction | None:
        """Wait for a block's predictions; None if no process has it."""
        answer = self.tasks.result(block.before)
        return None if answer is None else prediction_of(answer)


def to_bytes(block: Block) -> bytes:
    """Serialise the rows to predict. Arrow's stream has no rows but these, unlike a pickled slice."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, block.seen.data.schema) as writer:
        writer.write_table(block.seen.data)
    bare = replace(block.seen, data=block.seen.data.schema.empty_table())
    return pickle.dumps((bare, sink.getvalue(), block.before))


def predict_sent(model: FittedModel, interval: float | None, sent: bytes) -> bytes:
    """Predict rows in a worker; return nothing if that fails: the main process then tells of the error."""
    bare, rows, before = pickle.loads(sent)
    try:
        table = replace(bare, data=pa.ipc.open_stream(rows).read_all())
        return pickle.dumps(model.predict(table, interval=interval, before=before))
    except Exception:  # noqa: BLE001 - the main process predicts the rows again
        return b""


def prediction_of(answer: bytes) -> Prediction:
    """Return the prediction that a worker has sent."""
    found = pickle.loads(answer)
    assert isinstance(found, Prediction)
    return found


def _is_large(data: str) -> bool:
    try:
        files = [file for file in find_files(data).files if not is_stream(file)]
        return sum(file.stat().st_size for file in files) >= LEAST_BYTES
    except (OSError, XRFMError):  # the reader says what is wrong
        return False
