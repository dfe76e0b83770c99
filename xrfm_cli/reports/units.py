"""Convert encoded values back to the units of the user's table."""

from __future__ import annotations

import numpy as np

from xrfm_cli.datasets import Encoder
from xrfm_cli.datasets.encoders.numeric import NumericEncoder


def original_value(encoder: Encoder, coordinate: int, value: float) -> float | None:
    """Return the table value of an encoded number; None for a coordinate that is not a number.

    Args:
        encoder: the encoder of a member.
        coordinate: a column of its encoded matrix.
        value: the encoded value.
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
                return float(column.scaling.undo(np.array(value)))
    return None
