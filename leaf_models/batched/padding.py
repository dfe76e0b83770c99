"""Several leaves as one batch: their rows are padded to a common number with rows of weight 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from xrfm_cli.leaf_models.steps import draw_rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeafRows:
    """The training rows of one leaf."""

    x: Tensor  # (n, d)
    y: Tensor  # (n, c)
    weights: Tensor | None  # (n,) positive
    generator: torch.Generator  # draws its rows for the AGOP and for the adaptive bandwidth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaddedRows:
    """Rows of ``b`` leaves, each padded to ``n`` rows with zeros.

    >>> ones, generator = torch.ones(3, 1), torch.Generator()
    >>> leaves = [LeafRows(x=ones[:n], y=ones[:n], weights=None, generator=generator) for n in (1, 3)]
    >>> PaddedRows.of(leaves).weights.tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """

    x: Tensor  # (b, n, d)
    y: Tensor  # (b, n, c)
    weights: Tensor  # (b, n) float64; 0 for padding rows, and only for them
    counts: tuple[int, ...]  # the leaves' own rows, which come first

    @classmethod
    def of(cls, leaves: Sequence[LeafRows]) -> PaddedRows:
        """Pad the rows of several leaves."""
        weights = [torch.ones_like(leaf.y[:, 0]) if leaf.weights is None else leaf.weights for leaf in leaves]
        return cls(
            x=pad_sequence([leaf.x for leaf in leaves], batch_first=True),
            y=pad_sequence([leaf.y for leaf in leaves], batch_first=True),
            weights=pad_sequence([own.double() for own in weights], batch_first=True),
            counts=tuple(len(leaf.x) for leaf in leaves),
        )

    @property
    def are_real(self) -> Tensor:
        """Return which rows are a leaf's own ``(b, n)``."""
        return self.weights > 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnRows:
    """Rows drawn from each leaf of a batch, padded with its first row at weight 0."""

    rows: Tensor  # (b, s) row numbers
    weights: Tensor  # (b, s) float64; 0 for padding

    @classmethod
    def draw(cls, batch: PaddedRows, leaves: Sequence[LeafRows], count: int) -> DrawnRows:
        """Draw ``count`` rows of each leaf, as :func:`draw_rows` does for a single one."""
        drawn = [draw_rows(len(leaf.x), count, leaf.generator) for leaf in leaves]
        device = batch.x.device
        rows = pad_sequence(drawn, batch_first=True).to(device)
        own = pad_sequence([torch.ones(len(numbers)) for numbers in drawn], batch_first=True).to(device)
        return cls(rows=rows, weights=batch.weights.gather(1, rows) * own)

    def of(self, values: Tensor) -> Tensor:  # (b, n, k) -> (b, s, k)
        """Return the values of the drawn rows."""
        return values.gather(1, self.rows[:, :, None].expand(-1, -1, values.shape[2]))


def batch_bytes(rows: int, features: int, outputs: int) -> int:
    """Return the peak memory per leaf of a batch: pairs of rows, rows, gradients and full feature matrices.

    Each pair needs its kernel value, two numbers in float64, and as much again for temporaries of torch.

    >>> batch_bytes(1_000, 50, 1) // 2**20
    34
    """
    pairs, sides = 32 * rows**2, 48 * rows * features
    return pairs + sides + 32 * rows * outputs * features + 48 * features**2
