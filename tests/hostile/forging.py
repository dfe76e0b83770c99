"""Forged model files: one change with correct hashes, and a check of how the commands react."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.conftest import Outcome, run_here
from tests.models.make import flats

Place = tuple[Any, ...]
LONG = 3  # of a longer list only the first and the last entry are changed
VALUES: dict[str, Any] = {
    "null": None,
    "empty": "",
    "text": "x\x1b[31m\u202ey",
    "true": True,
    "minus one": -1,
    "zero": 0,
    "half": 0.5,
    "large": 1e300,
    "small": -5e-324,
    "whole": 2**62,
    "beyond 64 bits": 10**400,
    "not a number": float("nan"),
    "infinite": float("-inf"),
    "list": [],
    "object": {},
    "nested": [[{"a": [None]}]],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """A manifest with one place changed."""

    place: Place
    change: str
    manifest: dict[str, Any]

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.place))}: {self.change}"


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Return every place in a JSON document except its root; of long lists, the first and the last."""
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value))) if len(value) <= LONG else [0, len(value) - 1]
    else:
        return
    for key in keys:
        yield (*at, key)
        yield from places(value[key], (*at, key))


def forgeries(manifest: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Return every change at every place, by name."""
    for place in places(manifest):
        if place[0] != "sha256":
            for change in (*VALUES, "removed", "swapped", "twice", "negated"):
                yield place, change


def forge(manifest: dict[str, Any], place: Place, change: str) -> Forgery:
    """Return the manifest with this change."""
    document = copy.deepcopy(manifest)
    holder: Any = document
    for key in place[:-1]:
        holder = holder[key]
    key = place[-1]
    if change == "removed":
        del holder[key]
    elif change == "twice" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif change == "twice":
        holder[f"{key}2"] = holder[key]
    elif change == "swapped":
        others = list(holder) if isinstance(holder, dict) else range(len(holder))
        other = others[(list(others).index(key) + 1) % len(others)]
        holder[key], holder[other] = holder[other], holder[key]
    elif change == "negated":
        value = holder[key]
        holder[key] = -value if type(value) in (int, float) else [value]
    else:
        holder[key] = copy.deepcopy(VALUES[change])
    return Forgery(place=place, change=change, manifest=document)


def forged_tensors(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Return tensors with one changed (shape, type, name, bytes) or left out."""
    length = struct.unpack("<Q", blob[:8])[0]
    header, data = json.loads(blob[8 : 8 + length]), blob[8 + length :]
    changes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "transposed": lambda facts: facts | {"shape": facts["shape"][::-1]},
        "flat": lambda facts: facts | {"shape": [_product(facts["shape"])]},
        "a column": lambda facts: facts | {"shape": [_product(facts["shape"]), 1]},
        "a row": lambda facts: facts | {"shape": [1, _product(facts["shape"])]},
        "whole numbers": lambda facts: _retyped(facts, "I64"),
        "wide": lambda facts: _retyped(facts, "F64"),
        "narrow": lambda facts: _retyped(facts, "F32"),
        "terabytes": lambda facts: facts | {"shape": [1 << 40, 1]},
    }
    for name, facts in header.items():
        for change, act in changes.items():
            yield f"{name}: {change}", _blob(header | {name: act(facts)}, data)
        yield f"{name}: renamed", _blob({(n if n != name else f"{n}.x"): f for n, f in header.items()}, data)
        start, stop = facts["data_offsets"]
        size, code = (8, "d") if facts["dtype"] == "F64" else (4, "f")
        for value in (float("nan"), float("inf"), 3e38, -1.0, 0.0):
            changed = struct.pack(f"<{code}", value)
            yield f"{name}: {value}", _blob(header, data[:start] + changed + data[start + size :])
            filled = changed * ((stop - start) // size)
            yield f"{name}: all {value}", _blob(header, data[:start] + filled + data[stop:])


def _product(shape: list[int]) -> int:
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def _retyped(facts: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Reinterpret the bytes as another type, with as many numbers as fit."""
    start, stop = facts["data_offsets"]
    return {
        "dtype": dtype,
        "shape": [(stop - start) // (4 if dtype == "F32" else 8)],
        "data_offsets": [start, stop],
    }


def _blob(header: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


class Victim:
    """A folder with a table of 30 rows, in which the commands run on one model after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        flats(30, seed=3).to_csv(folder / "rows.csv", index=False)

    def statuses(self, content: bytes) -> dict[str, Outcome]:
        """Return the outcome of each command; only of ``info`` if it refuses the model, as the others do."""
        (self.folder / "m.xrfm").write_bytes(content)
        found = {"info": self.run("info")}
        if found["info"].status == 0:
            found["predict"] = self.run("predict", "rows.csv", "--output", "out.csv", "--check-drift", "9")
            found["evaluate"] = self.run("evaluate", "rows.csv")
            found["explain"] = self.run("explain", "--rows", "20")
        return found

    def run(self, command: str, *arguments: str) -> Outcome:
        """Run one command on the model."""
        return run_here(command, *arguments, "--model", "m.xrfm", folder=self.folder)


def faults(victim: Victim, content: bytes) -> dict[str, str]:
    """Return the commands that ended wrongly, and why: they need status 0, or 2 with one line."""
    found = {}
    for command, outcome in victim.statuses(content).items():
        lines = outcome.err.splitlines()
        if outcome.status not in (0, 2):
            found[command] = f"status {outcome.status}: {lines[-1] if lines else ''}"
        elif outcome.status == 2 and not ("m.xrfm" in lines[-1] and lines[-1].isprintable()):
            found[command] = f"no clear line: {lines[-1]!r}"
    return found
