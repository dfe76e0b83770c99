"""The model file: a ZIP container of ``manifest.json`` and ``tensors.safetensors``. No pickle, no code.

torch is imported only when tensors are written or read, so that the manifest is read at once.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from xrfm_cli.errors import InputError, ModelFileError, why_absent
from xrfm_cli.files import open_whole
from xrfm_cli.mentions import option
from xrfm_cli.printable import printable
from xrfm_cli.trees.zip_layout import layout_fault

if TYPE_CHECKING:
    from torch import Tensor

FORMAT_VERSION = 2  # 2 added a floor of its own for each calibration
READABLE_VERSIONS = (1, 2)
MANIFEST, TENSORS = "manifest.json", "tensors.safetensors"
MAX_MANIFEST_BYTES = 256 << 20
MAX_HEADER_BYTES = 100_000_000  # of the tensors' names, types and shapes; safetensors has the same limit
TYPES = ("F32", "F64", "I64")
MAX_SIDES = 2  # dimensions of a tensor: a vector or a matrix
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
    document = {"format_version": FORMAT_VERSION, **manifest, "sha256": {TENSORS: digest.hexdigest()}}
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
    """Refuse to write what is too large to be read again."""
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
    manifest, blob = _read_members(path)
    _header(path, blob)
    return manifest, _tensors(path, blob)


def read_manifest(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Read and verify a model file as `read_model_file` does, with the tensors' shapes instead of tensors."""
    manifest, blob = _read_members(path)
    header = _header(path, blob)
    shapes = {name: tuple(facts["shape"]) for name, facts in header.items() if name != "__metadata__"}
    return manifest, shapes


def _read_members(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the manifest and the tensors' bytes; checks both hashes."""
    check_is_file(path)
    try:
        with path.open("rb") as stream:
            text, manifest, blob = _members(path, stream)
    except PermissionError as fault:
        raise ModelFileError(f"{path}: cannot be read ({fault.strerror}). Check its permissions.") from None
    except _BROKEN as fault:
        reason = str(fault) or type(fault).__name__
        raise _refused(path, f"is truncated or not a model file ({reason})") from None
    hashes = manifest.get("sha256")
    if not isinstance(hashes, dict) or set(hashes) != {MANIFEST, TENSORS}:
        raise _refused(path, "was altered or damaged: it has no hashes of its members")
    own = hashes[MANIFEST]
    # The manifest's hash is that of its text without the line with the hash.
    hashed = text.replace(f'  "{MANIFEST}": "{own}",\n'.encode(errors="replace"), b"", 1)
    if hashes[TENSORS] != _digest(blob) or own != _digest(hashed) or not _is_canonical(text, manifest):
        raise _refused(path, "was altered or damaged: its hashes do not match")
    return manifest, blob


def check_is_file(path: Path) -> None:
    """Raise ModelFileError if there is no such file."""
    if not path.is_file():
        why = "." if path.exists() else why_absent(path)
        raise ModelFileError(
            f"{path}: no such model file{why} Fit one with: xrfm fit DATA --target COLUMN --model {path}"
        )


def _members(path: Path, stream: BinaryIO) -> tuple[bytes, dict[str, Any], bytes]:
    """Return the manifest as text and parsed, and the tensors' bytes; checks the version but no hashes."""
    with zipfile.ZipFile(stream) as container:
        size = path.stat().st_size
        text = _stored(path, container, MANIFEST, size, at_most=MAX_MANIFEST_BYTES)
        manifest = _manifest(path, text)
        if [info.filename for info in container.infolist()] != [MANIFEST, TENSORS]:
            raise _refused(path, "has members that no model file has")
        fault = layout_fault(stream, container, size=size)
        if fault:
            raise _refused(path, fault)
        return text, manifest, _stored(path, container, TENSORS, size)


def _stored(
    path: Path, container: zipfile.ZipFile, name: str, size: int, *, at_most: int | None = None
) -> bytes:
    """Read a member, which must be there once and must not be larger than the file."""
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
    return container.read(name)


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
            f"{' and '.join(map(str, READABLE_VERSIONS))}. "
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


def _header(path: Path, blob: bytes) -> dict[str, Any]:
    """Return the types and shapes of the tensors by name, checked before memory is allocated."""
    length = int.from_bytes(blob[:8], "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, len(blob) - 8):
        raise _refused(path, f"has unreadable tensors (a header of {length:,} bytes)")
    try:
        header = json.loads(blob[8 : 8 + length])
    except (RecursionError, ValueError):
        header = None
    fault = _header_fault(header, len(blob))
    if fault:
        raise _refused(path, f"has unreadable tensors ({fault})")
    return dict(header)


def _header_fault(header: Any, size: int) -> str | None:
    """Return what is wrong with the header; safetensors checks that the shapes agree with the bytes."""
    try:
        for name, facts in header.items():
            shape = facts["shape"]
            if facts["dtype"] not in TYPES:
                return f"tensor '{name}' has the type {facts['dtype']!r}"
            if len(shape) > MAX_SIDES or any(type(side) is not int or side > size for side in shape):
                return f"tensor '{name}' has the shape {shape!r}"
    except (AttributeError, LookupError, TypeError, ValueError):
        return "a header that describes no tensors"
    return None


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
