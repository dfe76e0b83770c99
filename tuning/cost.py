"""What a fit takes, learned from the fits so far, so that none is started that cannot end in time."""

from __future__ import annotations

from collections import defaultdict

from xrfm_cli.leaf_models import LINEAR_FAMILIES

GROWTH = 2.5  # seconds of a leaf grow like rows ** GROWTH: between the kernel matrix and its factorisation
SAFETY = 1.15


class CostModel:
    """Seconds of a solve, with its metric update, by kernel family and number of rows.

    Up to ``leaf_size`` rows there is one leaf; a larger tree takes time in proportion to its leaves. Linear
    leaves take time in proportion to their rows.

    >>> model = CostModel(leaf_size=4000)
    >>> model.record("l2", 1000, seconds=2.0, solves=2)
    >>> round(model.estimate("l2", 1000, solves=2), 2)
    2.3
    >>> round(model.estimate("l2", 4000, solves=1), 1), round(model.estimate("l2", 8000, solves=1), 1)
    (36.8, 73.6)
    """

    def __init__(self, leaf_size: int) -> None:
        self._leaf_size = leaf_size
        self._solves: dict[str, dict[int, float]] = defaultdict(dict)

    def record(self, family: str, rows: int, *, seconds: float, solves: int) -> None:
        """Remember a finished fit of so many solves; the slowest of its kind counts."""
        known = self._solves[family]
        known[rows] = max(seconds / max(solves, 1), known.get(rows, 0.0))

    def estimate(self, family: str, rows: int, *, solves: int) -> float:
        """Expected seconds, 0 while nothing is known."""
        # Of a family not seen yet, the slowest of the others is all that can be said.
        families = [family] if self._solves.get(family) else list(self._solves)
        estimates = []
        for name in families:
            known = self._solves[name]
            nearest = min(known, key=lambda r: abs(r - rows))
            # Fewer rows are not trusted to take less than in proportion: much of a small fit is overhead.
            linear = rows <= nearest or name in LINEAR_FAMILIES
            growth = rows / nearest if linear else self._work(rows) / self._work(nearest)
            estimates.append(SAFETY * solves * known[nearest] * growth)
        return max(estimates, default=0.0)

    def _work(self, rows: int) -> float:
        return rows * float(min(rows, self._leaf_size)) ** (GROWTH - 1)
