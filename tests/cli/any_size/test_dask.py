"""``predict --engine dask``, and options of ``--engine dask`` that contradict others."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.processes import run_python

ROOT = Path(__file__).parents[3]
PATH = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--engine dask", "--engine dask and --scheduler ADDRESS need each other"),
        ("--scheduler tcp://h:8786", "--engine dask and --scheduler ADDRESS need each other"),
        (
            "--engine dask --scheduler h --workers 2",
            "--workers: --engine dask has the workers of its cluster",
        ),
        ("--engine ray", "--engine: 'ray' is not one of"),
    ],
)
def test_contradictions_are_refused(words: str, message: str, folder: Path, xrfm: Command) -> None:
    for command in (("fit", "train.csv", "--target", "price"), ("predict", "new.csv")):
        done = xrfm(*command, *words.split(), folder=folder)
        assert done.status == 2
        assert message in done.error


# Predicts with a cluster whose workers are killed meanwhile, and then with none; prints what was heard.
PREDICT = """
import json, os, signal, sys
import distributed
from xrfm_cli.commands.blocks import block_workers
from xrfm_cli.main import run
from xrfm_cli.tuning.model.fitted_model import FittedModel

FittedModel.block_rows = 512

def count():
    from xrfm_cli.commands.blocks import dask_blocks
    return len(dask_blocks._models)

def main():
    local = dict(threads_per_worker=1, dashboard_address=None, silence_logs=False)
    with distributed.LocalCluster(n_workers=2, **local) as cluster, distributed.Client(cluster) as client:
        def predict(name):
            told = ["--engine", "dask", "--scheduler", cluster.scheduler_address, "--output", name]
            assert run(["predict", "new.csv", "--model", "price.xrfm", "--interval", "0.9", *told]) == 0
        predict("two.csv")
        used = list(client.run(count).values())
        offered, own = [], block_workers.to_bytes
        def to_bytes(block):
            offered.append(block)
            if len(offered) == 4:
                os.kill(client.run(os.getpid)[sorted(client.run(os.getpid))[0]], signal.SIGKILL)
            return own(block)
        from xrfm_cli.commands.blocks import dask_blocks
        dask_blocks.to_bytes = to_bytes
        predict("killed.csv")
        cluster.scale(0)
        predict("none.csv")
    print("RESULT" + json.dumps([used, len(offered)]))

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.posix("a signal that kills")
@pytest.mark.skipif(find_spec("distributed") is None, reason="dask.distributed is not installed")
def test_a_cluster_predicts_the_bytes_of_one_process(folder: Path, regression: Path, xrfm: Command) -> None:
    told = ("predict", "new.csv", "--model", regression, "--interval", "0.9", "--output", "alone.csv")
    assert xrfm(*told, folder=folder).status == 0
    out = run_python(PREDICT, folder=folder, environment={"PYTHONPATH": PATH}, limit_s=300)
    assert json.loads(out.rpartition("RESULT")[2]) == [[1, 1], 20]
    for name in ("two", "killed", "none"):
        assert (folder / f"{name}.csv").read_bytes() == (folder / "alone.csv").read_bytes(), name
