"""Hyperparameters of a tree: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models import LeafConfig
from xrfm_cli.trees import TreeConfig

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"leaf_size": 1}, "leaf_size=1: must be a whole number from 2"),
    ({"leaf_size": 10.5}, "leaf_size=10.5: must be a whole number"),
    ({"leaf_size": "many"}, "leaf_size='many': must be a whole number"),
    ({"leaf_size": float("nan")}, "leaf_size=nan: must be a whole number"),
    ({"min_leaf_size": 0}, "min_leaf_size=0: must be a whole number from 1"),
    ({"overlap": 0.3}, "overlap=0.3: must be a number from 0 to 0.25."),
    ({"overlap": None}, "overlap=None: must be a number"),
    ({"temperature": -0.1}, "temperature=-0.1: must be a number from 0"),
    ({"temperature": float("nan")}, "temperature=nan: must be a number from 0"),
    ({"leafsize": 10}, "leafsize: no such hyperparameter. Did you mean 'leaf_size'?"),
    ({"brandwidth": 10}, "brandwidth: no such hyperparameter. Did you mean 'bandwidth'?"),
    ({"bandwidth": -1.0}, "bandwidth=-1.0: must be a number above 0 and at most 1e+15."),
]


@pytest.mark.parametrize(("values", "words"), REFUSED, ids=[str(values) for values, _ in REFUSED])
def test_what_is_refused_is_named_in_one_line(values: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as error:
        TreeConfig.from_dict(values)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_round_trip_through_json() -> None:
    config = TreeConfig(leaf=LeafConfig(kernel_p=1.0), leaf_size=500, overlap=0.1, temperature=0.2)
    flat = json.loads(json.dumps(config.to_dict()))
    assert flat["kernel_p"] == 1.0
    assert flat["leaf_size"] == 500
    assert TreeConfig.from_dict(flat) == config


def test_a_temperature_is_all_that_changes() -> None:
    config = TreeConfig(leaf_size=500)
    assert config.with_temperature(0.5) == TreeConfig(leaf_size=500, temperature=0.5)
