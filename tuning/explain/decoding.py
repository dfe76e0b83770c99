"""Decode encoded columns to cells of the user's table, as far as their encoders keep the information."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xrfm_cli.datasets.encoders.categorical import OneHotEncoder
from xrfm_cli.datasets.encoders.numeric import NumericEncoder
from xrfm_cli.datasets.encoders.piecewise_linear import PiecewiseEncoder
from xrfm_cli.datasets.encoders.table_encoder import ColumnEncoder
from xrfm_cli.datasets.encoders.target_encoding import TargetEncoder

Encoded = NDArray[np.float32]
DECIMAL = "."  # decimal mark of decoded cells, which are typed


def encode_cells(encoder: ColumnEncoder, cells: pa.Array) -> Encoded:
    """Return the encoding of typed cells, float32 (n, k)."""
    out = np.empty((len(cells), len(encoder.names)), dtype=np.float32)
    encoder.encode(pa.chunked_array([cells]), DECIMAL, out)
    return out


def decode_cells(encoder: ColumnEncoder, x: Encoded) -> pa.Array | None:
    """Return the cells that the encoded column ``x (n, k)`` stands for; None if they cannot be decoded.

    Only numbers and categories have several encodings; encoders of other columns are equal in all members.
    Numbers outside the range of normal scores or pieces come back as the end of the range, rare levels as
    one of them, and a level with a cross-fitted mean as the level with the nearest mean.

    >>> encoder = OneHotEncoder(column="city", levels=("Graz", "Linz"), rare=(), has_missing=True)
    >>> decode_cells(encoder, np.array([[0, 1, 0], [0, 0, 1]], dtype=np.float32)).to_pylist()
    ['Linz', None]
    """
    if isinstance(encoder, NumericEncoder | PiecewiseEncoder):
        values = decode_numbers(encoder, x)
        return None if values is None else pa.array(values, mask=np.isnan(values))
    if isinstance(encoder, OneHotEncoder):
        return _decode_levels(encoder, x)
    if isinstance(encoder, TargetEncoder):
        return _nearest_levels(encoder, x)
    return None


def decode_numbers(encoder: NumericEncoder | PiecewiseEncoder, x: Encoded) -> NDArray[np.float64] | None:
    """Return numbers in the table's units, float64 (n,), NaN where missing; None for a constant."""
    wide = x.astype(np.float64)
    if isinstance(encoder, PiecewiseEncoder):
        pieces = wide[:, : len(encoder.centers)] * encoder.deviations + encoder.centers
        values = encoder.knots[0] + np.clip(pieces, 0.0, 1.0) @ np.diff(encoder.knots)
    elif len(encoder.knots):
        values = np.interp(wide[:, 0], encoder.scores, encoder.knots)
    elif encoder.scaling is not None:
        values = encoder.scaling.undo(wide[:, 0])
    else:
        return None
    return np.where(_is_missing(encoder, x), np.nan, values)


def nearest(x: NDArray[np.float64] | Encoded, points: Encoded) -> NDArray[np.int64]:  # (n, k), (p, k) -> (n,)
    """Return the number of the nearest point of each row."""
    return np.stack([np.square(x - point).sum(1) for point in points], axis=1).argmin(1)


def _is_missing(encoder: NumericEncoder | PiecewiseEncoder, x: Encoded) -> NDArray[np.bool_]:
    return x[:, -1] > 0.5 if encoder.has_missing else np.zeros(len(x), dtype=bool)


def _decode_levels(encoder: OneHotEncoder, x: Encoded) -> pa.Array:
    if encoder.is_single:
        codes = np.where(x[:, 0] == 0.5, -1, (x[:, 0] > 0.5).astype(np.int64))
        words: list[str | None] = list(encoder.levels)
    else:
        codes = np.where(x.max(1) > 0, x.argmax(1), -1)
        words = [*encoder.levels, *encoder.rare[:1], *([None] if encoder.has_missing else [])]
    return pa.array([*words, None], pa.string()).take(pa.array(np.where(codes < 0, len(words), codes)))


def _nearest_levels(encoder: TargetEncoder, x: Encoded) -> pa.Array:
    words = [*encoder.levels, *([None] if encoder.has_missing else []), None]
    kinds, inverse = np.unique(x, axis=0, return_inverse=True)
    nearest = np.array([np.square(encoder.table - kind).sum(1).argmin() for kind in kinds], dtype=np.int64)
    return pa.array(words, pa.string()).take(pa.array(nearest[inverse.ravel()]))
