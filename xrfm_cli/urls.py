"""URLs of tables and models, and the local copies that stand for them.

Each URL has a path in a temporary folder: ``s3://bucket/sales/may.csv`` is ``<folder>/0/sales/may.csv``,
where 0 is the first place that the process was given. So the rest of the program sees paths only, and a name
beside a file is a URL beside its URL. :mod:`xrfm_cli.remote` copies files between the two.

Passwords and queries stay here: :func:`with_urls` spells paths of copies as URLs without them.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
PACKAGES = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "az": "adlfs",
    "https": "aiohttp",
    "http": "aiohttp",
    "memory": "fsspec",
}
OTHER_NAMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}
WEB = ("http", "https")  # read only
MASK = "***"

_places: list[str] = []  # scheme and host or bucket, by the name of their folder
_full: dict[Path, str] = {}  # URLs as they were given, if they have a password or a query
_folder: Path | None = None


def is_url(text: str) -> bool:
    """Return whether a text is a URL and no path that exists.

    >>> is_url("s3://bucket/cars.csv"), is_url("cars.csv"), is_url("C:/cars.csv")
    (True, False, False)
    """
    return ADDRESS.match(text) is not None and not Path(text).exists()


def copy_of(url: str) -> Path:
    """Return the path of the local copy of a URL; nothing is copied.

    Raises ValueError with the reason for a URL that cannot be read or written.
    """
    parts = urlsplit(url)
    scheme = OTHER_NAMES.get(parts.scheme.lower(), parts.scheme.lower())
    if scheme == "file":
        raise ValueError("is a file of this machine; give its path")
    if scheme not in PACKAGES:
        known = ", ".join(f"{name}://" for name in PACKAGES if name != "memory")
        raise ValueError(f"has the scheme {scheme}://, which is not known; there are {known}")
    is_web = scheme in WEB
    path = parts.path if is_web else url.partition("://")[2].partition("/")[2]
    host = parts.netloc.rpartition("@")[2]
    names = path.strip("/").split("/")
    if not host or names == [""]:
        raise ValueError("names no file; write it as s3://bucket/name or https://host/name")
    if any(name in ("", ".", "..") for name in names):
        raise ValueError("has a folder without a name, or one that is . or ..; give the plain address")
    place = f"{scheme}://{host.lower() if is_web else host}"
    if place not in _places:
        _places.append(place)
    copy = _copies() / str(_places.index(place)) / Path(*names)
    if is_web and (parts.query or "@" in parts.netloc) and _full.setdefault(copy, url) != url:
        raise ValueError("differs from another URL only in its query or password; download one of them")
    return copy


def is_copy(path: Path) -> bool:
    """Return whether a path stands for a URL."""
    return _folder is not None and path.is_relative_to(_folder)


def is_on_web(path: Path) -> bool:
    """Return whether a path stands for an address that is only read."""
    return is_copy(path) and url_of(path).partition("://")[0] in WEB


def url_of(path: Path) -> str:
    """Return the URL that a path stands for, with its password and query."""
    return _full.get(path) or with_urls(str(path))


def with_urls(text: str) -> str:
    """Spell paths of copies as their URLs, without passwords and queries."""
    if _folder is None or str(_folder) not in text:
        return text
    found = re.compile(rf"{re.escape(str(_folder))}[/\\](\d+)([/\\]?)")
    return found.sub(lambda hit: _places[int(hit[1])] + hit[2].replace("\\", "/"), text)


def without_secrets(text: str) -> str:
    """Mask the passwords and queries of all URLs in a text, as services name them in their errors.

    >>> without_secrets("404, url='https://me:word@host/cars.csv?key=1'")
    "404, url='https://***@host/cars.csv?***'"
    """
    text = re.sub(r"(://)[^/\s@'\"]+@", rf"\1{MASK}@", text)
    return re.sub(r"(://[^\s?'\"]*\?)[^\s'\")]+", rf"\1{MASK}", text)


def link_of(path: Path) -> str:
    """Return the URL that opens a path with a click."""
    return with_urls(str(path)) if is_copy(path) else path.absolute().as_uri()


def _copies() -> Path:
    """Return the folder of all copies, which is deleted when the process ends."""
    global _folder
    if _folder is None:
        _folder = Path(tempfile.mkdtemp(prefix="xrfm-"))
        atexit.register(_delete, _folder, os.getpid())
    return _folder


def _delete(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process shares the folder
        shutil.rmtree(folder, ignore_errors=True)
