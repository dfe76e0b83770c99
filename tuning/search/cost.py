"""What a fit takes, learned from the fits so far, so that none is started that cannot end in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from xrfm_cli.leaf_models import LINEAR_FAMILIES
from xrfm_cli.tuning.search.space import Candidate

RATE_ROWS = 1_000  # size of the matrix products that measure the machine
RATE_S = 0.15  # for which it is measured at least: a core that has rested is slow at first
SHORTEST_S = 1e-6
SAFETY = 1.15
FACTORISATION_SHARE = 0.6  # of the rate of matrix products, that a factorisation in panels reaches
LEAST_SHARE = 0.2  # of a fit's seconds, that its pairs of rows take at least
GRADIENT_PAIRS = 2  # pairs of the kernel that a pair of a metric update costs as much as
VOTING_LEAVES = 4  # leaves that are asked for a row, when softness is chosen
LOGISTIC_SOLVES = 2  # factorisations of a solve for log odds, as a rule
LINEAR_PAIRS = 100  # pairs that a row of a linear leaf counts as
WORTHWHILE = 0.8  # of the seconds of a fit, that one with smaller leaves takes at most
SMALLEST_LEAF = 500  # rows of a leaf, to which a time limit may bring it


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSize:
    """What the cost of a fit depends on, besides the number of its solves."""

    family: str  # of kernels whose pairs cost about as much as each other
    rows: int
    leaf_size: int
    validated: int  # rows that are predicted after every solve
    agop_rows: int  # of a leaf, that a metric update draws at most
    split_rows: int = 0  # of a node, that its direction is found with at most
    steps: int = 1  # factorisations of a solve

    def pairs(self, solves: int) -> float:
        """Pairs of a row and a center whose kernel value is computed, and what costs as much.

        >>> size = FitSize(family="l2", rows=1000, leaf_size=4000, validated=500, agop_rows=2000)
        >>> size.pairs(1), size.pairs(2)
        (1500000.0, 5000000.0)
        """
        nodes, drawn = self._splits
        splits = (1 + GRADIENT_PAIRS) * nodes * drawn**2
        if self.family in LINEAR_FAMILIES:
            return float(LINEAR_PAIRS * self.rows * solves) + splits
        leaves, own = self._leaves
        kernels = leaves * own**2 + self.validated * own * min(leaves, VOTING_LEAVES)
        gradients = GRADIENT_PAIRS * leaves * own * min(own, self.agop_rows)
        return solves * kernels + (solves - 1) * gradients + splits

    def products(self, solves: int) -> float:
        """Multiply-adds of the factorisations.

        >>> FitSize(family="l2", rows=6000, leaf_size=4000, validated=0, agop_rows=0).products(1)
        9000000000.0
        """
        nodes, drawn = self._splits
        splits = nodes * drawn**3 / 6
        if self.family in LINEAR_FAMILIES:
            return splits
        leaves, own = self._leaves
        return solves * self.steps * leaves * own**3 / 6 + splits

    @property
    def _leaves(self) -> tuple[int, float]:
        """How many leaves, and the rows of each."""
        leaves = leaf_count(self.rows, self.leaf_size)
        return leaves, self.rows / leaves

    @property
    def _splits(self) -> tuple[int, float]:
        """How many nodes are split, and the rows drawn for each; most nodes are as small as two leaves."""
        leaves, own = self._leaves
        return leaves - 1, min(float(self.split_rows), 2 * own)


class CostModel:
    """Seconds of fits: those of their factorisations from the machine's rate, the rest from what was seen.

    >>> model = CostModel(product_rate=1e12)
    >>> small = FitSize(family="l2", rows=1000, leaf_size=10_000, validated=500, agop_rows=2000)
    >>> large = FitSize(family="l2", rows=3000, leaf_size=10_000, validated=500, agop_rows=2000)
    >>> model.record(small, seconds=1.0, solves=1)
    >>> round(model.estimate(small, solves=1), 2), round(model.estimate(large, solves=1), 1)
    (1.15, 8.1)
    """

    def __init__(self, *, product_rate: float) -> None:
        self._factor_rate = FACTORISATION_SHARE * product_rate  # multiply-adds a second
        self._pair_seconds: dict[str, float] = {}

    def record(self, size: FitSize, *, seconds: float, solves: int) -> None:
        """Remember a finished fit; the latest of a family counts as much as all before."""
        solves = max(solves, 1)
        products = size.products(solves)
        # What has been seen is possible: the machine may have been slower, or busy, when it was measured.
        self._factor_rate = max(self._factor_rate, products / max((1 - LEAST_SHARE) * seconds, SHORTEST_S))
        rest = max(seconds - products / self._factor_rate, LEAST_SHARE * seconds)
        found = rest / size.pairs(solves)
        before = self._pair_seconds.get(size.family, found)
        self._pair_seconds[size.family] = (before + found) / 2

    def estimate(self, size: FitSize, *, solves: int) -> float:
        """Expected seconds, with some reserve; 0 while nothing is known."""
        known = self._pair_seconds
        if not known:
            return 0.0
        if size.family in known:
            each = known[size.family]
        else:  # the slowest of the other families is all that can be said
            linear = size.family in LINEAR_FAMILIES
            alike = [rate for family, rate in known.items() if (family in LINEAR_FAMILIES) == linear]
            each = max(alike, default=0.0)
        return SAFETY * (each * size.pairs(solves) + size.products(solves) / self._factor_rate)


def leaf_count(rows: int, leaf_size: int) -> int:
    """Leaves of a tree that is halved until none has more rows than that.

    >>> leaf_count(6000, 4000), leaf_count(4000, 4000)
    (2, 1)
    """
    leaves = 1
    while rows / leaves > leaf_size:
        leaves *= 2
    return leaves


def shrink_leaves(candidate: Candidate, seconds_of: Callable[[Candidate], float], left: float) -> Candidate:
    """A candidate with its leaves halved until it ends in the seconds left, or as near as that comes.

    Leaves stay as they are where halving them saves little: finding a split takes time too.
    """
    found = tried = candidate
    seconds = seconds_of(found)
    while seconds > left and tried.tree.leaf_size // 2 >= SMALLEST_LEAF:
        tried = tried.with_leaf_size(tried.tree.leaf_size // 2)
        tried_seconds = seconds_of(tried)
        if tried_seconds < WORTHWHILE * seconds:  # or all rows are one leaf still
            found, seconds = tried, tried_seconds
    return found


def product_rate(device: str) -> float:
    """Multiply-adds a second in float32: the fastest of several products of matrices on the device."""
    matrix = torch.ones(RATE_ROWS, RATE_ROWS, device=device)
    seconds, tries = float("inf"), 0
    end = time.perf_counter() + RATE_S
    while tries < 3 or time.perf_counter() < end:  # the first one starts threads and is seldom the fastest
        began = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # waits for the device
        seconds = min(seconds, time.perf_counter() - began)
        tries += 1
    return RATE_ROWS**3 / max(seconds, SHORTEST_S)


def cost_family(candidate: Candidate) -> str:
    """Kernels whose pairs cost about as much as each other; wider matrices of the same table cost more."""
    if candidate.family in LINEAR_FAMILIES:
        return candidate.family
    pieces = ", pieces" if candidate.encoding.numeric == "piecewise" else ""
    return candidate.family + pieces + (", log odds" if candidate.transform == "logit" else "")


def fit_size(candidate: Candidate, rows: int, *, validated: int) -> FitSize:
    """The size of a candidate's fit on so many rows."""
    return FitSize(
        family=cost_family(candidate),
        rows=rows,
        leaf_size=candidate.tree.leaf_size,
        validated=validated,
        agop_rows=candidate.tree.leaf.agop_rows,
        split_rows=candidate.tree.split_rows,
        steps=LOGISTIC_SOLVES if candidate.transform == "logit" else 1,
    )
