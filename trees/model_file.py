"""The model file: a ZIP container of ``manifest.json`` and ``tensors.safetensors``. No pickle, no code."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from xrfm_cli.datasets.errors import InputError, ModelFileError

FORMAT_VERSION = 1
MANIFEST, TENSORS = "manifest.json", "tensors.safetensors"
MAX_MANIFEST_BYTES = 256 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed date for the container's members: equal models are equal bytes


def write_model_file(path: Path, manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write atomically: to a temporary file in the same folder, which is then renamed.

    ``manifest`` is JSON-able; ``tensors`` may be on any device. The manifest carries the SHA-256 of both
    members, its own taken over its canonical text without that entry, so that an altered
    manifest is noticed too.
    """
    blob = save_tensors({name: tensors[name].detach().cpu().contiguous().clone() for name in sorted(tensors)})
    document = {"format_version": FORMAT_VERSION, **manifest, "sha256": {TENSORS: _digest(blob)}}
    document["sha256"][MANIFEST] = _digest(_canonical(document))
    text = _canonical(document)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as fault:
        raise InputError(
            f"{path}: cannot be written ({fault.strerror}). Name another place with --model."
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as container:
                for name, content in ((MANIFEST, text), (TENSORS, blob)):
                    container.writestr(zipfile.ZipInfo(name, _EPOCH), content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except OSError as fault:
        raise InputError(
            f"{path}: cannot be written ({fault.strerror}). Free space or use --model."
        ) from None
    finally:
        Path(temporary).unlink(missing_ok=True)


def read_model_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read and verify a model file; ``(manifest, tensors)``.

    Raises ModelFileError, in one line, for a file that is absent, truncated, altered, of an unknown
    version or no model file at all.
    """
    if not path.is_file():
        raise ModelFileError(
            f"{path}: no such model file. Fit one with: xrfm fit DATA --target COLUMN --model {path}"
        )
    try:
        with zipfile.ZipFile(path) as container:
            members = {info.filename: info for info in container.infolist()}
            if len(container.infolist()) != 2 or set(members) != {MANIFEST, TENSORS}:
                raise _refused(path, "is not a model file")
            if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
                raise _refused(path, "has a compressed member, which no model file has")
            if any(info.file_size > path.stat().st_size for info in members.values()):
                raise _refused(path, "claims to be larger than it is")
            if members[MANIFEST].file_size > MAX_MANIFEST_BYTES:
                raise _refused(path, "has a manifest of unreasonable size")
            text, blob = container.read(MANIFEST), container.read(TENSORS)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, NotImplementedError) as fault:
        raise _refused(path, f"is truncated or not a model file ({fault})") from None
    manifest = _manifest(path, text)
    hashes = manifest.get("sha256")
    own = hashes.pop(MANIFEST, None) if isinstance(hashes, dict) else None
    if hashes != {TENSORS: _digest(blob)} or own != _digest(_canonical(manifest)):
        raise _refused(path, "was altered or damaged: its hashes do not match")
    return manifest, _tensors(path, blob)


def _manifest(path: Path, text: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused(path, "has a manifest that is not JSON") from None
    if not isinstance(manifest, dict):
        raise _refused(path, "has a manifest that is not a JSON object")
    version = manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: has format version {version!r}, but this program reads {FORMAT_VERSION}. "
            "Use the version of xrfm that wrote it, or fit again."
        )
    return manifest


def _tensors(path: Path, blob: bytes) -> dict[str, Tensor]:
    try:
        tensors = load_tensors(blob)
    except (SafetensorError, ValueError, KeyError) as fault:
        raise _refused(path, f"has unreadable tensors ({fault})") from None
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise _refused(path, f"has values that are not finite in tensor '{name}'")
    return tensors


def _refused(path: Path, fact: str) -> ModelFileError:
    return ModelFileError(
        f"{path}: {fact}. Copy the file again or fit again with: xrfm fit DATA --target COLUMN"
    )


def _canonical(document: Mapping[str, Any]) -> bytes:
    """One text for one document, the same after reading it back."""
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
