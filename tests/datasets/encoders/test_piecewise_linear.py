"""Piecewise-linear encoding: knots, values and storage."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfm_cli.datasets.encoders.piecewise_linear import (
    PIECES,
    SMALLEST_SPREAD,
    PiecewiseEncoder,
    choose_knots,
    fit_pieces,
)


def encoded(encoder: PiecewiseEncoder, values: Sequence[float | None]) -> np.ndarray:
    out = np.empty((len(values), len(encoder.names)), dtype=np.float32)
    encoder.encode(pa.chunked_array([pa.array(values, pa.float64())]), ".", out)
    return out


def fitted(values: Sequence[float | None], weights: np.ndarray | None = None) -> PiecewiseEncoder:
    encoder = fit_pieces("x", pa.chunked_array([pa.array(values, pa.float64())]), ".", weights)
    assert encoder is not None
    return encoder


def test_the_pieces_together_are_the_way_along_the_range() -> None:
    values = np.random.default_rng(0).gamma(1.0, size=500)
    encoder = fitted(values.tolist())
    assert len(encoder.centers) == PIECES
    probes = np.concatenate([values[:50], [-5.0, 0.0, 100.0]])
    shares = encoded(encoder, probes.tolist()) * encoder.deviations + encoder.centers
    lengths = np.diff(encoder.knots)
    way = np.clip(probes, encoder.knots[0], encoder.knots[-1]) - encoder.knots[0]
    np.testing.assert_allclose(shares @ lengths, way, atol=1e-5 * way.max())


def test_pieces_are_standardised_over_the_training_rows() -> None:
    values = np.random.default_rng(1).normal(size=400)
    x = encoded(fitted(values.tolist()), values.tolist()).astype(np.float64)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(0), 1, atol=1e-5)


def test_weight_two_counts_like_two_rows_in_the_deviations() -> None:
    values = np.arange(60.0)
    weights = np.where(np.arange(60) % 2, 2.0, 1.0)
    encoder = fitted(values.tolist(), weights)
    x = encoded(encoder, values.tolist()).astype(np.float64)
    np.testing.assert_allclose(np.average(x, axis=0, weights=weights), 0, atol=1e-6)


def test_of_a_column_that_is_nearly_always_zero_the_others_make_the_pieces() -> None:
    rare = np.random.default_rng(2).gamma(2.0, size=80)
    knots = choose_knots(np.concatenate([np.zeros(920), rare]))
    assert len(knots) == PIECES + 2
    assert knots[0] == 0.0
    inside = [((rare > low) & (rare <= high)).sum() for low, high in itertools.pairwise(knots)]
    assert max(inside) <= 8


def test_a_rare_piece_does_not_outweigh_the_others() -> None:
    values = [0.0] * 5_000 + [1.0] * 5_000 + [7.0]
    x = encoded(fitted(values), values)
    assert np.abs(x).max() <= 1 / SMALLEST_SPREAD


@pytest.mark.parametrize("values", [[1.0, 1.0], [0.0, 1.0, 1.0], [None, 2.0, 3.0], [None, None]], ids=str)
def test_two_values_are_no_pieces(values: list[float | None]) -> None:
    assert fit_pieces("x", pa.chunked_array([pa.array(values, pa.float64())]), ".", None) is None


def test_missing_cells_are_at_the_mean_and_marked() -> None:
    encoder = fitted([*np.arange(50.0), None])
    x = encoded(encoder, [None, float("inf"), 3.0])
    assert encoder.names[-1] == "x missing"
    assert (x[:2, :-1] == 0).all()
    assert x[:, -1].tolist() == [1.0, 1.0, 0.0]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=40))
def test_any_numbers_give_finite_columns_that_come_back_from_a_file(values: list[float]) -> None:
    encoder = fit_pieces("x", pa.chunked_array([pa.array(values, pa.float64())]), ".", None)
    if encoder is None:
        assert len(set(values)) < 3
        return
    x = encoded(encoder, list(values))
    assert np.isfinite(x).all()
    again = PiecewiseEncoder.from_state(*encoder.state())
    assert np.array_equal(encoded(again, list(values)), x)


def test_pieces_that_do_not_fit_together_are_refused() -> None:
    plain, arrays = fitted(list(np.arange(50.0))).state()
    with pytest.raises(ValueError, match="fit together"):
        PiecewiseEncoder.from_state(plain, arrays | {"centers": arrays["centers"][1:]})
