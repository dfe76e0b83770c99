"""Storages of shared studies after a crash: damaged journals and databases, locks that were left behind."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileSymlinkLock

from tests.processes import run_process
from tests.tuning.tables import one_line
from xrfm_cli.errors import OptionError
from xrfm_cli.events import Event
from xrfm_cli.tuning.search import sampler as optuna_study
from xrfm_cli.tuning.search.sampler import StudyPlace, TrialStudy, open_study
from xrfm_cli.tuning.search.space import SearchSpace
from xrfm_cli.tuning.search.storage import shared_storage
from xrfm_cli.tuning.search.storage.shared_storage import BusyStorageError, Journal, JournalLock

SPACE = SearchSpace(
    leaf_size=100,
    pinned={},
    has_numbers=True,
    has_categories=False,
    general_p=False,
    full_feature_matrix=False,
    sum_power=False,
)
HOLD = """
import os, sys
from pathlib import Path
from xrfm_cli.tuning.search.storage.shared_storage import JournalLock
JournalLock(Path(sys.argv[1]), wait_s=1.0, on_repair=print).acquire()
os._exit(9)
"""


def open_here(storage: object, *, seconds_left: float = 10.0) -> tuple[TrialStudy, list[str]]:
    """A shared study of a few trials, and the fallbacks that were told."""
    events: list[Event] = []
    study = open_study(
        SPACE,
        [],
        seed=0,
        place=StudyPlace(storage=str(storage), facts=""),
        setting="",
        on_event=events.append,
        seconds_left=seconds_left,
    )
    for _ in range(2):
        number, _ = study.ask()
        study.tell(number, 1.0 / (1 + number))
    return study, [event.message for event in events if event.kind == "fallback"]


def losses(study: TrialStudy) -> list[float | None]:
    """The losses of all trials by their numbers."""
    return [trial.value for trial in study.study.trials]


def lock_of(path: Path) -> Path:
    """The lock file beside a journal."""
    return path.with_name(path.name + ".lock")


def kill_while_locked(path: Path) -> None:
    """Let a process end that holds the lock of a journal."""
    done = run_process([sys.executable, "-c", HOLD, path])
    assert done.returncode == 9
    assert lock_of(path).exists()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with two validated trials."""
    path = tmp_path / "tuning.journal"
    open_here(path)
    return path


@pytest.mark.parametrize("left", [1, 11, -1], ids=["one byte", "some bytes", "all but the line break"])
def test_an_unfinished_last_line_is_left_out_and_told(journal: Path, left: int) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    before = b"".join(lines[:-1])
    journal.write_bytes(before + lines[-1][:left])
    study, told = open_here(journal)
    assert len(told) == 1
    assert "its last line was unfinished" in told[0]
    assert journal.read_bytes().startswith(before)
    assert losses(study)[0] == 1.0
    assert losses(study)[2:] == [1 / 3, 1 / 4]
    again, told = open_here(journal)
    assert not told
    assert losses(again)[:1] + losses(again)[2:] == [1.0, 1 / 3, 1 / 4, 1 / 5, 1 / 6]


def test_a_line_cut_during_the_search_is_left_out_too(journal: Path) -> None:
    study, told = open_here(journal)
    assert not told
    with journal.open("ab") as file:
        file.write(b'{"op_code": 4, "worker')
    number, _ = study.ask()
    study.tell(number, 0.5)
    assert losses(open_here(journal)[0])[number] == 0.5


@pytest.mark.parametrize("damage", [b"\0" * 30, b'{"op_code"', b"[1, 2]"])
def test_a_damaged_line_is_named_and_nothing_is_written(journal: Path, damage: bytes) -> None:
    lines = journal.read_bytes().splitlines()
    lines[3] = damage
    journal.write_bytes(b"\n".join(lines) + b"\n")
    before = journal.read_bytes()
    with pytest.raises(OptionError, match="line 4 is damaged"):
        open_here(journal)
    assert journal.read_bytes() == before


