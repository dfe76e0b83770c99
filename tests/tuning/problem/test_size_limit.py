"""Which members fit into a model file together, and how many centers they may have."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tuning.tables import described, law, table_of
from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models import LeafConfig
from xrfm_cli.tuning import FitConfig
from xrfm_cli.tuning.ensemble.file_size import facts_bytes, limit_size
from xrfm_cli.tuning.ensemble.selection import greedy_weights
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.problem.size_limit import SHARES, SizeLimit

STANDARD, QUANTILE = EncodingConfig(), EncodingConfig(numeric="quantile")


def limit(room_bytes: int) -> SizeLimit:
    return SizeLimit(
        room_bytes=room_bytes,
        rows=8_000,
        outputs=2,
        columns={STANDARD: 10, QUANTILE: 10},
        encoder_bytes={STANDARD: 500, QUANTILE: 20_000},
        error_scale_rows=100,
    )


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("shape", ["diagonal", "full"])
@pytest.mark.parametrize("leaf_size", [8_000, 1_000])
def test_as_many_members_as_their_shares_allow_have_room(share: float, shape: str, leaf_size: int) -> None:
    size = limit(100_000)
    leaf = LeafConfig.from_dict({"metric_shape": shape})
    most = size.most_centers(leaf, STANDARD, leaf_size=leaf_size, share=share)
    few = LeafConfig.from_dict({"metric_shape": shape, "max_centers": most})
    members = round(1 / share)
    assert size.has_room([(few, STANDARD, leaf_size)] * members)
    many = LeafConfig.from_dict({"metric_shape": shape, "max_centers": 2 * most})
    assert not size.has_room([(many, STANDARD, leaf_size)] * members)


def test_linear_leaves_take_next_to_nothing_and_encoders_count_once() -> None:
    size = limit(26_000)
    linear = LeafConfig(kernel="linear")
    assert size.has_room([(linear, STANDARD, 8_000)] * 10)
    assert size.has_room([(linear, QUANTILE, 8_000)] * 5)
    assert not limit(23_000).has_room([(linear, QUANTILE, 8_000)])
    assert size.suits(STANDARD)
    assert not limit(23_000).suits(QUANTILE)


def test_a_limit_without_room_is_refused_with_one_that_has() -> None:
    def of(max_bytes: int) -> SizeLimit:
        return SizeLimit.of(
            max_bytes,
            100_000,
            rows=8_000,
            outputs=1,
            columns={STANDARD: 10},
            encoder_bytes={STANDARD: 0},
            error_scale_rows=0,
        )

    with pytest.raises(OptionError, match=r"Allow at least 0\.11MB"):
        of(90_000)
    assert of(110_000).suits(STANDARD)


def test_a_selection_stays_within_what_fits() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    outputs = [y + rng.normal(size=200) for _ in range(6)]

    def loss(predictions: np.ndarray) -> float:
        return float(((predictions - y) ** 2).mean())

    sizes = [50, 30, 30, 30, 200, 10]
    weights = greedy_weights(outputs, loss, fits=lambda members: sum(sizes[k] for k in members) <= 80)
    chosen = [k for k, weight in enumerate(weights) if weight]
    assert sum(sizes[k] for k in chosen) <= 80
    assert len(chosen) > 1
    assert sum(weights) == pytest.approx(1.0)
    none = greedy_weights(outputs, loss, fits=lambda members: False)
    assert np.argmax(none) == int(np.argmin([loss(output) for output in outputs]))


def test_a_share_of_the_limit_stays_free_for_what_is_only_estimated() -> None:
    config = FitConfig(trials=1, folds=2, max_model_bytes=2_000_000)
    problem = set_up_problem(*described(table_of(law(60))), config).problem
    size = limit_size(problem, config).size
    assert size is not None
    assert size.room_bytes == 2_000_000 - facts_bytes(problem, 60) - 100_000
