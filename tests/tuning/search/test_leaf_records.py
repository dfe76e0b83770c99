"""A fit that was killed among the leaves of its final models goes on with the next leaf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.leaf_variants import VARIANTS, generator, sample
from tests.tuning.tables import fit, law
from xrfm_cli.events import Event
from xrfm_cli.leaf_models import fit_leaf
from xrfm_cli.trees.tasks import FittedLeaf
from xrfm_cli.tuning import FittedModel, save_model
from xrfm_cli.tuning.search.storage.checkpoint import Checkpoint, open_checkpoint
from xrfm_cli.tuning.search.storage.leaf_file import leaf_from_bytes, leaf_to_bytes

FACTS = {"--seed": 0}
LEAVES = {"leaf_size": 40, "min_leaf_size": 10}


class Killed(BaseException):
    """The process is no more."""


def fitting(**more: Any) -> FittedModel:
    return fit(law(300), trials=1, folds=2, pinned=LEAVES, **more)


def bytes_of(model: FittedModel, folder: Path) -> bytes:
    save_model(model, folder / "some.xrfm")
    return (folder / "some.xrfm").read_bytes()


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The record of a fit that was killed after three of its final leaves."""
    folder, keep = tmp_path / "model.run", Checkpoint.keep_leaf

    def keep_and_die(held: Checkpoint, key: str, fitted: FittedLeaf) -> None:
        keep(held, key, fitted)
        if len(list(folder.glob("*.leaf"))) == 3:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, open_checkpoint(folder, FACTS) as held:
        patch.setattr(Checkpoint, "keep_leaf", keep_and_die)
        with pytest.raises(Killed):
            fitting(checkpoint=held)
    return folder


def resume(folder: Path, place: Path) -> tuple[bytes, int, list[str]]:
    """Go on; return the bytes of the model, how many leaves were new, and the damaged files."""
    kept, keep = 0, Checkpoint.keep_leaf

    def counted(*arguments: Any) -> None:
        nonlocal kept
        kept += 1
        keep(*arguments)

    with pytest.MonkeyPatch.context() as patch, open_checkpoint(folder, FACTS) as held:
        patch.setattr(Checkpoint, "keep_leaf", counted)
        assert held.leaves_before == len(list(folder.glob("*.leaf")))
        found = bytes_of(fitting(checkpoint=held), place)
        held.remove()
    assert not folder.exists()
    return found, kept, held.damaged


def test_leaves_that_are_recorded_are_not_fitted_again(begun: Path, tmp_path: Path) -> None:
    whole = fitting()
    rest = len(whole.members[0].tree.leaves) - 3
    assert rest > 3
    assert resume(begun, tmp_path) == (bytes_of(whole, tmp_path), rest, [])


def test_a_damaged_leaf_is_named_and_fitted_again(begun: Path, tmp_path: Path) -> None:
    victim = next(begun.glob("*.leaf"))
    victim.write_bytes(victim.read_bytes()[:-10])
    whole = fitting()
    rest = len(whole.members[0].tree.leaves) - 2
    assert resume(begun, tmp_path) == (bytes_of(whole, tmp_path), rest, [victim.name])


@pytest.mark.parametrize("name", ["norm2-full", "sum1-diagonal", "linear-diagonal"])
def test_a_leaf_and_what_was_told_read_back_bit_for_bit(name: str) -> None:
    x, y = sample(40)
    leaf = fit_leaf(x, y, VARIANTS[name], generator=generator())
    told = (Event(kind="fallback", message="a larger ridge was needed", count=1),)
    again, events = leaf_from_bytes(leaf_to_bytes((leaf, told)))
    assert events == told
    assert again.state()[0] == leaf.state()[0]
    assert all(bool((again.state()[1][key] == value).all()) for key, value in leaf.state()[1].items())
