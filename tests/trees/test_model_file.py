"""The model file: what is written is read, and what cannot be trusted is refused in one line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.leaf_variants import generator, sample
from xrfm_cli.errors import InputError, ModelFileError
from xrfm_cli.trees import TreeConfig, TreeModel, fit_tree, read_model_file, write_model_file

MANIFEST: dict[str, Any] = {
    "task": "regression",
    "price": 0.1 + 0.2,
    "names": ["größe", "a/b", ""],
    "none": None,
}


def tensors() -> dict[str, Tensor]:
    return {
        "b": torch.randn(4, 3, generator=generator(1)),
        "a": torch.randn(3, 4, generator=generator(2), dtype=torch.float64).T,  # not contiguous
        "empty": torch.zeros(0, 2),
        "codes": torch.arange(5),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.xrfm"
    write_model_file(file, MANIFEST, tensors())
    return file


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as error:
        read_model_file(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def rewrite(path: Path, *, manifest: bytes | None = None, blob: bytes | None = None, **extra: bytes) -> None:
    """The same container with a member replaced or added, its hashes left as they were."""
    with zipfile.ZipFile(path) as container:
        members = {name: container.read(name) for name in container.namelist()}
    members["manifest.json"] = manifest if manifest is not None else members["manifest.json"]
    members["tensors.safetensors"] = blob if blob is not None else members["tensors.safetensors"]
    with zipfile.ZipFile(path, "w") as container:
        for name, content in {**members, **extra}.items():
            container.writestr(name, content)


def document(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as container:
        found: dict[str, Any] = json.loads(container.read("manifest.json"))
    return found


def test_what_is_written_is_read(path: Path) -> None:
    manifest, stored = read_model_file(path)
    assert {name: manifest[name] for name in MANIFEST} == MANIFEST
    assert set(stored) == set(tensors())
    for name, value in tensors().items():
        assert stored[name].dtype == value.dtype
        assert torch.equal(stored[name], value)


def test_it_is_a_stored_zip_of_two_members(path: Path) -> None:
    with zipfile.ZipFile(path) as container:
        assert sorted(container.namelist()) == ["manifest.json", "tensors.safetensors"]
        assert {info.compress_type for info in container.infolist()} == {zipfile.ZIP_STORED}
        content = container.read("tensors.safetensors")
    assert document(path)["format_version"] == 2
    assert document(path)["sha256"]["tensors.safetensors"] == hashlib.sha256(content).hexdigest()


def test_equal_models_are_equal_bytes(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.xrfm"
    write_model_file(other, dict(reversed(MANIFEST.items())), dict(reversed(tensors().items())))
    assert other.read_bytes() == path.read_bytes()


def test_writing_replaces_and_leaves_nothing_behind(path: Path) -> None:
    write_model_file(path, {"task": "other"}, {})
    assert read_model_file(path)[0]["task"] == "other"
    assert [file.name for file in path.parent.iterdir()] == ["model.xrfm"]


def test_a_failed_write_keeps_the_old_model(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_model_file(path, {"score": float("nan")}, {})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["model.xrfm"]


def test_a_folder_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.xrfm: cannot be written"):
        write_model_file(tmp_path / "absent" / "model.xrfm", MANIFEST, {})


def test_an_absent_file_says_how_to_fit_one(tmp_path: Path) -> None:
    assert "xrfm fit" in refusal(tmp_path / "model.xrfm")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refusal(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_is_refused_or_without_effect(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    intact = bytes(content)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    with contextlib.suppress(ModelFileError):
        manifest, stored = read_model_file(path)
        # a date or an attribute in the container, which nothing reads
        assert {name: manifest[name] for name in MANIFEST} == MANIFEST
        assert all(torch.equal(stored[name], value) for name, value in tensors().items())
    path.write_bytes(intact)


def test_an_altered_manifest_is_refused(path: Path) -> None:
    changed = {**document(path), "task": "binary"}
    rewrite(path, manifest=json.dumps(changed).encode())
    assert "hashes" in refusal(path)


def test_a_manifest_without_hashes_is_refused(path: Path) -> None:
    plain = document(path)
    del plain["sha256"]
    rewrite(path, manifest=json.dumps(plain).encode())
    assert "hashes" in refusal(path)


def test_altered_tensors_are_refused(path: Path) -> None:
    with zipfile.ZipFile(path) as container:
        blob = bytearray(container.read("tensors.safetensors"))
    blob[-1] ^= 1
    rewrite(path, blob=bytes(blob))
    assert "hashes" in refusal(path)


@pytest.mark.parametrize("version", [0, 4, "1", "2", True, None])
def test_an_unknown_version_is_refused(path: Path, version: object) -> None:
    rewrite(path, manifest=json.dumps({**document(path), "format_version": version}).encode())
    assert "format version" in refusal(path)


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_no_object_is_refused(path: Path, manifest: bytes) -> None:
    rewrite(path, manifest=manifest)
    assert "manifest" in refusal(path)


def test_a_further_member_is_refused(path: Path) -> None:
    rewrite(path, **{"../../escape.txt": b"x"})
    refusal(path)
    assert not (path.parent.parent.parent / "escape.txt").exists()


def test_a_compressed_member_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as container:
        container.writestr("manifest.json", b" " * 10_000_000)
        container.writestr("tensors.safetensors", b"")
    assert "compressed" in refusal(path)


@pytest.mark.parametrize("claimed", [1 << 62, 100_000_000])
def test_a_hostile_tensor_header_is_refused(path: Path, claimed: int) -> None:
    blob = struct.pack("<Q", claimed) + b"{}"
    plain = document(path)
    plain["sha256"] = {"tensors.safetensors": hashlib.sha256(blob).hexdigest()}
    text = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False).encode()
    plain["sha256"]["manifest.json"] = hashlib.sha256(text).hexdigest()
    text = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False).encode()
    rewrite(path, manifest=text, blob=blob)
    assert "tensors" in refusal(path)


def test_a_pickle_is_refused_and_not_run(path: Path) -> None:
    class Run:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (path.parent / "ran",))  # type: ignore[return-value]

    path.write_bytes(pickle.dumps(Run()))
    refusal(path)
    torch.save({"a": torch.zeros(2)}, path)
    refusal(path)
    assert not (path.parent / "ran").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_tensors_that_are_not_finite_are_refused(path: Path, value: float) -> None:
    write_model_file(path, MANIFEST, {"a": torch.tensor([value])})
    assert "not finite" in refusal(path)


def damaged(facts: dict[str, Any], stored: dict[str, Tensor], kind: str) -> None:
    """One thing wrong that the hashes of a hostile file would not show."""
    if kind == "cycle":
        facts["splits"][0]["left"] = 0
    elif kind == "absent child":
        facts["splits"][0]["right"] = 99
    elif kind == "absent leaf":
        facts["splits"][-1]["right"] = ~99
    elif kind == "shared leaf":
        facts["splits"][-1]["right"] = facts["splits"][-1]["left"]
    elif kind == "no splits":
        del facts["splits"]
    elif kind == "no leaves":
        facts["leaves"] = []
    elif kind == "no tensor":
        del stored["leaf.0.centers"]
    elif kind == "other width":
        stored["leaf.0.centers"] = stored["leaf.0.centers"][:, :1].clone()
    elif kind == "other length":
        stored["leaf.0.coefficients"] = stored["leaf.0.coefficients"][:1].clone()
    elif kind == "other type":
        stored["leaf.0.metric"] = stored["leaf.0.metric"].to(torch.int64)
    elif kind == "text for a number":
        facts["splits"][0]["threshold"] = "high"


@pytest.mark.parametrize(
    "kind",
    [
        "cycle",
        "absent child",
        "absent leaf",
        "shared leaf",
        "no splits",
        "no leaves",
        "no tensor",
        "other width",
        "other length",
        "other type",
        "text for a number",
    ],
)
def test_a_tree_that_does_not_hold_together_is_refused(kind: str) -> None:
    x, y = sample(60, dtype=torch.float32)
    config = TreeConfig.from_dict({"leaf_size": 20, "min_leaf_size": 3, "iterations": 0})
    facts, stored = fit_tree(x, y, config, generator=generator()).state()
    facts = json.loads(json.dumps(facts))
    damaged(facts, stored, kind)
    with pytest.raises((InputError, KeyError, TypeError, ValueError)):  # load_model makes them one line
        TreeModel.from_state(facts, stored)
