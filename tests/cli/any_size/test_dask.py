"""The options of ``fit --engine dask`` that contradict others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--engine dask", "--engine dask and --scheduler ADDRESS need each other"),
        ("--scheduler tcp://h:8786", "--engine dask and --scheduler ADDRESS need each other"),
        (
            "--engine dask --scheduler h --workers 2",
            "--workers: --engine dask has the workers of its cluster",
        ),
        ("--engine ray", "--engine: 'ray' is not one of"),
    ],
)
def test_contradictions_are_refused(words: str, message: str, folder: Path, xrfm: Command) -> None:
    done = xrfm("fit", "train.csv", "--target", "price", *words.split(), folder=folder)
    assert done.status == 2
    assert message in done.error
