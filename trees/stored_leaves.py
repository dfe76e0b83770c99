"""Leaves that stay in the model file: each is read when rows need it, and kept as far as a cache has room."""

from __future__ import annotations

import copy
import math
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, overload

import torch
from torch import Tensor

from xrfm_cli.errors import ModelFileError
from xrfm_cli.leaf_models import LeafModel, leaf_from_state

DTYPES = {"I16": torch.int16, "F32": torch.float32, "F64": torch.float64, "I64": torch.int64}


class TensorFile:
    """An open model file whose tensors are read one by one; it stays the same if another takes its name."""

    def __init__(self, path: Path, descriptor: int, *, cache_bytes: int) -> None:
        self.path, self.cache = path, LeafCache(cache_bytes)
        self._descriptor, self._lock = descriptor, threading.Lock()
        weakref.finalize(self, os.close, descriptor)

    def read(self, place: int, size: int) -> bytearray:
        """Return ``size`` bytes from ``place`` on."""
        content = bytearray(size)
        view, done = memoryview(content), 0
        with self._lock:  # Windows has no pread
            os.lseek(self._descriptor, place, os.SEEK_SET)
            while done < size:
                block = os.read(self._descriptor, size - done)
                if not block:
                    raise ModelFileError(f"{self.path}: has become shorter while it was read. Copy it again.")
                view[done : done + len(block)] = block
                done += len(block)
        return content


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredTensor:
    """A tensor of a model file that has not been read."""

    file: TensorFile
    name: str
    kind: str  # as safetensors names types
    shape: tuple[int, ...]
    place: int  # of its first byte in the file

    @property
    def nbytes(self) -> int:
        """Return its bytes in memory, where numbers of 16 bits are unpacked."""
        return math.prod(self.shape) * max(DTYPES[self.kind].itemsize, torch.float32.itemsize)

    @property
    def outline(self) -> Tensor:
        """Return a tensor of the same type and shape, without values."""
        return torch.empty(self.shape, dtype=DTYPES[self.kind], device="meta")

    def read(self) -> Tensor:
        """Return the tensor; ModelFileError for values that are not finite."""
        count, dtype = math.prod(self.shape), DTYPES[self.kind]
        if not count:
            return torch.empty(self.shape, dtype=dtype)
        content = self.file.read(self.place, count * dtype.itemsize)
        values = torch.frombuffer(content, dtype=dtype).reshape(self.shape)
        if values.is_floating_point() and not bool(torch.isfinite(values).all()):
            raise ModelFileError(
                f"{self.file.path}: has values that are not finite in tensor '{self.name}'. Fit again."
            )
        return values


def stored_tensors(
    file: TensorFile, header: Mapping[str, Any], begin: int, end: int
) -> dict[str, StoredTensor]:
    """Return the tensors of a header, whose bytes lie between ``begin`` and ``end`` of the file.

    Raises ValueError unless they follow each other and fill their shapes, as safetensors demands.
    """
    found: dict[str, StoredTensor] = {}
    place = begin
    for name, facts in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, stop = facts["data_offsets"]
        kind, shape = facts["dtype"], tuple(facts["shape"])
        size = math.prod(shape) * DTYPES[kind].itemsize
        if begin + start != place or stop - start != size or min((0, *shape)) < 0:
            raise ValueError(f"the bytes of '{name}' do not fit its shape")
        found[name] = StoredTensor(file=file, name=name, kind=kind, shape=shape, place=place)
        place += size
    if place != end:
        raise ValueError("there are bytes that belong to no tensor")
    return found


