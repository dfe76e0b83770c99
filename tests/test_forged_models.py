"""Forged model files under the commands: status 0 or 2 with one line, never an internal fault."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.forging import Victim, faults, forge, forged_tensors, forgeries
from tests.fuzzing import check_loader, model_seeds, opened, sealed

MODELS = [opened(content) for content in model_seeds()]
LOADED, RUN = 90, 2  # forgeries of each model that are loaded, and that go through all commands


def drawn_places(number: int) -> list[tuple[str, bytes]]:
    """A sample of the forgeries of a model, the same in every run: benchmarks/fuzz has them all."""
    manifest, blob = MODELS[number]
    choice = random.Random(number)
    found = []
    for place, change in choice.sample(list(forgeries(manifest)), LOADED):
        forgery = forge(manifest, place, change)
        found.append((str(forgery), sealed(forgery.manifest, blob)))
    for name, changed in choice.sample(list(forged_tensors(blob)), LOADED // 3):
        found.append((name, sealed(manifest, changed)))
    return found


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_a_forged_model_is_refused_or_answers(number: int, tmp_path: Path) -> None:
    accepted = [
        (name, content)
        for name, content in drawn_places(number)
        if check_loader(content, tmp_path / "m.xrfm") is not None
    ]
    assert accepted
    victim = Victim(tmp_path)
    wrong = {name: faults(victim, content) for name, content in accepted[:: -(-len(accepted) // RUN)]}
    assert not {name: found for name, found in wrong.items() if found}
