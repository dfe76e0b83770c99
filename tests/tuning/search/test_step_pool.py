"""Worker processes change how soon a search knows its results, not what they are."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.processes import KILLED, started
from tests.tuning.tables import answers, fit, law, same_bits, table_of
from xrfm_cli.events import Event
from xrfm_cli.tuning.search.pools import forks
from xrfm_cli.tuning.search.pools.forks import worker_count

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has worker processes"),
]
PROBE = table_of(law(30, seed=8))


def workers_of(process: int) -> list[psutil.Process]:
    return psutil.Process(process).children()


def test_any_number_of_workers_gives_the_same_model() -> None:
    seen: list[int] = []

    def look(event: Event) -> None:
        if event.kind == "progress":
            seen.append(len(workers_of(os.getpid())))

    models = [
        fit(law(60), trials=17, folds=3, seed=5, workers=workers, on_event=look) for workers in (1, 2, 3)
    ]
    assert {0, 2, 3} <= set(seen)
    assert not workers_of(os.getpid())
    first, *others = models
    for other in others:
        assert same_bits(answers(first, PROBE), answers(other, PROBE))
        assert first.report.timeless() == other.report.timeless()


@pytest.fixture(scope="module")
def alone() -> np.ndarray:
    """What a search without workers predicts."""
    return answers(fit(law(60), trials=16, folds=3, workers=1), PROBE)


def test_a_worker_that_is_killed_is_replaced_by_the_search_itself(alone: np.ndarray) -> None:
    killed: list[int] = []

    def kill_one(event: Event) -> None:
        if event.kind == "progress" and not killed:
            worker = workers_of(os.getpid())[0]
            killed.append(worker.pid)
            worker.kill()

    found = fit(law(60), trials=16, folds=3, workers=2, on_event=kill_one)
    assert killed
    assert same_bits(answers(found, PROBE), alone)
    assert [item["message"] for item in found.report.fallbacks].count(forks.LOST) == 1


def test_a_search_without_any_worker_left_goes_on_alone(alone: np.ndarray) -> None:
    def kill_all(event: Event) -> None:
        if event.kind == "progress":
            for worker in workers_of(os.getpid()):
                worker.kill()

    found = fit(law(60), trials=16, folds=3, workers=3, on_event=kill_all)
    assert same_bits(answers(found, PROBE), alone)


@pytest.mark.parametrize("number", [KILLED, signal.SIGTERM], ids=["killed", "ended"])
def test_workers_end_with_the_command(number: signal.Signals, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    lines = [f"{a:.4f},{b:.4f},{y:.4f}" for a, b, y in zip(*(law(400)[c] for c in "aby"), strict=True)]
    table.write_text("a,b,y\n" + "\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "xrfm_cli", "fit", table, "--target", "y", "--time-limit", "60s"]
    command += ["--no-early-stop", "--workers", "2", "--model", tmp_path / "m.xrfm"]
    with started(command, folder=Path.cwd()) as process:
        end = time.monotonic() + 60
        while len(workers := workers_of(process.pid)) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        assert len(workers) == 2
        process.send_signal(number)
        process.communicate(timeout=60)
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive


@pytest.mark.parametrize(("wanted", "threads", "expected"), [(None, 4, 4), (3, 1, 3), (1, 8, 1)])
def test_there_is_a_worker_for_each_thread_unless_asked(
    wanted: int | None, threads: int, expected: int
) -> None:
    assert worker_count(wanted, threads=threads, device="cpu") == expected


def test_a_daemon_and_a_gpu_have_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_count(4, threads=4, device="cuda") == 1

    class Daemon:
        daemon = True

    monkeypatch.setattr(forks.multiprocessing, "current_process", Daemon)
    assert worker_count(4, threads=4, device="cpu") == 1
