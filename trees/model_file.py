"""The model file: a ZIP container of ``manifest.json`` and ``tensors.safetensors``. No pickle, no code.

torch is imported only when tensors are written or read, so reading the manifest is fast.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from xrfm_cli.errors import InputError, ModelFileError, why_absent
from xrfm_cli.files import open_whole
from xrfm_cli.mentions import option
from xrfm_cli.printable import printable
from xrfm_cli.trees.tensor_header import MAX_HEADER_BYTES, read_header
from xrfm_cli.trees.zip_layout import layout_fault

if TYPE_CHECKING:
    from torch import Tensor

    from xrfm_cli.trees.stored_leaves import StoredTensor

FORMAT_VERSION = 2  # 2 added a floor of its own for each calibration
PACKED_VERSION = 3  # 3 added numbers of 16 bits; files without them stay at 2
READABLE_VERSIONS = (1, 2, 3)
MANIFEST, TENSORS = "manifest.json", "tensors.safetensors"
PIECE_BYTES = 1 << 20  # read at a time
MAX_MANIFEST_BYTES = 256 << 20
MOST_SHOWN = 60  # characters of a value in a message
WHOLE_NUMBERS = range(
    -(2**63), 2**63
)  # the range that other programs can read, and that numpy and torch hold
# Raised when a container's bytes cannot be read.
_BROKEN = (
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
)
_EPOCH = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # a fixed date for the container's members, so that equal models are equal bytes


def write_model_file(path: Path, manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a model file, which appears whole or not at all.

    ``manifest`` is JSON-able; ``tensors`` may be on any device. The manifest carries the SHA-256 of both
    members. Its own hash is taken of its canonical text without that entry, so that an altered manifest is
    detected too.
    """
    from xrfm_cli.trees.tensor_bytes import tensor_pieces

    digest, size, header_bytes = hashlib.sha256(), 0, 0
    for piece in tensor_pieces(tensors):
        digest.update(piece)
        header_bytes = header_bytes or len(piece)
        size += len(piece)
    version = PACKED_VERSION if any(tensor.itemsize == 2 for tensor in tensors.values()) else FORMAT_VERSION
    document = {"format_version": version, **manifest, "sha256": {TENSORS: digest.hexdigest()}}
    document["sha256"][MANIFEST] = _digest(_canonical(document))
    text = _canonical(document)
    _check_readable(path, text, header_bytes)
    with open_whole(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as container:
        container.writestr(zipfile.ZipInfo(MANIFEST, _EPOCH), text)
        info = zipfile.ZipInfo(TENSORS, _EPOCH)
        info.file_size = size  # decides the header's form before the bytes are known
        with container.open(info, "w") as member:
            for piece in tensor_pieces(tensors):
                member.write(piece)


def _check_readable(path: Path, text: bytes, header_bytes: int) -> None:
    """Refuse to write a file that is too large to be read again."""
    if len(text) > MAX_MANIFEST_BYTES or header_bytes > MAX_HEADER_BYTES:
        raise InputError(
            f"{path}: cannot be written (a manifest of {len(text):,} bytes is too large). "
            f"Leave out columns of very many levels with {option('drop')}, "
            f"or make leaves larger with {option('set', {'leaf_size': 'N'})}."
        )


def read_model_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read and verify a model file; return ``(manifest, tensors)``.

    Raises a one-line ModelFileError for a file that is absent, truncated, altered, of an unknown version or
    no model file at all. The manifest is JSON as the program writes it; its fields are not checked here.
    """
    manifest, stream, size = _open_verified(path)
    with stream, _explained(path):
        begin = stream.tell()
        _header(path, stream, size)
        stream.seek(begin)
        blob = stream.read(size)
    return manifest, _tensors(path, blob)


def read_manifest(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Read and verify a model file as `read_model_file` does, with the tensors' shapes instead of tensors."""
    manifest, stream, size = _open_verified(path)
    with stream, _explained(path):
        header = _header(path, stream, size)
    return manifest, {name: tuple(facts["shape"]) for name, facts in header.items()}


def open_model_file(path: Path, *, cache_bytes: int) -> tuple[dict[str, Any], dict[str, StoredTensor]]:
    """Verify a model file as `read_model_file` does, but leave its tensors in the file.

    Those of leaves, which are read when rows need them, share a cache of ``cache_bytes``.
    """
    from xrfm_cli.trees.stored_leaves import TensorFile, stored_tensors

    manifest, stream, size = _open_verified(path)
    with stream, _explained(path):
        end = stream.tell() + size
        header = _header(path, stream, size)
        begin = stream.tell()
        file = TensorFile(path, os.dup(stream.fileno()), cache_bytes=cache_bytes)
    try:
        return manifest, stored_tensors(file, header, begin, end)
    except (LookupError, TypeError, ValueError) as fault:
        raise _refused(path, f"has unreadable tensors ({fault})") from None


def _open_verified(path: Path) -> tuple[dict[str, Any], BinaryIO, int]:
    """Return the manifest, the file at the beginning of its tensors, and their size; checks both hashes."""
    check_is_file(path)
    with ExitStack() as opened:
        with _explained(path):
            stream = opened.enter_context(path.open("rb"))
            text, manifest, begin, size, digest = _members(path, stream)
            stream.seek(begin)
        hashes = manifest.get("sha256")
        if not isinstance(hashes, dict) or set(hashes) != {MANIFEST, TENSORS}:
            raise _refused(path, "was altered or damaged: it has no hashes of its members")
        own = hashes[MANIFEST]
        # The manifest's hash is that of its text without the line with the hash.
        hashed = text.replace(f'  "{MANIFEST}": "{own}",\n'.encode(errors="replace"), b"", 1)
        if hashes[TENSORS] != digest or own != _digest(hashed) or not _is_canonical(text, manifest):
            raise _refused(path, "was altered or damaged: its hashes do not match")
        opened.pop_all()
    return manifest, stream, size


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the errors of a container that cannot be read into one line."""
    try:
        yield
    except InputError:
        raise
    except PermissionError as fault:
        raise ModelFileError(f"{path}: cannot be read ({fault.strerror}). Check its permissions.") from None
    except _BROKEN as fault:
        reason = str(fault) or type(fault).__name__
        raise _refused(path, f"is truncated or not a model file ({reason})") from None


def check_is_file(path: Path) -> None:
    """Raise ModelFileError if there is no such file."""
    if not path.is_file():
        why = "." if path.exists() else why_absent(path)
        raise ModelFileError(
            f"{path}: no such model file{why} Fit one with: xrfm fit DATA --target COLUMN --model {path}"
        )


def _members(path: Path, stream: BinaryIO) -> tuple[bytes, dict[str, Any], int, int, str]:
    """Return the manifest as text and parsed, and place, size and hash of the tensors; checks the version."""
    with zipfile.ZipFile(stream) as container:
        size = path.stat().st_size
        text = container.read(_member(path, container, MANIFEST, size, at_most=MAX_MANIFEST_BYTES))
        manifest = _manifest(path, text)
        if [info.filename for info in container.infolist()] != [MANIFEST, TENSORS]:
            raise _refused(path, "has members that no model file has")
        fault = layout_fault(stream, container, size=size)
        if fault:
            raise _refused(path, fault)
        info, digest = _member(path, container, TENSORS, size), hashlib.sha256()
        with container.open(info) as member:
            while block := member.read(PIECE_BYTES):
                digest.update(block)
        begin = container.start_dir - info.file_size  # it is the last member
        return text, manifest, begin, info.file_size, digest.hexdigest()


def _member(
    path: Path, container: zipfile.ZipFile, name: str, size: int, *, at_most: int | None = None
) -> zipfile.ZipInfo:
    """Return a member, which must be there once and must not be larger than the file."""
    found = [info for info in container.infolist() if info.filename == name]
    if len(found) != 1:
        raise _refused(path, f"is not a model file: it has {len(found) or 'no'} '{name}'")
    info = found[0]
    if [other.header_offset for other in container.infolist()].count(info.header_offset) > 1:
        raise _refused(path, "has members that overlap")  # from Python 3.14, reading one would warn
    if info.compress_type != zipfile.ZIP_STORED:
        raise _refused(path, "has a compressed member, which no model file has")
    if info.file_size > size:
        raise _refused(path, "claims to be larger than it is")
    if at_most is not None and info.file_size > at_most:
        raise _refused(path, f"has a '{name}' of unreasonable size")
    return info


def _manifest(path: Path, text: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(text, parse_int=_whole_number, parse_constant=_no_number)
    except (ValueError, RecursionError) as fault:
        reason = str(fault) if isinstance(fault, ValueError) else "it is nested too deeply"
        raise _refused(path, f"has a manifest that is not JSON ({reason})") from None
    if not isinstance(manifest, dict):
        raise _refused(path, "has a manifest that is not a JSON object")
    version = manifest.get("format_version")
    if type(version) is not int or version not in READABLE_VERSIONS:
        raise ModelFileError(
            f"{path}: has format version {_shortened(repr(version))}, but this program reads "
            f"{READABLE_VERSIONS[0]} to {READABLE_VERSIONS[-1]}. "
            "Use the version of xrfm that wrote it, or fit again."
        )
    return manifest


def _whole_number(text: str) -> int:
    value = int(text)
    if value not in WHOLE_NUMBERS:
        raise ValueError(f"{_shortened(text)} is beyond 64 bits")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _is_canonical(text: bytes, manifest: Mapping[str, Any]) -> bool:
    """Return whether the program would write this text: no duplicate name, only finite numbers."""
    try:
        return _canonical(manifest) == text
    except (ValueError, RecursionError):
        return False


def _tensors(path: Path, blob: bytes) -> dict[str, Tensor]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load as load_tensors

    try:
        tensors = load_tensors(blob)
    except (SafetensorError, AssertionError, LookupError, RuntimeError, ValueError) as error:
        raise _refused(path, f"has unreadable tensors ({error})") from None
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise _refused(path, f"has values that are not finite in tensor '{name}'")
    return tensors


def _header(path: Path, stream: BinaryIO, size: int) -> dict[str, Any]:
    try:
        return read_header(stream, size)
    except ValueError as fault:
        raise _refused(path, f"has unreadable tensors ({fault})") from None


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def _refused(path: Path, fact: str) -> ModelFileError:
    return ModelFileError(
        f"{path}: {printable(fact)}. Copy the file again or fit again with: xrfm fit DATA --target COLUMN"
    )


def _canonical(document: Mapping[str, Any]) -> bytes:
    """Return the unique text of a document, the same after reading it back."""
    compact = json.dumps(document, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return msgspec.json.format(compact.encode(), indent=1)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
