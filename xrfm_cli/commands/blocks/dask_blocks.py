"""Blocks of a prediction as tasks of a dask cluster: ``predict --engine dask``.

The model is sent once to each worker. A task is named by the hash of the model and of its rows, so one that
runs twice changes nothing.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from xrfm_cli.commands.blocks.block_workers import Block, predict_sent, prediction_of, to_bytes
from xrfm_cli.events import OnEvent
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.options.declarations import PredictOptions
from xrfm_cli.tuning.model.fitted_model import FittedModel, Prediction
from xrfm_cli.tuning.model.storage import model_from_bytes
from xrfm_cli.tuning.search.pools.dask_pool import connect, one_at_a_time
from xrfm_cli.tuning.search.pools.dask_tasks import DaskTasks, dask_tasks

LOST = "predicting; rows were lost with their dask workers, and are predicted here"

_models: dict[str, FittedModel] = {}  # of a worker, by the hash of their file


@dataclass(slots=True, kw_only=True, eq=False)
class DaskBlocks:
    """The blocks that a cluster predicts."""

    tasks: DaskTasks
    model: Any  # a future of the bytes of the model file, which is an argument of every task
    digest: str
    interval: float | None

    @property
    def window(self) -> int:
        """Return how many blocks may be under way."""
        return self.tasks.window

    def offer(self, block: Block) -> None:
        """Submit a block."""
        sent = to_bytes(block)
        key = hashlib.sha256(sent + pickle.dumps((self.digest, self.interval))).hexdigest()
        name = f"xrfm-predict-{key}"
        self.tasks.send(block.before, name, predict_task, self.model, self.digest, self.interval, sent)

    def obtain(self, block: Block) -> Prediction | None:
        """Wait for a block's predictions; None if it was not sent or was lost."""
        answer = self.tasks.result(block.before)
        return prediction_of(answer) if answer else None


@contextmanager
def dask_blocks(options: PredictOptions, on_event: OnEvent) -> Generator[DaskBlocks, None, None]:
    """Connect to the scheduler, send the model, and leave the cluster with the context.

    Raises OptionError if the scheduler does not answer, or if a worker has other versions.
    """
    assert options.scheduler is not None
    client = connect(options.scheduler)
    with dask_tasks(client, on_event, LOST) as tasks:
        content = Path(options.model).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it would rather be given the path of a file
            model = client.submit(bytes, content, key=f"xrfm-model-{digest}")
        yield DaskBlocks(tasks=tasks, model=model, digest=digest, interval=options.interval)


def predict_task(content: bytes, digest: str, interval: float | None, sent: bytes) -> bytes:
    """Predict rows in a worker, with one thread; it keeps the model that it was sent last."""
    with one_at_a_time, compute_threads(1), threadpool_limits(1):
        if digest not in _models:
            _models.clear()
            _models[digest] = model_from_bytes(content)
        return predict_sent(_models[digest], interval, sent)
