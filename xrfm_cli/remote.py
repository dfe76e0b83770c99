"""Copy files between URLs and the paths that stand for them; see :mod:`xrfm_cli.urls`.

fsspec knows the services; it is imported when the first URL is read or written. Every error of a service is
one line with the URL and the way out.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from xrfm_cli.errors import FileReadError, InputError, OptionError
from xrfm_cli.urls import (
    PACKAGES,
    WEB,
    copy_of,
    is_copy,
    is_on_web,
    is_url,
    url_of,
    with_urls,
    without_secrets,
)

WILDCARDS = "*?["
CONNECT_S, READ_S = 30.0, 60.0  # until a server answers, and between its bytes; a download may take hours
DENIED, ABSENT = (401, 403), (404, 410)  # statuses of HTTP
HELP = "check the address, the network and your credentials"

# Facts that show that a file has changed, under the names of the services.
STATE = (
    "size",
    "ETag",
    "etag",
    "md5Hash",
    "generation",
    "LastModified",
    "last_modified",
    "Last-Modified",
    "created",
)

PARQUET = (".parquet", ".pq", ".parq")

_fetched: set[Path] = set()
_states: dict[Path, dict[str, Any]] = {}  # of the files as they were downloaded


def local_path(given: str | Path) -> str | Path:
    """Return the path of a URL's copy; a path as it is.

    Raises OptionError for a URL that cannot be read or written.
    """
    if not isinstance(given, str) or not is_url(given):
        return given
    try:
        return copy_of(given)
    except ValueError as fault:
        raise OptionError(f"{without_secrets(given)}: {fault}") from None


def fetch(path: Path, *, again: bool = False) -> None:
    """Download what a path stands for: a file, a folder of Parquet files, or the files of a pattern.

    ``again`` checks whether files that were downloaded before have changed, as far as the service says.
    Raises FileReadError if a file cannot be downloaded.
    """
    if not is_copy(path) or (path in _fetched and not again):
        return
    with _explained(path, "read"):
        system, place = _system(path)
        if not _is_pattern(path):
            _download(system, place, system.info(place), path)
        else:
            base, pattern = _base_of(path)
            _, root = _system(base)
            system.invalidate_cache()
            found = system.glob(f"{root.rstrip('/')}/{pattern}", detail=True)
            if not found:
                raise FileNotFoundError(root)
            copies = {base / _below(name, root): name for name in sorted(found)}
            _remove_others(base.glob(pattern), set(copies))
            for copy, name in copies.items():
                _download(system, name, found[name], copy)
    _fetched.add(path)


def exists(path: Path) -> bool:
    """Return whether there is a file at the URL that a path stands for."""
    with _explained(path, "written"):
        system, place = _system(path)
        return bool(system.exists(place))


def send(path: Path) -> None:
    """Upload a finished file to the URL that its path stands for.

    The services show an object when all of it has arrived. Raises OptionError if that is not possible; the
    file is kept, and the message says where.
    """
    scheme = url_of(path).partition("://")[0]
    try:
        with _explained(path, "written"):
            system, place = _system(path)
            system.put_file(str(path), place, **({"overwrite": True} if scheme == "az" else {}))
    except InputError as fault:
        kept = Path(tempfile.mkdtemp(prefix="xrfm-kept-")) / path.name
        shutil.move(path, kept)
        raise OptionError(f"{fault}. It is kept in {kept}") from fault
    _fetched.add(path)


def check_written(path: Path) -> None:
    """Refuse a URL to which nothing can be written."""
    if is_on_web(path):
        raise OptionError(f"{path}: nothing is written over HTTP; write to s3://, gs://, az:// or a file")


def _system(path: Path) -> tuple[Any, str]:
    """Return the file system of a URL, and its name there."""
    import fsspec

    url = url_of(path)
    scheme = url.partition("://")[0]
    options: dict[str, Any] = {}
    if scheme in WEB:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)
        options = {"client_kwargs": {"timeout": timeout, "trust_env": True}}
    return fsspec.core.url_to_fs(url, **options)


def _download(system: Any, name: str, facts: dict[str, Any], copy: Path) -> None:
    """Download a file, or the Parquet files of a folder; its other files are empty copies."""
    if facts.get("type") != "directory":
        _download_file(system, name, copy)
        return
    system.invalidate_cache()
    copies = {copy / _below(below, name): below for below in sorted(system.find(name))}
    if not copies:
        raise FileNotFoundError(name)
    _remove_others(copy.rglob("*"), set(copies))
    for target, below in copies.items():
        if target.suffix.lower() in PARQUET:
            _download_file(system, below, target)
        else:  # shows table formats that keep a log
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()


def _download_file(system: Any, name: str, copy: Path) -> None:
    """Download one file, unless it is the one that was downloaded before."""
    system.invalidate_cache()
    facts = system.info(name)
    state = {key: facts.get(key) for key in STATE}
    if _states.get(copy) == state and copy.exists():
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    size, free = (number / 2**20 for number in (facts.get("size") or 0, shutil.disk_usage(copy.parent).free))
    if size > free:
        raise FileReadError(
            f"{copy}: has {size:,.0f} MiB, but the folder of temporary files has {free:,.0f} MiB left; "
            "make room, or set TMPDIR to another folder"
        )
    unfinished = copy.with_name(f".{copy.name}.part")  # the copy may be in use
    system.get_file(name, str(unfinished))
    system.invalidate_cache()
    if {key: system.info(name).get(key) for key in STATE} != state:
        raise FileReadError(f"{copy}: has changed while it was read; read it when it is complete")
    moment = _moment(facts)
    if moment is not None:  # the date of a model is that of its file
        os.utime(unfinished, (moment.timestamp(), moment.timestamp()))
    unfinished.replace(copy)
    _states[copy] = state


def _remove_others(files: Iterable[Path], kept: set[Path]) -> None:
    """Remove copies of files that are no longer there."""
    for file in list(files):
        if file.is_file() and file not in kept:
            file.unlink()


def _moment(facts: dict[str, Any]) -> datetime | None:
    """Return when a file was written, according to the service."""
    for name in ("LastModified", "last_modified", "mtime", "updated", "modified", "Last-Modified", "created"):
        value = facts.get(name)
        try:
            if isinstance(value, str):
                value = parsedate_to_datetime(value) if "," in value else datetime.fromisoformat(value)
        except ValueError:
            continue
        if isinstance(value, datetime):
            return value
    return None


def _is_pattern(path: Path) -> bool:
    """Return whether a URL is a pattern; marks in a web address are part of it."""
    url = url_of(path)
    return url.partition("://")[0] not in WEB and any(mark in url for mark in WILDCARDS)


def _base_of(path: Path) -> tuple[Path, str]:
    """Return the folder above the first wildcard, and the pattern below it."""
    first = next(number for number, part in enumerate(path.parts) if any(mark in part for mark in WILDCARDS))
    return Path(*path.parts[:first]), "/".join(path.parts[first:])


def _below(name: str, root: str) -> str:
    return name.removeprefix(root.rstrip("/")).lstrip("/")


@contextmanager
def _explained(path: Path, deed: str) -> Iterator[None]:
    """Turn every fault of a service into one line."""
    kind = FileReadError if deed == "read" else OptionError
    try:
        yield
    except InputError:
        raise
    except ImportError as fault:
        package = PACKAGES[url_of(path).partition("://")[0]]
        raise kind(f"{path}: needs {fault.name or package}: pip install 'xrfm-cli[cloud]'") from None
    except Exception as fault:  # noqa: BLE001 - each service has exceptions of its own
        cause = fault.__cause__ if isinstance(fault, FileNotFoundError) and fault.__cause__ else fault
        raise kind(f"{path}: {_reason(cause, deed)}") from None


def _reason(fault: BaseException, deed: str) -> str:
    """Say what went wrong and how to fix it, without the secret parts of an address."""
    status = getattr(fault, "status", None)
    if isinstance(fault, FileNotFoundError) or status in ABSENT:
        return "there is no such file; check the address"
    if isinstance(fault, PermissionError) or status in DENIED:
        return f"cannot be {deed}: access is denied; check your credentials"
    text = without_secrets(with_urls(" ".join(str(fault).split()))) or type(fault).__name__
    told = f"the server answered {status}" if isinstance(status, int) else text
    return f"cannot be {deed} ({told}); {HELP}"
