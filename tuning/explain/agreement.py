"""Sentences about limits of a list of importances: measures that disagree, and correlated columns."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.explain.held_out_records import HeldOut
from xrfm_cli.tuning.explain.sample import Sample
from xrfm_cli.tuning.explain.shares import ColumnShare

Array = NDArray[np.float64]
CORRELATED = 0.7  # columns that share half of their variance
WORTH_A_LOOK = 0.3  # correlation of two coordinates, before that of whole columns is computed
TINY = 1e-300
COMPARED = 10  # strongest columns
LEAST_SHARE = 0.02  # weaker columns are left out of the comparison
MOST_SENTENCES = 3
UNCONFIRMED_SHARE = 0.05  # of columns together, from which a sentence names it
FEW_ROWS = 200  # with fewer rows, sampling alone gives the shares errors of a few percent


class Ranged(Protocol):
    """A measure of a column with its range."""

    @property
    def column(self) -> str:
        """Return the column."""

    @property
    def low(self) -> float:
        """Return the low end."""

    @property
    def high(self) -> float:
        """Return the high end."""


def disagreement(
    shares: Sequence[ColumnShare], agop: Sequence[Ranged], held_out: HeldOut | None
) -> list[str]:
    """Return a sentence for each measure that ranks two columns the other way, beyond both ranges."""
    strong = [item for item in shares[:COMPARED] if item.share >= LEAST_SHARE]
    sentences = []
    if held_out is not None:
        drops = {
            item.column: (item.low, item.high)
            for item in held_out.columns
            if item.low is not None and item.high is not None
        }
        pair = _reversed(strong, drops)
        if pair:
            sentences.append(
                f"The measures disagree: '{pair[0]}' has a larger share of the variance than '{pair[1]}', "
                f"but the held-out {held_out.metric} loses more if '{pair[1]}' is permuted."
            )
    pair = _reversed(strong, {item.column: (item.low, item.high) for item in agop})
    if pair:
        sentences.append(
            f"The AGOP ranks '{pair[1]}' before '{pair[0]}': it measures how steep the prediction is, so it "
            "counts wiggles and leaves out the jumps at splits."
        )
    return sentences


def _reversed(
    strong: Sequence[ColumnShare], ranges: dict[str, tuple[float, float]]
) -> tuple[str, str] | None:
    """Return two columns that the shares and another measure rank differently; the larger share is first."""
    for place, one in enumerate(strong):
        for two in strong[place + 1 :]:
            if one.column not in ranges or two.column not in ranges or one.low <= two.high:
                continue
            if ranges[one.column][1] < ranges[two.column][0]:
                return one.column, two.column
    return None


def equal_shares(columns: Sequence[str], together: Sequence[int]) -> list[str]:
    """Return a sentence about the weak columns that were swapped together, because predictions are slow.

    >>> equal_shares(("a", "b", "c"), (1, 2))
    ["2 weak columns, such as 'b', were measured together and have equal shares of their joint effect."]
    """
    if len(together) < 2:
        return []
    return [
        f"{len(together):,} weak columns, such as '{columns[together[0]]}', were measured together and have "
        "equal shares of their joint effect."
    ]


def unmeasured(held_out: HeldOut | None) -> list[str]:
    """Return a sentence if no held-out rows tell the columns from chance, or no models were compared."""
    if held_out is not None:
        if any(item.deviation is not None for item in held_out.columns):
            return []
        return ["Ranges are those of the rows alone: no other models were measured, which may differ more."]
    return [
        "No held-out rows tell columns and pairs from chance, and ranges are those of the rows alone: "
        "the fit had no time left to measure them. Fit with a longer limit, or give DATA with the target."
    ]


def unconfirmed(shares: Sequence[ColumnShare], above_chance: Set[str]) -> list[str]:
    """Return a sentence if columns that held-out rows do not confirm have much of the variance.

    >>> items = [ColumnShare(column=name, share=0.5, low=0, high=1) for name in ("a", "b")]
    >>> unconfirmed(items, {"a"})
    ['Held-out rows do not confirm 1 column, which has 50.0% of the variance: it may be noise.']
    """
    rest = [item.share for item in shares if item.share > 0 and item.column not in above_chance]
    if sum(rest) < UNCONFIRMED_SHARE:
        return []
    which = "1 column, which has" if len(rest) == 1 else f"{len(rest):,} columns, which have"
    together = " together" if len(rest) > 1 else ""
    return [
        f"Held-out rows do not confirm {which} {sum(rest):.1%} of the variance{together}: it may be noise."
    ]


def few_rows(measured: int, wanted: int) -> list[str]:
    """Return a sentence if predictions are so slow that the shares come from few rows.

    >>> few_rows(60, 1000)
    ['Predictions of this model are slow: the shares are those of 60 rows, so their ranges are wide.']
    """
    if measured >= min(FEW_ROWS, wanted):
        return []
    return [
        f"Predictions of this model are slow: the shares are those of {measured:,} rows, so their ranges are "
        "wide."
    ]


def correlated(shares: Sequence[ColumnShare], sample: Sample) -> list[str]:
    """Return sentences about strong columns that are correlated with others, the strongest first.

    The correlation of categories is the root of the share of one column's variance that the other explains.
    """
    if sample.source == "profile" or sample.n_rows < 3:
        return []
    key = next(iter(sample.matrices))
    x = sample.matrices[key].astype(np.float64)
    x -= x.mean(0)
    sizes = np.linalg.norm(x, axis=0)
    found: list[tuple[float, str, str]] = []
    seen: set[frozenset[str]] = set()
    for item in shares[:COMPARED]:
        if item.share < LEAST_SHARE:
            break
        own = x[:, sample.coordinates[key][sample.columns.index(item.column)]]
        alike = np.abs(own.T @ x / np.maximum(np.outer(np.linalg.norm(own, axis=0), sizes), TINY)).max(
            0, initial=0.0
        )
        for number, other in enumerate(sample.columns):
            pair, parts = frozenset((item.column, other)), sample.coordinates[key][number]
            if len(pair) == 1 or pair in seen or alike[parts].max(initial=0.0) < WORTH_A_LOOK:
                continue
            value = _correlation(own, x[:, parts])
            if value >= CORRELATED:
                seen.add(pair)
                found.append((value, item.column, other))
    found.sort(key=lambda own: -own[0])
    return [
        f"'{one}' and '{two}' are correlated ({value:.2f}): the model may give the credit to either."
        for value, one, two in found[:MOST_SENTENCES]
    ]


def _correlation(one: Array, two: Array) -> float:  # (n, a), (n, b), centred
    """Return the multiple correlation of the coordinates of one column with those of another."""
    total = float(np.square(one).sum())
    if not total or not two.shape[1]:
        return 0.0
    basis, sizes, _ = np.linalg.svd(two, full_matrices=False)
    basis = basis[:, sizes > 1e-6 * max(1.0, sizes[0])]
    return float(np.square(basis.T @ one).sum() / total) ** 0.5
