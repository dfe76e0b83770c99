"""What an attacker or a bad disk can do to a model file: refused in one line, or without any effect."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from xrfm_cli.errors import ModelFileError
from xrfm_cli.trees import open_model_file, read_model_file, write_model_file

MANIFEST, TENSORS = "manifest.json", "tensors.safetensors"
KEPT = sorted((Path(__file__).parents[1] / "models").glob("*/*.xrfm"))
SMALLEST = min(KEPT, key=lambda path: path.stat().st_size)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A real model that a test may damage."""
    file = tmp_path / "model.xrfm"
    file.write_bytes(SMALLEST.read_bytes())
    return file


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as error:
        read_model_file(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable(), text
    return text


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as container:
        return {name: container.read(name) for name in container.namelist()}


def archive(contents: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as container:
        for name, content in contents:
            container.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()


def canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()


def sealed(manifest: dict[str, Any], blob: bytes) -> bytes:
    """A file whose hashes are right: an attacker can compute them too."""
    document = {**manifest, "sha256": {TENSORS: hashlib.sha256(blob).hexdigest()}}
    document["sha256"][MANIFEST] = hashlib.sha256(canonical(document)).hexdigest()
    return archive([(MANIFEST, canonical(document)), (TENSORS, blob)])


def blob_of(header: dict[str, Any] | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def manifest_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(members(path)[MANIFEST])
    return found


# Damage.


def test_a_file_cut_anywhere_is_refused(path: Path) -> None:
    for size in range(path.stat().st_size - 1, -1, -1):
        os.truncate(path, size)
        with pytest.raises(ModelFileError):
            read_model_file(path)


def container_bytes(content: bytes) -> Iterator[int]:
    """Return the positions of bytes outside members: local headers, the directory and its end."""
    with zipfile.ZipFile(io.BytesIO(content)) as container:
        for info in container.infolist():
            yield from range(info.header_offset, info.header_offset + 30 + len(info.filename))
        yield from range(container.start_dir, len(content))


@pytest.mark.slow
def test_a_flipped_bit_of_the_container_is_refused_or_without_effect(path: Path) -> None:
    intact = path.read_bytes()
    places = list(container_bytes(intact))
    assert len(places) > 200
    flips = [(place, 1 << bit) for place in places for bit in range(8)]
    assert 0 < changes_without_effect(path, intact, flips) < len(flips)  # dates and such, which nothing reads


def test_a_flipped_bit_of_a_member_is_refused(path: Path) -> None:
    intact = path.read_bytes()
    outside = set(container_bytes(intact))
    flips = [(place, 1 << place % 8) for place in range(0, len(intact), 13) if place not in outside]
    assert changes_without_effect(path, intact, flips) == 0


def changes_without_effect(path: Path, intact: bytes, flips: list[tuple[int, int]]) -> int:
    """How many flips are not refused; what they leave must be the model, to the last bit."""
    manifest, tensors = read_model_file(path)
    harmless = 0
    for place, mask in flips:
        content = bytearray(intact)
        content[place] ^= mask
        path.write_bytes(bytes(content))
        try:
            found, stored = read_model_file(path)
        except ModelFileError:
            continue
        harmless += 1
        assert found == manifest, place
        assert {n: as_bytes(t) for n, t in stored.items()} == {n: as_bytes(t) for n, t in tensors.items()}
    return harmless


def as_bytes(tensor: Tensor) -> bytes:
    return tensor.numpy().tobytes()


# Members.


def test_members_of_two_models_do_not_go_together(path: Path) -> None:
    own = members(path)
    # The same model of another release may have the same tensors.
    others = [other for other in map(members, KEPT) if other[TENSORS] != own[TENSORS]]
    assert others
    for other in others:
        for pair in ((own[MANIFEST], other[TENSORS]), (other[MANIFEST], own[TENSORS])):
            path.write_bytes(archive([(MANIFEST, pair[0]), (TENSORS, pair[1])]))
            assert "hashes" in refusal(path)
    path.write_bytes(archive([(MANIFEST, own[TENSORS]), (TENSORS, own[MANIFEST])]))
    assert "manifest" in refusal(path)


@pytest.mark.parametrize("name", ["../escape", "/tmp/escape", "..\\escape", "a/../../escape", ""])
def test_a_path_out_of_the_container_is_refused_and_nothing_is_written(path: Path, name: str) -> None:
    own = members(path)
    for contents in (
        [*own.items(), (name, b"x")],
        [(name + MANIFEST if name else "./" + MANIFEST, own[MANIFEST]), (TENSORS, own[TENSORS])],
    ):
        path.write_bytes(archive(contents))
        refusal(path)
    assert [file.name for file in path.parent.iterdir()] == ["model.xrfm"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", [MANIFEST, TENSORS])
def test_a_member_that_is_there_twice_is_refused(path: Path, name: str) -> None:
    own = members(path)
    path.write_bytes(archive([*own.items(), (name, own[name])]))
    refusal(path)


class Touch:
    """A pickle of this runs code when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return (Path.touch, (self.path,))


def test_pickles_are_refused_wherever_they_are_and_never_run(path: Path) -> None:
    payload, manifest, own = pickle.dumps(Touch(path.parent / "ran")), manifest_of(path), members(path)
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(2), "b": Touch(path.parent / "ran")}, stream)
    for content in (
        payload,
        stream.getvalue(),
        sealed(manifest, payload),
        sealed(manifest, stream.getvalue()),
        sealed(manifest, blob_of(payload)),
        archive([(MANIFEST, payload), (TENSORS, own[TENSORS])]),
        archive([*own.items(), ("data.pkl", payload)]),
    ):
        path.write_bytes(content)
        refusal(path)
    assert not (path.parent / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", [MANIFEST, TENSORS])
def test_a_bomb_is_refused_before_it_goes_off(path: Path, compression: int, name: str) -> None:
    own = members(path)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as container:
        for member, content in own.items():
            if member == name:
                container.writestr(member, bytes(64 << 20), compression)
            else:
                container.writestr(member, content)
    path.write_bytes(stream.getvalue())
    tracemalloc.start()
    try:
        assert "compressed" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_sizes_that_the_file_cannot_hold_are_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as container:
        start = container.start_dir
    for place in (start + 20, start + 24):  # compressed and plain size of the first member
        struct.pack_into("<L", content, place, 0xFFFF_FFF0)
    path.write_bytes(bytes(content))
    assert "larger than it is" in refusal(path)


def test_members_that_overlap_are_refused(path: Path) -> None:
    own = members(path)
    content = bytearray(archive([(MANIFEST, own[MANIFEST]), (TENSORS, own[TENSORS])]))
    with zipfile.ZipFile(io.BytesIO(content)) as container:
        second = container.start_dir + 46 + len(MANIFEST)
    struct.pack_into("<L", content, second + 42, 0)  # where the second member begins
    path.write_bytes(bytes(content))
    refusal(path)


@pytest.mark.parametrize("offset", [1 << 62, 1 << 63, (1 << 64) - 1])
def test_an_offset_beyond_any_file_is_refused(path: Path, offset: int) -> None:
    content = path.read_bytes()
    with zipfile.ZipFile(path) as container:
        start = container.start_dir
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, offset, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(content) - 22, 1)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(content[:-22] + end + locator + tail)
    refusal(path)
    extra = struct.pack("<2HQ", 1, 8, offset)
    directory = bytearray(content[start:-22])
    struct.pack_into("<H", directory, 30, len(extra))
    struct.pack_into("<L", directory, 42, 0xFFFFFFFF)
    place = 46 + len(MANIFEST)
    changed = bytes(directory[:place]) + extra + bytes(directory[place:])
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(changed), start, 0)
    path.write_bytes(content[:start] + changed + tail)
    refusal(path)


def with_descriptor(own: dict[str, bytes]) -> bytes:
    """Return a ZIP as an unseekable stream writes it: the sizes follow each member."""
    stream = io.BytesIO()
    with zipfile.ZipFile(Unseekable(stream), "w") as container:
        for name, content in own.items():
            container.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


class Unseekable(io.RawIOBase):
    """A stream like a pipe."""

    def __init__(self, stream: io.BytesIO) -> None:
        self.stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self.stream.write(data)


def with_info(own: dict[str, bytes], **properties: Any) -> bytes:
    """A container whose first member has other properties."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as container:
        for name, content in own.items():
            info = zipfile.ZipInfo(name)
            for key, value in properties.items() if name == MANIFEST else ():
                setattr(info, key, value)
            container.writestr(info, content)
    return stream.getvalue()


def with_comment(content: bytes, comment: bytes) -> bytes:
    return content[:-2] + struct.pack("<H", len(comment)) + comment


def with_gap(own: dict[str, bytes], gap: bytes) -> bytes:
    """Bytes between the members, which the directory knows to skip."""
    content = bytearray(archive(list(own.items())))
    second = 30 + len(MANIFEST) + len(own[MANIFEST])
    with zipfile.ZipFile(io.BytesIO(content)) as container:
        start = container.start_dir
    entry = start + 46 + len(MANIFEST)
    struct.pack_into("<L", content, entry + 42, second + len(gap))
    struct.pack_into("<L", content, len(content) - 22 + 16, start + len(gap))
    return bytes(content[:second]) + gap + bytes(content[second:])


ADDED: dict[str, Any] = {
    "a byte after the end": lambda own: archive(list(own.items())) + b"\0",
    "many bytes after the end": lambda own: archive(list(own.items())) + bytes(70_000),
    "another archive after the end": lambda own: archive(list(own.items())) + archive([("a", b"b")]),
    "bytes before the start": lambda own: b"#!/bin/sh\n" + archive(list(own.items())),
    "a comment": lambda own: with_comment(archive(list(own.items())), b"rm -rf"),
    "an empty comment with bytes": lambda own: archive(list(own.items())) + b"rm -rf",
    "bytes between the members": lambda own: with_gap(own, b"#!/bin/sh\n"),
    "a comment of a member": lambda own: with_info(own, comment=b"x"),
    "an extra field": lambda own: with_info(own, extra=struct.pack("<2H4s", 0x9999, 4, b"abcd")),
    "sizes after the members": with_descriptor,
    "another order": lambda own: archive([(TENSORS, own[TENSORS]), (MANIFEST, own[MANIFEST])]),
    "a third member": lambda own: archive([*own.items(), ("README", b"")]),
}


@pytest.mark.parametrize("addition", ADDED)
def test_a_byte_that_belongs_to_no_member_is_refused(path: Path, addition: str) -> None:
    own = members(path)
    path.write_bytes(archive(list(own.items())))
    read_model_file(path)
    path.write_bytes(ADDED[addition](own))
    refusal(path)


def test_an_encrypted_member_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as container:
        start = container.start_dir
    for place in (6, start + 8):  # flags of the first member, beside its bytes and in the directory
        struct.pack_into("<H", content, place, 1)
    path.write_bytes(bytes(content))
    refusal(path)


# Manifests.


@pytest.mark.parametrize("version", [0, 4, 1000, True, "1", "2.0", None, [], -1])
def test_another_version_is_named_whatever_else_its_container_has(path: Path, version: object) -> None:
    manifest = json.dumps({**manifest_of(path), "format_version": version}).encode()
    path.write_bytes(archive([(MANIFEST, manifest), ("trees/0.bin", b"x"), ("signature", b"y")]))
    assert f"format version {version!r}, but this program reads 1 to 3." in refusal(path)


@pytest.mark.parametrize(
    "text",
    [
        '"x": NaN',
        '"x": Infinity',
        '"x": -1e999',
        '"x": 9223372036854775808',
        '"x": -9223372036854775809',
        '"x": "\\ud800"',
        '"x": ' + "[" * 900 + "]" * 900,
    ],
    ids=["NaN", "Infinity", "overflow", "beyond 64 bits", "below 64 bits", "half a character", "deep"],
)
def test_what_no_manifest_can_say_is_refused(path: Path, text: str) -> None:
    own = members(path)
    changed = b"{" + text.encode() + b"," + own[MANIFEST].strip()[1:]
    path.write_bytes(archive([(MANIFEST, changed), (TENSORS, own[TENSORS])]))
    refusal(path)


@pytest.mark.parametrize("name", ["format_version", "members", "report"])
def test_a_name_that_is_there_twice_is_refused_though_the_hashes_are_right(path: Path, name: str) -> None:
    """The last of equal names is the one that is read: the hashes of that document are right."""
    own = members(path)
    changed = b'{"%s": 1,' % name.encode() + own[MANIFEST].strip()[1:]
    assert json.loads(changed) == json.loads(own[MANIFEST])
    path.write_bytes(archive([(MANIFEST, changed), (TENSORS, own[TENSORS])]))
    assert "hashes" in refusal(path)


def test_another_spelling_of_the_same_manifest_is_refused(path: Path) -> None:
    own = members(path)
    for text in (b" " + own[MANIFEST], own[MANIFEST] + b"\n", json.dumps(json.loads(own[MANIFEST])).encode()):
        path.write_bytes(archive([(MANIFEST, text), (TENSORS, own[TENSORS])]))
        assert "hashes" in refusal(path)


@pytest.mark.parametrize("text", ["1" * 10_000, "[" * 100_000, '{"a":' * 100_000, "\x00", "nul"])
def test_a_manifest_that_cannot_be_parsed_is_refused(path: Path, text: str) -> None:
    path.write_bytes(archive([(MANIFEST, text.encode()), (TENSORS, members(path)[TENSORS])]))
    assert "not JSON" in refusal(path)


# Tensors, under hashes that are right.


def entry(dtype: str, shape: list[Any], end: int) -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x00" * 7,
        struct.pack("<Q", 1 << 63) + b"{}",
        struct.pack("<Q", 200_000_000) + b"{}",
        struct.pack("<Q", 3) + b"{}",
        blob_of(b"[]"),
        blob_of(b"null"),
        blob_of(b"\xff\xfe\x00\x00"),
        blob_of(b"[" * 100_000),
        blob_of({"a": 1}),
        blob_of({"a": {}}),
        blob_of(entry("F32", [1 << 40, 1 << 40], 8), bytes(8)),
        blob_of(entry("F32", [1 << 62, 0], 0)),
        blob_of(entry("F32", [0, 1 << 31], 0)),
        blob_of(entry("F32", [-1, -2], 8), bytes(8)),
        blob_of(entry("F32", [2.0], 8), bytes(8)),
        blob_of(entry("F32", [True, 2], 8), bytes(8)),
        blob_of(entry("F32", ["2"], 8), bytes(8)),
        blob_of(entry("F32", [1] * 1000, 4), bytes(4)),
        blob_of(entry("F32", [2], 8), bytes(4)),
        blob_of(entry("F32", [2], 8), bytes(12)),
        blob_of(entry("F32", [3], 8), bytes(8)),
        blob_of(entry("F8_E5M2", [8], 8), bytes(8)),
        blob_of(entry("C64", [1], 8), bytes(8)),
        blob_of(entry("U16", [4], 8), bytes(8)),
        blob_of(entry("F4", [16], 8), bytes(8)),
        blob_of(entry("code", [1], 8), bytes(8)),
        blob_of({"__metadata__": {"shape": [], "dtype": "F32"}}),
    ],
    ids=lambda blob: repr(bytes(blob[:60])),
)
def test_a_hostile_header_is_refused_before_room_is_made(path: Path, blob: bytes) -> None:
    path.write_bytes(sealed(manifest_of(path), blob))
    tracemalloc.start()
    try:
        assert "unreadable tensors" in refusal(path)
        with pytest.raises(ModelFileError, match="unreadable tensors"):
            open_model_file(path, cache_bytes=0)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_tensors_in_each_others_bytes_are_refused(path: Path) -> None:
    both = {name: entry("F32", [2], 8)["a"] for name in ("a", "b")}
    path.write_bytes(sealed(manifest_of(path), blob_of(both, bytes(8))))
    assert "unreadable tensors" in refusal(path)
    with pytest.raises(ModelFileError, match="unreadable tensors"):
        open_model_file(path, cache_bytes=0)


def test_the_sealing_of_these_tests_is_that_of_the_program(path: Path) -> None:
    own = members(path)
    manifest = {name: value for name, value in manifest_of(path).items() if name != "sha256"}
    path.write_bytes(sealed(manifest, own[TENSORS]))
    found, tensors = read_model_file(path)
    assert found["members"] == manifest["members"]
    again = path.with_name("again.xrfm")
    write_model_file(again, manifest, tensors)
    assert members(again)[MANIFEST] == members(path)[MANIFEST]
    assert save_tensors(tensors)  # and its tensors are whole
