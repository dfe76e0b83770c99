"""Cost model of fits, learned from the fits so far: a fit starts only if it can finish in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from xrfm_cli.leaf_models import LINEAR_FAMILIES
from xrfm_cli.leaf_models.solvers.iterative import is_iterative
from xrfm_cli.tuning.limits import leaf_count
from xrfm_cli.tuning.search.candidate import Candidate

RATE_ROWS = 1_000  # size of the matrix products that measure the machine
RATE_S = 0.15  # minimum duration of the measurement: an idle core starts slowly
SHORTEST_S = 1e-6
SAFETY = 1.15
FACTORISATION_SHARE = 0.6  # rate of a blocked factorisation, as a share of the rate of matrix products
LEAST_SHARE = 0.2  # minimum share of a fit's seconds that is attributed to its pairs of rows
GRADIENT_PAIRS = 2  # cost of a pair in an AGOP update, in kernel pairs
# An iterative solve takes 5 to 60 steps. Each reads the matrix from memory, which takes as long as
# STEP_PRODUCTS multiply-adds for each number. The preconditioner takes rows ** 3 / PRECONDITIONER_SHARE.
ITERATIVE_STEPS, STEP_PRODUCTS, PRECONDITIONER_SHARE = 30, 15, 200
VOTING_LEAVES = 4  # leaves evaluated per row when the softness is chosen
# Usual number of factorisations in a solve of a loss.
SOLVES = {"logistic": 2, "poisson": 3, "gamma": 3, "absolute": 7, "quantile": 7}
LINEAR_PAIRS = 100  # cost of a row of a linear leaf, in pairs
REFINED = ", refined"  # ends the family of a kernel's refinement
ON_PIECES = ", pieces"  # in the family of kernels on piecewise-linear encodings, which have many more columns
WORTHWHILE = 0.8  # smaller leaves must reduce a fit's seconds to at most this share
SMALLEST_LEAF = 500  # fewest rows of a leaf that a time limit may lead to


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSize:
    """The facts that the cost of a fit depends on, besides its number of solves."""

    family: str  # of kernels with a similar cost per pair
    rows: int
    leaf_size: int
    validated: int  # number of rows predicted after every solve
    agop_rows: int  # maximum number of a leaf's rows drawn for an AGOP update
    split_rows: int = 0  # maximum number of a node's rows used to find its direction
    steps: int = 1  # factorisations per solve
    ridge: float = 1.0

    def pairs(self, solves: int) -> float:
        """Return the number of row-center pairs with a kernel value, plus other work counted in such pairs.

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

    def products(self, solves: int, *, directly: bool = False) -> float:
        """Return the number of multiply-adds of the factorisations, and of iterative solves' preconditioners.

        >>> FitSize(family="l2", rows=6000, leaf_size=4000, validated=0, agop_rows=0).products(1)
        9000000000.0
        """
        nodes, drawn = self._splits
        splits = nodes * drawn**3 / 6
        if self.family in LINEAR_FAMILIES:
            return splits
        leaves, own = self._leaves
        share = 6 if self._is_factorised(own, directly=directly) else PRECONDITIONER_SHARE
        return solves * self.steps * leaves * own**3 / share + splits

    def numbers(self, solves: int, *, directly: bool = False) -> float:
        """Return the numbers of the kernel matrices that are solved iteratively.

        >>> FitSize(family="l2", rows=8000, leaf_size=10_000, validated=0, agop_rows=0).numbers(2)
        128000000.0
        """
        leaves, own = self._leaves
        if self.family in LINEAR_FAMILIES or self._is_factorised(own, directly=directly):
            return 0.0
        return solves * self.steps * leaves * own**2

    def _is_factorised(self, rows: float, *, directly: bool) -> bool:
        return directly or not is_iterative(rows, self.ridge)

    @property
    def _leaves(self) -> tuple[int, float]:
        """Return the number of leaves and the rows of each."""
        leaves = leaf_count(self.rows, self.leaf_size)
        return leaves, self.rows / leaves

    @property
    def _splits(self) -> tuple[int, float]:
        """Return the number of splits and the rows drawn for each; most nodes are as small as two leaves."""
        leaves, own = self._leaves
        return leaves - 1, min(float(self.split_rows), 2 * own)