class LeafCache:
    """Leaves in memory, up to a number of bytes.

    A block of rows visits leaves in the order of their numbers, block after block. So the leaf that was read
    last is dropped first, because the one that was read first is needed again first.

    >>> cache = LeafCache(2)
    >>> [cache.get(name, 1, str.upper, name) for name in "abcab"]
    ['A', 'B', 'C', 'A', 'B']
    >>> list(cache.kept)
    ['a', 'b']
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.used_bytes = most_bytes, 0
        self.kept: dict[Any, tuple[int, Any]] = {}

    def get(self, key: Any, size: int, read: Callable[..., Any], *arguments: Any) -> Any:
        """Return the value of a key, or read it and keep it if there is room for its bytes."""
        if key in self.kept:
            return self.kept[key][1]
        while self.kept and size <= self.most_bytes < self.used_bytes + size:
            self.used_bytes -= self.kept.popitem()[1][0]
        value = read(*arguments)
        if self.used_bytes + size <= self.most_bytes:
            self.kept[key] = size, value
            self.used_bytes += size
        return value


class StoredLeaves(Sequence[LeafModel]):
    """The leaves of a tree in a model file."""

    def __init__(
        self, facts: Sequence[Mapping[str, Any]], tensors: Sequence[Mapping[str, StoredTensor]]
    ) -> None:
        self._facts, self._tensors = tuple(facts), tuple(tensors)
        self._cache = next(iter(self._tensors[0].values())).file.cache
        self._key = object()
        self._changes: tuple[Callable[[LeafModel], LeafModel], ...] = ()
        # The leaves without the values of their tensors; building them checks that shapes fit together.
        self.outlines = tuple(
            leaf_from_state(own, {name: tensor.outline for name, tensor in stored.items()})
            for own, stored in zip(self._facts, self._tensors, strict=True)
        )

    @property
    def nbytes(self) -> int:
        """Return the bytes that all leaves would take in memory."""
        return sum(map(self._size, range(len(self))))

    def changed(self, change: Callable[[LeafModel], LeafModel], *, reshapes: bool = False) -> StoredLeaves:
        """Return the leaves with a change that is made to each after it was read."""
        other = copy.copy(self)
        other._changes = (*self._changes, change)
        if reshapes:
            other.outlines = tuple(map(change, self.outlines))
        return other

    def __len__(self) -> int:
        return len(self._facts)

    @overload
    def __getitem__(self, number: int) -> LeafModel: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[LeafModel]: ...

    def __getitem__(self, number: int | slice) -> LeafModel | Sequence[LeafModel]:
        if isinstance(number, slice):
            return [self[place] for place in range(*number.indices(len(self)))]
        place = range(len(self))[number]
        leaf: LeafModel = self._cache.get((self._key, place), self._size(place), self._read, place)
        for change in self._changes:
            leaf = change(leaf)
        return leaf

    def _read(self, place: int) -> LeafModel:
        tensors = {name: tensor.read() for name, tensor in self._tensors[place].items()}
        return leaf_from_state(self._facts[place], tensors)

    def _size(self, place: int) -> int:
        return sum(tensor.nbytes for tensor in self._tensors[place].values())


def built_leaves(
    facts: Sequence[Mapping[str, Any]], tensors: Sequence[Mapping[str, Tensor | StoredTensor]]
) -> Sequence[LeafModel]:
    """Return leaves from their facts and tensors: in the file, if that is where the tensors are."""
    if any(isinstance(tensor, StoredTensor) for own in tensors for tensor in own.values()):
        return StoredLeaves(facts, cast(Any, tensors))
    return tuple(map(leaf_from_state, facts, cast(Any, tensors)))


def changed_leaves(
    leaves: Sequence[LeafModel], change: Callable[[LeafModel], LeafModel], *, reshapes: bool = False
) -> Sequence[LeafModel]:
    """Return leaves with a change; those in a file are changed after they were read."""
    if isinstance(leaves, StoredLeaves):
        return leaves.changed(change, reshapes=reshapes)
    return tuple(map(change, leaves))


def outlines(leaves: Sequence[LeafModel]) -> Sequence[LeafModel]:
    """Return leaves for their facts and shapes alone: nothing is read from a file."""
    return leaves.outlines if isinstance(leaves, StoredLeaves) else leaves
