"""Any bytes give a consistent table or model, or one line of error. Hypothesis draws the damage."""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.fuzzing import (
    check_loader,
    check_reader,
    model_seeds,
    opened,
    sealed,
    table_seeds,
)

BITS_OF_TABLES = [
    b",",
    b"\n",
    b'"',
    b"'",
    b";",
    b"\t",
    b"\r",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"NaN",
    b"1e999",
    b"-",
]
ENDINGS = sorted(table_seeds())
MODELS = model_seeds()


def drawn(examples: int) -> settings:
    """Limit the examples, the same in every run; ``benchmarks/fuzz`` runs longer."""
    unchecked = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)
    return settings(max_examples=examples, derandomize=True, suppress_health_check=unchecked)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A whole file after a few changes: bytes changed, left out, put in or repeated; or cut."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["change", "drop", "insert", "repeat", "cut"]))
        if kind == "change" and place < len(data):
            data[place] = draw(st.integers(0, 255))
        elif kind == "drop":
            del data[place : place + draw(st.integers(1, 12))]
        elif kind == "insert":
            data[place:place] = draw(st.sampled_from(BITS_OF_TABLES) | st.binary(max_size=8))
        elif kind == "repeat":
            data[place:place] = data[place : place + draw(st.integers(1, 40))]
        elif kind == "cut":
            del data[place:]
    return bytes(data)


@pytest.mark.parametrize("ending", ENDINGS)
def test_whole_files_are_read(ending: str, tmp_path: Path) -> None:
    table = check_reader(table_seeds()[ending], tmp_path / f"data{ending}")
    assert table is not None
    assert (table.n_rows, len(table.column_names)) == (6, 6)


@pytest.mark.parametrize("ending", ENDINGS)
@drawn(60)
@given(data=st.data())
def test_a_damaged_table_is_read_or_refused(ending: str, tmp_path: Path, data: st.DataObject) -> None:
    check_reader(data.draw(damaged(table_seeds()[ending])), tmp_path / f"data{ending}")


@drawn(150)
@given(
    text=st.text(st.sampled_from(",;\t|\n\r\"' .-+0123456789eEaäß\ufeff\u2028\x00/:T%€NaN")),
    tail=st.booleans(),
)
def test_any_text_is_read_or_refused(tmp_path: Path, text: str, tail: bool) -> None:
    check_reader((text + "\n1,2\n" * tail).encode(), tmp_path / "data.csv")


@drawn(80)
@given(content=st.binary(max_size=300), ending=st.sampled_from(ENDINGS), headed=st.booleans())
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes, ending: str, headed: bool) -> None:
    head = table_seeds()[ending][:24] if headed else b""
    check_reader(head + content, tmp_path / f"data{ending}")


@drawn(80)
@given(data=st.data())
def test_a_damaged_model_is_refused_or_whole(tmp_path: Path, data: st.DataObject) -> None:
    check_loader(data.draw(damaged(data.draw(st.sampled_from(MODELS)))), tmp_path / "m.xrfm")


@drawn(80)
@given(content=st.binary(max_size=300), headed=st.booleans())
def test_any_bytes_are_no_model(tmp_path: Path, content: bytes, headed: bool) -> None:
    assert check_loader((b"PK\x03\x04" if headed else b"") + content, tmp_path / "m.xrfm") is None


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON document."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*at, key))


OPENED = [opened(model) for model in MODELS]
PLACES = [[place for place in places(manifest) if place and place[0] != "sha256"] for manifest, _ in OPENED]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.slow
@drawn(150)
@given(data=st.data())
def test_a_forged_manifest_is_refused_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(OPENED) - 1))
    manifest, blob = copy.deepcopy(OPENED[number][0]), OPENED[number][1]
    *way, last = data.draw(st.sampled_from(PLACES[number]))
    inner: Any = manifest
    for key in way:
        inner = inner[key]
    if data.draw(st.booleans()):
        inner[last] = data.draw(VALUES)
    else:
        inner.pop(last)
    check_loader(sealed(manifest, blob), tmp_path / "m.xrfm")


@drawn(100)
@given(data=st.data())
def test_forged_tensors_are_refused_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    manifest, blob = data.draw(st.sampled_from(OPENED))
    length = 8 + struct.unpack("<Q", blob[:8])[0]
    header, values = blob[8:length], bytearray(blob[length:])
    if data.draw(st.booleans()):
        header = data.draw(damaged(header))
    for _ in range(data.draw(st.integers(0, 3))):  # numbers of any size, infinities too
        place = data.draw(st.integers(0, len(values) // 4 - 1)) * 4
        values[place : place + 4] = data.draw(st.binary(min_size=4, max_size=4))
    check_loader(
        sealed(manifest, struct.pack("<Q", len(header)) + header + bytes(values)), tmp_path / "m.xrfm"
    )