class CostModel:
    """Time model of fits: factorisations from the machine's rate, the rest from recorded fits.

    >>> model = CostModel(product_rate=1e12)
    >>> small = FitSize(family="l2", rows=1000, leaf_size=10_000, validated=500, agop_rows=2000)
    >>> large = FitSize(family="l2", rows=3000, leaf_size=10_000, validated=500, agop_rows=2000)
    >>> model.record(small, seconds=1.0, solves=1)
    >>> round(model.estimate(small, solves=1), 2), round(model.estimate(large, solves=1), 1)
    (1.15, 8.1)
    """

    def __init__(self, *, product_rate: float, directly: bool = False) -> None:
        self._directly = directly  # whether leaves of any size are factorised, as on a GPU
        self._factor_rate = FACTORISATION_SHARE * product_rate  # multiply-adds per second
        self._number_seconds = ITERATIVE_STEPS * STEP_PRODUCTS / product_rate  # of an iterative solve
        self._pair_seconds: dict[str, float] = {}

    def record(self, size: FitSize, *, seconds: float, solves: int) -> None:
        """Record a finished fit; the latest fit of a family weighs as much as all before it."""
        solves = max(solves, 1)
        products = size.products(solves, directly=self._directly)
        numbers = size.numbers(solves, directly=self._directly)
        # An observed rate is achievable: the machine may have been slower, or busy, when it was measured.
        most = max((1 - LEAST_SHARE) * seconds, SHORTEST_S)
        if numbers:
            self._number_seconds = min(self._number_seconds, most / numbers)
        self._factor_rate = max(self._factor_rate, products / most)
        solving = products / self._factor_rate + numbers * self._number_seconds
        found = max(seconds - solving, LEAST_SHARE * seconds) / size.pairs(solves)
        before = self._pair_seconds.get(size.family, found)
        self._pair_seconds[size.family] = (before + found) / 2

    def estimate(self, size: FitSize, *, solves: int) -> float:
        """Return the expected seconds, with a reserve; 0 before the first recorded fit."""
        if not self._pair_seconds:
            return 0.0
        each = self._seconds_a_pair(size.family)
        products = size.products(solves, directly=self._directly)
        solving = products / self._factor_rate
        solving += size.numbers(solves, directly=self._directly) * self._number_seconds
        return SAFETY * (each * size.pairs(solves) + solving)

    def knows(self, family: str) -> bool:
        """Return whether fits of a kernel family were recorded, on this encoding of numbers or on another."""
        return family.removesuffix(REFINED).replace(ON_PIECES, "") in self._pair_seconds

    def _seconds_a_pair(self, family: str) -> float:
        """Return the recorded seconds of a pair, or what similar families lead to expect."""
        known = self._pair_seconds
        family = family if family in known else family.removesuffix(REFINED)  # which shares its distances
        if family in known:
            return known[family]
        linear = family in LINEAR_FAMILIES
        alike = [rate for other, rate in known.items() if (other in LINEAR_FAMILIES) == linear]
        whole = family.replace(ON_PIECES, "")
        if whole in known:  # pieces slow it down as much as they do the other kernels
            alike.append(known[whole] * self._slowdown_of_pieces())
        return max(alike, default=0.0)

    def _slowdown_of_pieces(self) -> float:
        """Return how many times as long a pair takes on pieces, at most, of the kernels known on both."""
        known = self._pair_seconds
        wholes = {name: name.replace(ON_PIECES, "") for name in known if ON_PIECES in name}
        return max(
            (known[name] / known[whole] for name, whole in wholes.items() if whole in known), default=1.0
        )


def shrink_leaves(candidate: Candidate, seconds_of: Callable[[Candidate], float], left: float) -> Candidate:
    """Halve a candidate's leaves until it finishes in the seconds left, or as near as that comes.

    Leaves are kept if halving them saves little, because finding a split takes time too.
    """
    found = tried = candidate
    seconds = seconds_of(found)
    while seconds > left and tried.tree.leaf_size // 2 >= SMALLEST_LEAF:
        tried = tried.with_leaf_size(tried.tree.leaf_size // 2)
        tried_seconds = seconds_of(tried)
        if tried_seconds < WORTHWHILE * seconds:  # otherwise, for example, all rows are still one leaf
            found, seconds = tried, tried_seconds
    return found


def product_rate(device: str) -> float:
    """Return float32 multiply-adds per second: the fastest of several matrix products on the device."""
    matrix = torch.ones(RATE_ROWS, RATE_ROWS, device=device)
    seconds, tries = float("inf"), 0
    end = time.perf_counter() + RATE_S
    while tries < 3 or time.perf_counter() < end:  # the first run starts threads and is rarely the fastest
        began = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # waits for the device
        seconds = min(seconds, time.perf_counter() - began)
        tries += 1
    return RATE_ROWS**3 / max(seconds, SHORTEST_S)


def cost_family(candidate: Candidate) -> str:
    """Return the cost family: kernels with a similar cost per pair; wider encodings of a table cost more."""
    if candidate.family in LINEAR_FAMILIES:
        return candidate.family
    pieces = ON_PIECES if candidate.encoding.numeric == "piecewise" else ""
    loss = candidate.tree.leaf.loss
    pieces += ", squares" if candidate.starts_from_squares else ""
    return candidate.family + pieces + (f", {loss}" if loss in SOLVES else "")


def fit_size(candidate: Candidate, rows: int, *, validated: int) -> FitSize:
    """Return the size of a candidate's fit on a number of rows."""
    return FitSize(
        family=cost_family(candidate),
        rows=rows,
        leaf_size=candidate.tree.leaf_size,
        validated=validated,
        agop_rows=candidate.tree.leaf.agop_rows,
        split_rows=candidate.tree.split_rows,
        steps=SOLVES.get(candidate.tree.leaf.loss, 1),
        ridge=candidate.tree.leaf.ridge,
    )
