"""Leaves that are read from the model file when rows need them: the same bits as in memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from tests.leaf_variants import VARIANTS, generator
from tests.processes import run_python
from xrfm_cli.errors import ModelFileError
from xrfm_cli.leaf_models import LeafConfig, LeafModel
from xrfm_cli.trees import TreeConfig, TreeModel, fit_tree, open_model_file, read_model_file, write_model_file
from xrfm_cli.trees.stored_leaves import StoredLeaves


def both(
    path: Path, leaf: LeafConfig, *, cache_bytes: int, temperature: float
) -> tuple[TreeModel, TreeModel]:
    x = torch.randn(120, 4, generator=generator(0))
    config = TreeConfig(leaf=leaf, leaf_size=30, temperature=temperature)
    tree = fit_tree(x, torch.sin(x[:, :2]), config, generator=generator(1))
    facts, tensors = tree.state()
    write_model_file(path, {"tree": facts}, tensors)
    manifest, found = read_model_file(path)
    _, stored = open_model_file(path, cache_bytes=cache_bytes)
    eager = {name: tensor.read() if "leaf" not in name else tensor for name, tensor in stored.items()}
    return TreeModel.from_state(manifest["tree"], found), TreeModel.from_state(manifest["tree"], eager)


@pytest.mark.parametrize("cache_bytes", [0, 2_000, 1 << 30])
@pytest.mark.parametrize("name", ["norm1-diagonal", "norm2-full", "sum2-diagonal", "linear-diagonal"])
def test_predictions_and_gradients_are_the_same_bits(name: str, cache_bytes: int, tmp_path: Path) -> None:
    held, stored = both(tmp_path / "m.xrfm", VARIANTS[name], cache_bytes=cache_bytes, temperature=0.3)
    assert isinstance(stored.leaves, StoredLeaves)
    assert len(stored.leaves) == len(held.leaves) > 2
    assert (stored.n_features, stored.n_outputs) == (4, 2)
    x = torch.randn(200, 4, generator=generator(2))
    for _ in range(2):  # from the file, then as far as the cache goes
        assert torch.equal(stored.predict(x), held.predict(x))
        assert torch.equal(stored.gradients(x[:20]), held.gradients(x[:20]))
    mixture = torch.ones(2, 1)
    assert stored.mixed(mixture).n_outputs == 1
    assert torch.equal(stored.mixed(mixture).to("cpu").predict(x), held.mixed(mixture).predict(x))


def test_the_cache_keeps_its_bound_and_what_is_kept_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, stored = both(tmp_path / "m.xrfm", VARIANTS["norm2-diagonal"], cache_bytes=2_000, temperature=0)
    assert isinstance(stored.leaves, StoredLeaves)
    read: list[int] = []
    own = StoredLeaves._read

    def note(leaves: StoredLeaves, place: int) -> LeafModel:
        read.append(place)
        return own(leaves, place)

    monkeypatch.setattr(StoredLeaves, "_read", note)
    for _ in range(2):
        for leaf in stored.leaves:
            assert leaf.n_rows
            assert stored.leaves._cache.used_bytes <= 2_000
    assert read.count(0) == 1  # the first one stays
    assert read.count(len(stored.leaves) - 1) <= 2
    assert len(read) < 2 * len(stored.leaves)


def test_a_file_that_is_replaced_is_read_on_and_one_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.xrfm"
    held, stored = both(path, VARIANTS["norm2-diagonal"], cache_bytes=0, temperature=0)
    x = torch.randn(10, 4, generator=generator(2))
    if sys.platform != "win32":  # which replaces no open file
        write_model_file(path, {"task": "another"}, {})
        assert torch.equal(stored.predict(x), held.predict(x))
    held, stored = both(path, VARIANTS["norm2-diagonal"], cache_bytes=0, temperature=0)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 3)
    with pytest.raises(ModelFileError, match="has become shorter while it was read"):
        stored.predict(x)


def test_values_that_are_not_finite_are_refused_when_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "m.xrfm"
    write_model_file(path, {}, {"a": torch.tensor([1.0, torch.inf])})
    _, stored = open_model_file(path, cache_bytes=0)
    with pytest.raises(ModelFileError, match="has values that are not finite in tensor 'a'"):
        stored["a"].read()


# Visits the leaves of a small model to load what that needs, then those of a large one; prints by how much
# the peak has grown.
GROWTH = """
import resource, sys
from pathlib import Path
import torch
from xrfm_cli.datasets.dotted_names import numbered
from xrfm_cli.trees import SplitNode, TreeConfig, TreeModel, open_model_file
from xrfm_cli.trees.explanation import sample_rows, summarise_rows
from xrfm_cli.trees.stored_leaves import built_leaves

def predict(leaves):
    for leaf in leaves:
        leaf.predict(torch.zeros(1_000, 50))

def sample(leaves):
    def child(number):  # of a complete tree, whose splits are numbered as a heap
        return number if number < len(leaves) - 1 else ~(number - len(leaves) + 1)

    splits = tuple(
        SplitNode(direction=torch.eye(50)[k % 50].double(), threshold=0.0, iqr=1.0, left=child(2 * k + 1),
                  right=child(2 * k + 2))
        for k in range(len(leaves) - 1)
    )
    known = summarise_rows(TreeModel(config=TreeConfig(), splits=splits, leaves=leaves))
    assert len(sample_rows(known.rows, 300, generator=torch.Generator().manual_seed(0))) > 0

def peak(path):
    manifest, stored = open_model_file(Path(path), cache_bytes=4 << 20)
    facts = manifest["leaves"]
    {"predict": predict, "sample": sample}[sys.argv[3]](built_leaves(facts, numbered(stored, len(facts))))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

print(-peak(sys.argv[1]) + peak(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("use", ["predict", "sample"])
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the unit of the peak is that of Linux")
def test_memory_is_bounded_by_the_cache_and_not_by_the_model(use: str, tmp_path: Path) -> None:
    x = torch.randn(400, 50, generator=generator(0))
    tree = fit_tree(x, x[:, :1], TreeConfig(leaf=LeafConfig(iterations=0)), generator=generator(1))
    facts, tensors = tree.leaves[0].state()
    for name, count in (("small", 2), ("large", 512)):
        copies = {f"{k}.{part}": value for k in range(count) for part, value in tensors.items()}
        write_model_file(tmp_path / name, {"leaves": [facts] * count}, copies)
    grown = 1024 * int(run_python(GROWTH, tmp_path / "small", tmp_path / "large", use))
    size = (tmp_path / "large").stat().st_size
    assert size > 35 << 20
    assert grown < size / 2
