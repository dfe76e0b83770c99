"""Workers of a dask cluster change how soon a search knows its results, not the bytes of its model."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.processes import run_python
from xrfm_cli.errors import OptionError
from xrfm_cli.tuning.search.pools.dask_pool import check_versions, connect

ROOT = Path(__file__).parents[3]


def results_of(program: str) -> dict[str, Any]:
    """Run a program with a cluster of its own; return what it prints after RESULT."""
    found: dict[str, Any] = json.loads(run_python(program, folder=ROOT, limit_s=600).rpartition("RESULT")[2])
    return found


# Real processes: a scheduler with workers, and fits whose events disturb them. Prints hashes and messages.
FITS = """
import hashlib, json, os, signal, sys, time
import distributed
from tests.tuning.tables import fit, law
from xrfm_cli.tuning.model.storage import model_to_bytes

def told(disturb=None, **more):
    heard = []
    def hear(event):
        heard.append(event.message)
        if event.kind == "progress" and disturb is not None:
            disturb(heard)
    model = fit(law(60), trials=10, folds=3, seed=5, on_event=hear, **more)
    return [hashlib.sha256(model_to_bytes(model)).hexdigest(), heard]

def problems_sent():
    from xrfm_cli.tuning.search.pools import dask_pool
    return len(dask_pool._problems)

def main():
    out = {"alone": told(workers=1)}
    local = dict(threads_per_worker=1, dashboard_address=None, silence_logs=False)
    with distributed.LocalCluster(n_workers=2, **local) as cluster, distributed.Client(cluster) as client:
        address = cluster.scheduler_address
        out["two"] = told(scheduler=address)
        out["used"] = list(client.run(problems_sent).values())
        state = {}
        def disturb(heard):
            if not state:
                pids = client.run(os.getpid)
                state["killed"] = pids[sorted(pids)[0]]
                os.kill(state["killed"], signal.SIGKILL)
                cluster.scale(3)
        out["killed and joined"] = told(disturb, scheduler=address)
        out["workers"] = len(client.scheduler_info(n_workers=-1)["workers"])
        out["disturbed"] = bool(state)
        def leave(heard):
            if cluster.workers:
                cluster.scale(0)
        out["none left"] = told(leave, scheduler=address)
    print("RESULT" + json.dumps(out))

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.posix("a signal that kills")
@pytest.mark.skipif(find_spec("distributed") is None, reason="dask.distributed is not installed")
def test_a_cluster_gives_the_bytes_of_one_process_whatever_happens_to_its_workers() -> None:
    found = results_of(FITS)
    expected = found["alone"][0]
    for name in ("two", "killed and joined", "none left"):
        assert found[name][0] == expected, name
    assert any("searching with 2 workers of tcp://" in message for message in found["two"][1])
    assert found["used"] == [1, 1]
    assert found["disturbed"]
    assert any("has no workers, so steps run here" in message for message in found["none left"][1])


# The leaves of a final model: all by two workers, then with one that runs out of memory, with one killed, and
# with none. Prints hashes, how many leaves were fitted here, and whether the nanny ended the hungry worker.
LEAVES = """
import hashlib, json, os, signal, time
import distributed
from tests.tuning.tables import fit, law
from xrfm_cli.trees import tasks
from xrfm_cli.tuning.model.storage import model_to_bytes

fitted_here, own = [], tasks.fit_leaf

def counted(*arguments, **options):
    fitted_here.append(1)
    return own(*arguments, **options)

def told(disturb=None, **more):
    fitted_here.clear()
    def hear(event):
        if disturb is not None and event.message.startswith("fitting model"):
            disturb()
    size = {"leaf_size": 40, "min_leaf_size": 10}
    model = fit(law(400), trials=1, folds=2, seed=5, pinned=size, on_event=hear, **more)
    assert len(model.members[0].tree.leaves) == 16
    return [hashlib.sha256(model_to_bytes(model)).hexdigest(), len(fitted_here)]

def hungry():
    from xrfm_cli.tuning.search.pools import dask_trees

    def eat(sent):
        held = []
        while len(held) < 100:
            held.append(bytearray(b"x") * (20 << 20))
            time.sleep(0.02)
        raise AssertionError("the nanny looks away")

    dask_trees.run_sent_task = eat
    return os.getpid()

def main():
    tasks.fit_leaf = counted
    out = {"alone": told(workers=1)}
    local = dict(threads_per_worker=1, dashboard_address=None, silence_logs=False, memory_limit="1GB")
    with distributed.LocalCluster(n_workers=2, **local) as cluster, distributed.Client(cluster) as client:
        address = cluster.scheduler_address
        out["two"] = told(scheduler=address)
        first = sorted(client.scheduler_info(n_workers=-1)["workers"])[:1]
        eater = client.run(hungry, workers=first)[first[0]]
        out["out of memory"] = told(scheduler=address)
        client.wait_for_workers(2)
        out["ended"] = [eater not in client.run(os.getpid).values(), 0]
        def kill():
            pids = client.run(os.getpid)
            os.kill(pids[sorted(pids)[0]], signal.SIGKILL)
        out["killed"] = told(kill, scheduler=address)
        out["none left"] = told(lambda: cluster.scale(0), scheduler=address)
    print("RESULT" + json.dumps(out))

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.posix("a signal that kills")
@pytest.mark.skipif(find_spec("distributed") is None, reason="dask.distributed is not installed")
def test_a_cluster_fits_the_leaves_of_final_models() -> None:
    found = results_of(LEAVES)
    assert found.pop("ended")[0]
    assert {own for own, _ in found.values()} == {found["alone"][0]}
    assert found["two"][1] == found["alone"][1] - 16  # trees of folds, which explain the columns, stay here


@pytest.mark.skipif(find_spec("distributed") is None, reason="dask.distributed is not installed")
def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xrfm_cli.tuning.search.pools.dask_pool.CONNECT_S", 0.5)
    with pytest.raises(
        OptionError, match=r"^--scheduler tcp://127\.0\.0\.1:9: no dask scheduler answers"
    ) as fault:
        connect("tcp://127.0.0.1:9")
    assert "\n" not in str(fault.value)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(
        OptionError, match=r"^--engine dask: needs dask.distributed: pip install 'xrfm-cli\[dask\]'"
    ):
        connect("tcp://127.0.0.1:9")


@pytest.mark.parametrize(
    ("theirs", "has"), [("0.0.1", "xrfm-cli 0.0.1"), (PackageNotFoundError("xrfm-cli"), "no xrfm-cli")]
)
def test_a_worker_of_another_version_is_refused_in_one_line(theirs: Any, has: str) -> None:
    class Client:
        def run(self, *_: Any, **__: Any) -> dict[str, Any]:
            return {"tcp://w:1": theirs}

    with pytest.raises(
        OptionError, match=rf"^--scheduler: the dask worker tcp://w:1 has {has}, but"
    ) as fault:
        check_versions(Client(), ["tcp://w:1"])
    assert "install the same version there" in str(fault.value)
