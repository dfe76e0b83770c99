"""What a fit takes, learned from the fits so far, so that none is started that cannot end in time."""

from __future__ import annotations

from collections import defaultdict

GROWTH = 2.5  # seconds grow like rows ** GROWTH: between the kernel matrix and its factorisation
SAFETY = 1.15


class CostModel:
    """Seconds of a fit by kernel family and number of rows.

    >>> model = CostModel()
    >>> model.record("l2", 1000, seconds=2.0, solves=4)
    >>> round(model.estimate("l2", 1000), 2), round(model.estimate("l2", 4000), 1)
    (2.3, 73.6)
    >>> round(model.estimate_solve("l2", 1000), 3)
    0.575
    """

    def __init__(self) -> None:
        self._fits: dict[str, dict[int, float]] = defaultdict(dict)
        self._solves: dict[str, dict[int, float]] = defaultdict(dict)

    def record(self, family: str, rows: int, *, seconds: float, solves: int) -> None:
        """Remember a finished fit of so many solves; the slowest of its kind counts."""
        for known, value in ((self._fits[family], seconds), (self._solves[family], seconds / max(solves, 1))):
            known[rows] = max(value, known.get(rows, 0.0))

    def estimate(self, family: str, rows: int) -> float:
        """Expected seconds of a whole fit, 0 while nothing is known."""
        return self._extrapolated(self._fits, family, rows)

    def estimate_solve(self, family: str, rows: int) -> float:
        """Expected seconds of one solve with its metric update."""
        return self._extrapolated(self._solves, family, rows)

    @staticmethod
    def _extrapolated(seconds: dict[str, dict[int, float]], family: str, rows: int) -> float:
        # Of a family not seen yet, the slowest of the others is all that can be said.
        known_families = [family] if seconds.get(family) else list(seconds)
        estimates = []
        for name in known_families:
            known = seconds[name]
            nearest = min(known, key=lambda r: abs(r - rows))
            estimates.append(
                SAFETY * known[nearest] * (rows / nearest) ** (GROWTH if rows > nearest else 1.0)
            )
        return max(estimates, default=0.0)
