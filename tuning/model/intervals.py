"""Split-conformal prediction intervals whose width adapts to the expected error of a row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets import Encoder, Table
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models import LeafModel, leaf_from_state
from xrfm_cli.mentions import option
from xrfm_cli.printable import counted

Array = NDArray[np.float64]
ROUNDING = 1e-9  # tolerance for a level that corresponds to a whole number of rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorScale:
    """The size of a row's error, as a multiple of the mean size.

    ``(clip(leaf(x) + centre, low, high) ** exponent) / scale``: the leaf predicts the square root of the
    error's size. The noise of this root is nearly the same for small and large errors, unlike that of the
    size or its logarithm.
    """

    encoder: Encoder
    leaf: LeafModel
    centre: float  # added to the leaf's predictions
    low: float  # limits of the predictions, from the validation rows
    high: float
    exponent: float  # 2 uses the leaf's prediction unchanged; smaller values make sizes more similar
    scale: float  # makes the mean over the validation rows one

    def __post_init__(self) -> None:
        facts = self._facts()
        if not all(math.isfinite(value) for value in facts.values()):
            raise ValueError("sizes of errors that are not finite")
        if not (0 < self.low <= self.high and self.exponent > 0 and self.scale > 0):
            raise ValueError("sizes of errors must be above 0")
        if (self.encoder.n_features, 1) != (self.leaf.centers.shape[1], self.leaf.coefficients.shape[1]):
            raise ValueError("encoder and leaf of the errors' sizes do not fit together")

    def sizes(self, x: Tensor) -> Array:  # (n, d) -> (n,)
        """Return the sizes of encoded rows; a row's size does not depend on the rows around it."""
        roots = self.leaf.predict(x)[:, 0].cpu().double().numpy() + self.centre
        return np.clip(roots, self.low, self.high) ** self.exponent / self.scale

    def sizes_of(self, table: Table, encoded: Mapping[int, NDArray[np.float32]], device: str) -> Array:
        """Return the sizes of a table's rows; ``encoded`` holds the rows that other encoders have encoded."""
        x = encoded.get(id(self.encoder))
        if x is None:
            x, _ = self.encoder.encode(table)
        return self.sizes(torch.from_numpy(x).to(device))

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return JSON facts and tensors, without the encoder."""
        facts, tensors = self.leaf.state()
        return {"leaf": facts, **self._facts()}, tensors

    @classmethod
    def from_state(
        cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor], encoder: Encoder
    ) -> ErrorScale:
        """Rebuild from the output of :meth:`state`."""
        names = ("centre", "low", "high", "exponent", "scale")
        numbers = {name: float(facts[name]) for name in names}
        return cls(encoder=encoder, leaf=leaf_from_state(facts["leaf"], tensors), **numbers)

    def to(self, device: str) -> ErrorScale:
        """Return the same on another device."""
        return replace(self, leaf=self.leaf.to(device))

    def _facts(self) -> dict[str, float]:
        return {
            "centre": self.centre,
            "low": self.low,
            "high": self.high,
            "exponent": self.exponent,
            "scale": self.scale,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intervals:
    """Sorted out-of-fold scores ``|y - f(x)| / s(x)`` and the error scale ``s``, 1 if None.

    Papadopoulos, Gammerman, Vovk: Normalized nonconformity measures for regression with the conformal
    prediction framework (2008).
    """

    scores: tuple[float, ...]
    error_scale: ErrorScale | None = None

    def allows(self, level: float) -> bool:
        """Return whether a finite interval has the coverage ``level`` for rows like the validation rows.

        >>> [Intervals(scores=(1.0, 2.0, 3.0, 4.0)).allows(level) for level in (0.8, 0.81)]
        [True, False]
        """
        n = len(self.scores)
        return 0 < level < 1 and level * (n + 1) <= n + ROUNDING

    def half_width(self, level: float) -> float:
        """Return half the width, at error scale 1, with coverage ``level`` for rows like the validation rows.

        That is also half the mean width, as the mean error scale is 1. Raises OptionError for a level that
        these rows do not allow: a new row exceeds the largest of ``n`` scores with probability ``1 / (n +
        1)``.

        >>> Intervals(scores=(1.0, 2.0, 3.0, 4.0)).half_width(0.75)
        4.0
        """
        if not 0 < level < 1:
            raise OptionError(f"{option('interval', level)}: must lie between 0 and 1, such as 0.9.")
        n = len(self.scores)
        if not self.allows(level):
            digits = 10 ** (len(str(n)) + 1)
            largest = math.floor(digits * n / (n + 1)) / digits
            raise OptionError(
                f"{option('interval', level)}: the errors of {counted(n, 'held-out row')} of "
                f"the fit allow levels up to {largest:g}. Choose one of these, or fit "
                "on more rows."
            )
        return self.scores[min(n, int(np.ceil(level * (n + 1)))) - 1]

    def check(self) -> None:
        """Raise ValueError for scores that no fit can have made."""
        scores = np.array(self.scores)
        if not len(scores) or not np.isfinite(scores).all() or (np.diff(scores, prepend=0.0) < 0).any():
            raise ValueError("intervals need sorted scores of at least 0")

    def to(self, device: str) -> Intervals:
        """Return the same on another device."""
        return self if self.error_scale is None else replace(self, error_scale=self.error_scale.to(device))


def weighted_order(values: Array, weights: Array | None, most: int) -> Array:
    """Return at most ``most`` sorted values that represent all: a value of weight 2 counts like two copies.

    The k-th of m is the smallest value up to which the share k / m of the weight lies. With equal weights and
    few enough values, these are all the values, sorted.

    >>> weighted_order(np.array([3.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0]), 4).tolist()
    [2.0, 3.0, 3.0]
    """
    order = np.argsort(values, kind="stable")
    count = min(len(values), most)
    mass = np.ones(len(values)) if weights is None else weights[order]
    reached = np.cumsum(mass)
    wanted = np.arange(1, count + 1) / count * reached[-1]
    slack = 1e-9 * reached[-1]  # sums of equal weights are only nearly equal to their multiples
    places = np.searchsorted(reached, wanted - slack)
    return values[order][np.minimum(places, len(values) - 1)]
