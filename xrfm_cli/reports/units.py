"""Encoded values back in the units of the user's table."""

from __future__ import annotations

import numpy as np

from xrfm_cli.datasets import Encoder
from xrfm_cli.datasets.encoders.numeric import NumericEncoder


def original_value(encoder: Encoder, coordinate: int, value: float) -> float | None:
    """What the user's table holds where an encoded number is ``value``; None for what is no number.

    Args:
        encoder: the encoder of a member.
        coordinate: a column of its matrix.
        value: in that column's encoded units.
    """
    for column, group in zip(encoder.columns, encoder.groups, strict=True):
        if (
            coordinate == group.start
            and isinstance(column, NumericEncoder)
            and group.names[:1] == (column.column,)
        ):
            if len(column.knots):
                return float(np.interp(value, column.scores, column.knots))
            if column.scaling is not None:
                return column.scaling.unit * (column.scaling.center + value * column.scaling.deviation)
    return None
