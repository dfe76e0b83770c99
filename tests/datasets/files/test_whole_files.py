"""Files appear whole or not at all, keep their permissions, and are written through links."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import PIPE, started
from xrfm_cli.errors import OptionError
from xrfm_cli.files import open_whole, write_whole

IS_ROOT = sys.platform != "win32" and os.geteuid() == 0


@pytest.mark.posix("symbolic links")
def test_a_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("second")
    (tmp_path / "second").symlink_to("sub/file")
    for content in (b"new", b"old file replaced"):  # at first the links lead to nothing
        write_whole(tmp_path / "link", content)
        assert (tmp_path / "sub" / "file").read_bytes() == content
    assert (tmp_path / "link").readlink() == Path("second")
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["file"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755, 0o4755])
@pytest.mark.posix("permissions")
def test_permissions_are_passed_on(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    with open_whole(path) as stream:
        (unfinished,) = set(tmp_path.iterdir()) - {path}
        assert unfinished.stat().st_mode & 0o7777 == 0o600  # nobody else reads along
        stream.write(b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"new", mode)


@pytest.mark.skipif(not IS_ROOT, reason="only root may give files away")
def test_the_owner_is_passed_on(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows gives no files away")
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 1234, 4321)
    write_whole(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


@pytest.mark.skipif(IS_ROOT, reason="root may write to every file")
@pytest.mark.posix("permissions")
def test_a_file_that_is_read_only_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(OptionError, match="is read-only"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_fault_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with suppress(RuntimeError), open_whole(path) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "is a directory"),
        ("loop", "cannot be written"),
        ("pipe", "is a device or a pipe"),
        ("null", "is a device or a pipe"),
        ("no/file", "cannot be written"),
        ("plain/file", "cannot be written"),
    ],
)
def test_what_a_file_cannot_replace_is_refused(name: str, message: str, tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no named pipes")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "plain").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OptionError, match=f"{name}: {message}"):
        write_whole(tmp_path / name, b"new")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127])
def test_names_may_be_as_long_as_the_system_allows(name: str, tmp_path: Path) -> None:
    write_whole(tmp_path / name, b"new")
    assert (tmp_path / name).read_bytes() == b"new"


WRITER = """
import sys
from pathlib import Path
from xrfm_cli.files import open_whole
with open_whole(Path("out.csv")) as stream:
    stream.write(b"half")
    stream.flush()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks, and leftovers stay")
def test_what_killed_writers_left_is_swept_and_no_living_ones_file(tmp_path: Path) -> None:
    others = [
        tmp_path / name for name in (".out.csv.tmp", ".out.csv.0123456g.tmp", ".other.csv.01234567.tmp")
    ]
    for path in others:
        path.write_bytes(b"not ours")
    (tmp_path / ".out.csv.00000000.tmp").mkdir()
    with started([sys.executable, "-c", WRITER], folder=tmp_path, stdin=PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        (unfinished,) = (path for path in tmp_path.iterdir() if path.is_file() and path not in others)
        age(unfinished, *others)
        write_whole(tmp_path / "out.csv", b"second")
        assert unfinished.exists()  # its writer lives, however slowly
        writer.kill()
        writer.wait()
    write_whole(tmp_path / "other", b"another file")
    assert unfinished.read_bytes() == b"half"
    os.utime(unfinished)
    write_whole(tmp_path / "out.csv", b"third")
    assert unfinished.exists()  # too young to be sure
    age(unfinished)
    write_whole(tmp_path / "out.csv", b"fourth")
    assert not unfinished.exists()
    assert (tmp_path / "out.csv").read_bytes() == b"fourth"
    assert all(path.exists() for path in (*others, tmp_path / ".out.csv.00000000.tmp"))


def age(*paths: Path) -> None:
    """Make files two hours old."""
    for path in paths:
        os.utime(path, (time.time() - 7200,) * 2)
