"""Several leaves as one batch: their rows are filled up to one number with rows that weigh nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from xrfm_cli.leaf_models.steps import draw_rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeafRows:
    """What one leaf is fitted on."""

    x: Tensor  # (n, d)
    y: Tensor  # (n, c)
    weights: Tensor | None  # (n,) positive
    generator: torch.Generator  # draws its rows for the AGOP and for the adaptive bandwidth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaddedRows:
    """Rows of ``b`` leaves, each filled up to ``n`` with rows of zeros.

    >>> ones, generator = torch.ones(3, 1), torch.Generator()
    >>> leaves = [LeafRows(x=ones[:n], y=ones[:n], weights=None, generator=generator) for n in (1, 3)]
    >>> PaddedRows.of(leaves).weights.tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """

    x: Tensor  # (b, n, d)
    y: Tensor  # (b, n, c)
    weights: Tensor  # (b, n) float64; 0 for what is filled up, and for nothing else
    counts: tuple[int, ...]  # the leaves' own rows, which come first

    @classmethod
    def of(cls, leaves: Sequence[LeafRows]) -> PaddedRows:
        """Fill up the rows of some leaves."""
        weights = [torch.ones_like(leaf.y[:, 0]) if leaf.weights is None else leaf.weights for leaf in leaves]
        return cls(
            x=pad_sequence([leaf.x for leaf in leaves], batch_first=True),
            y=pad_sequence([leaf.y for leaf in leaves], batch_first=True),
            weights=pad_sequence([own.double() for own in weights], batch_first=True),
            counts=tuple(len(leaf.x) for leaf in leaves),
        )

    @property
    def are_real(self) -> Tensor:
        """Which rows are a leaf's own ``(b, n)``."""
        return self.weights > 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnRows:
    """Rows drawn from each leaf of a batch, filled up with its first row, which then weighs nothing."""

    rows: Tensor  # (b, s) row numbers
    weights: Tensor  # (b, s) float64; 0 for what is filled up

    @classmethod
    def draw(cls, batch: PaddedRows, leaves: Sequence[LeafRows], count: int) -> DrawnRows:
        """Draw ``count`` rows of each leaf, as :func:`draw_rows` does for a single one."""
        drawn = [draw_rows(len(leaf.x), count, leaf.generator) for leaf in leaves]
        device = batch.x.device
        rows = pad_sequence(drawn, batch_first=True).to(device)
        own = pad_sequence([torch.ones(len(numbers)) for numbers in drawn], batch_first=True).to(device)
        return cls(rows=rows, weights=batch.weights.gather(1, rows) * own)

    def of(self, values: Tensor) -> Tensor:  # (b, n, k) -> (b, s, k)
        """The values of the drawn rows."""
        return values.gather(1, self.rows[:, :, None].expand(-1, -1, values.shape[2]))


def batch_bytes(rows: int, features: int, outputs: int) -> int:
    """What each leaf of a batch holds at its largest: pairs of rows, rows, gradients, and full metrics.

    Of a pair there are, at once, its kernel value, twice its number in float64, and as much for what
    torch's operations hold while they run.

    >>> batch_bytes(1_000, 50, 1) // 2**20
    34
    """
    pairs, sides = 32 * rows**2, 48 * rows * features
    return pairs + sides + 32 * rows * outputs * features + 48 * features**2