@pytest.mark.parametrize(
    "text", [b"a,b\n1,2\n", b"no line break", b"\x1f\x8b\x08", b"\0" * 50, b"[1]\n", b"{}\n"]
)
def test_a_file_of_another_kind_is_left_as_it_is(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(text)
    with pytest.raises(OptionError, match="is not an Optuna journal"):
        open_here(path)
    assert path.read_bytes() == text
    assert [item.name for item in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("text", [b'{"op_code":0}\n', b'{"op_code":99,"worker_id":"w"}\n'])
def test_operations_that_this_optuna_does_not_know_are_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "tuning.journal"
    path.write_bytes(text)
    with pytest.raises(OptionError, match="cannot read this journal"):
        open_here(path)
    assert path.read_bytes() == text


def test_an_empty_file_begins_a_journal(tmp_path: Path) -> None:
    (tmp_path / "tuning.journal").touch()
    study, told = open_here(tmp_path / "tuning.journal")
    assert losses(study) == [1.0, 0.5]
    assert not told


@pytest.mark.posix("devices")
def test_a_device_is_refused() -> None:
    with pytest.raises(OptionError, match="not a regular file"):
        open_here("/dev/null")


def test_the_lock_of_a_dead_process_is_broken(journal: Path) -> None:
    kill_while_locked(journal)
    began = time.monotonic()
    assert losses(open_here(journal)[0]) == [1.0, 0.5, 1 / 3, 1 / 4]
    assert time.monotonic() - began < 1.5
    assert [item.name for item in journal.parent.iterdir()] == [journal.name]


def holders(path: Path) -> dict[str, str]:
    """Texts of locks whose process is alive, or may be."""
    host = socket.gethostname()
    namespace = Path("/proc/self/ns/pid")
    here = f"{host}/{namespace.readlink() if namespace.exists() else ''}"
    return {
        "this process": f"{os.getpid()} {here} token",
        "another machine": "12 elsewhere/pid:[1] token",
        "another container": f"999999999 {host}/pid:[1] token",
        "nothing yet": "",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "holder", ["this process", "another machine", "another container", "nothing yet", "link"]
)
def test_any_other_lock_ends_the_wait_with_its_name(journal: Path, holder: str) -> None:
    before = journal.read_bytes()
    if holder == "link":  # as Optuna makes it: it leads nowhere in a folder
        if sys.platform == "win32":
            pytest.skip("Optuna makes no link there")
        lock_of(journal).symlink_to("runs/tuning.journal")
    else:
        lock_of(journal).write_text(holders(journal)[holder])
    lock = JournalLock(journal, wait_s=0.2, on_repair=print)
    with pytest.raises(BusyStorageError, match=r"tuning\.journal\.lock is held by") as caught:
        lock.acquire()
    one_line(caught.value)
    if holder == "another machine":
        assert "process 12 of elsewhere" in str(caught.value)
    lock.release()  # of nothing: the lock is not this one's
    assert lock_of(journal).is_symlink() == (holder == "link")
    assert lock_of(journal).is_symlink() or lock_of(journal).exists()
    assert journal.read_bytes() == before
    # No process writes for a minute, so that an old lock was left behind.
    os.utime(lock_of(journal), (1e9, 1e9), follow_symlinks=False)
    lock = JournalLock(journal, wait_s=5.0, on_repair=print)
    assert lock.acquire()
    lock.release()
    assert [item.name for item in journal.parent.iterdir()] == [journal.name]


def test_windows_refuses_files_that_others_read_or_delete(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = {"open": 2, "unlink": 2}
    real_open, real_unlink = os.open, Path.unlink

    def refuse(name: str) -> None:
        if refusals[name]:
            refusals[name] -= 1
            raise PermissionError(13, "Access is denied")

    def open_later(path: Any, *rest: int) -> int:
        refuse("open")
        return real_open(path, *rest)

    def unlink_later(path: Path, *, missing_ok: bool = False) -> None:
        refuse("unlink")
        real_unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(shared_storage, "IS_WINDOWS", True)
    monkeypatch.setattr(os, "open", open_later)
    monkeypatch.setattr(Path, "unlink", unlink_later)
    lock = JournalLock(journal, wait_s=5.0, on_repair=print)
    assert lock.acquire()
    assert refusals["open"] == 0
    lock.release()
    assert refusals["unlink"] == 0
    assert not lock_of(journal).exists()


@pytest.mark.slow
def test_a_busy_journal_is_refused_within_the_limit(journal: Path) -> None:
    lock_of(journal).write_text("12 elsewhere/ token")
    began = time.monotonic()
    with pytest.raises(OptionError, match="delete that file if no such process is running"):
        open_here(journal, seconds_left=10.0)
    assert time.monotonic() - began < 4.0


@pytest.mark.slow
def test_a_lock_left_during_the_search_lets_it_go_on_alone(journal: Path) -> None:
    study, told = open_here(journal)
    events: list[Event] = []
    study.on_event = events.append
    lock_of(journal).write_text("12 elsewhere/ token")
    number, _ = study.ask()
    study.tell(number, 0.1)
    assert study.place is None
    assert "held by process 12 of elsewhere" in events[0].message
    assert not told


def test_optunas_own_lock_and_this_one_exclude_each_other(journal: Path) -> None:
    theirs = JournalFileSymlinkLock(str(journal))
    theirs.acquire()
    with pytest.raises(BusyStorageError):
        JournalLock(journal, wait_s=0.1, on_repair=print).acquire()
    theirs.release()
    assert JournalLock(journal, wait_s=0.1, on_repair=print).acquire()


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tuning.journal"

    def write(writer: int) -> None:
        journal = Journal(path, wait_s=30.0, on_repair=print)
        for number in range(25):
            journal.append_logs([{"op_code": 0, "writer": writer, "number": number}])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = [
        (log["writer"], log["number"]) for log in Journal(path, wait_s=1.0, on_repair=print).read_logs(0)
    ]
    assert sorted(found) == [(writer, number) for writer in range(4) for number in range(25)]
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_study_that_others_delete_is_left(journal: Path) -> None:
    study, _ = open_here(journal)
    other = optuna.storages.JournalStorage(Journal(journal, wait_s=1.0, on_repair=print))
    optuna.delete_study(study_name=optuna.get_all_study_names(other)[0], storage=other)
    study.ask()
    assert study.place is None


def damage(path: Path, how: str) -> sqlite3.Connection | None:
    """Make a database unusable; a connection that must stay open."""
    if how in ("bytes", "half"):
        content = path.read_bytes()
        path.write_bytes(
            content[:4096] + b"\xff" * 40_000 if how == "bytes" else content[: len(content) // 2]
        )
        return None
    connection = sqlite3.connect(path)
    if how == "version":
        connection.execute("update alembic_version set version_num = 'v9'")
        connection.commit()
    else:
        connection.execute("begin exclusive")
    return connection


@pytest.mark.slow
@pytest.mark.parametrize("how", ["bytes", "half", "version", "locked"])
def test_a_database_that_cannot_be_used_is_refused(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna_study, "wait_for_others_s", lambda seconds_left: 0.2)
    path = tmp_path / "tuning.db"
    open_here(f"sqlite:///{path}")
    connection = damage(path, how)
    with pytest.raises(OptionError) as caught:
        open_here(f"sqlite:///{path}")
    assert one_line(caught.value).startswith("--storage sqlite:///")
    if connection is not None:
        connection.close()
