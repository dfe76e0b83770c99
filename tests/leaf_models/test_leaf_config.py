"""Hyperparameters of a leaf: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.leaf_variants import VARIANTS
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models import LeafConfig

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"kernel": "gauss"}, "kernel='gauss': must be one of norm, sum_power, linear, constant."),
    ({"bandwidth_mode": "auto"}, "bandwidth_mode='auto': must be one of constant, adaptive."),
    ({"metric_shape": "diag"}, "metric_shape='diag': must be one of diagonal, full."),
    ({"kernel_p": 2.5}, "kernel_p=2.5: must be a number above 0 and at most 2."),
    ({"kernel_p": 0.0}, "kernel_p=0.0: must be a number above 0"),
    ({"kernel_q": 1.5, "kernel_p": 1.0}, "kernel_q=1.5: must not exceed kernel_p=1.0"),
    ({"bandwidth": -1.0}, "bandwidth=-1.0: must be a number above 0 and at most 1e+15."),
    ({"bandwidth": float("nan")}, "bandwidth=nan"),
    ({"bandwidth": float("inf")}, "bandwidth=inf"),
    ({"ridge": 10**400}, f"ridge={10**400}: must be a number above 0 and at most 1e+15."),
    ({"ridge": float("nan")}, "ridge=nan: must be a number above 0 and at most 1e+15."),
    ({"ridge": 0.0}, "ridge=0.0: must be a number above 0 and at most 1e+15."),
    ({"ridge": "1e-3"}, "ridge='1e-3': must be a number above 0 and at most 1e+15."),
    ({"iterations": -1}, "iterations=-1: must be a number at least 0"),
    ({"iterations": 1.5}, "iterations=1.5: must be a whole number."),
    ({"power": 0}, "power=0: must be a number at least 1"),
    ({"constant": 1.0}, "constant=1.0: must be a number at least 0"),
    ({"agop_rows": 0}, "agop_rows=0: must be a number at least 1 and at most 1e+09."),
    ({"agop_power": None}, "agop_power=None: must be a number above 0"),
    ({"bandwith": 3.0}, "bandwith: no such hyperparameter of a leaf. Did you mean 'bandwidth'?"),
]


@pytest.mark.parametrize(("values", "words"), REFUSED, ids=[str(values) for values, _ in REFUSED])
def test_what_is_refused_is_named_in_one_line(values: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as error:
        LeafConfig.from_dict(values)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=list(VARIANTS))
def test_round_trip_through_json(config: LeafConfig) -> None:
    assert LeafConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_defaults_are_the_reference_s() -> None:
    config = LeafConfig()
    assert (config.bandwidth, config.ridge, config.kernel_q, config.kernel_p) == (10.0, 1e-3, 1.0, 2.0)
    assert (config.iterations, config.metric_shape, config.agop_power) == (5, "diagonal", 0.5)
