"""The command without one of its mechanisms: ``python -m benchmarks.ablated refinement fit data.csv ...``.

:mod:`benchmarks.ablations` runs it in place of ``xrfm``. Each entry of ``ABLATIONS`` takes one mechanism out
of this process, before the command starts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _without_refinement() -> None:
    from xrfm_cli.tuning.search import trial

    trial.can_refine = lambda candidate, rows: False


def _without_families() -> None:
    from xrfm_cli.tuning.search import search

    def halving(**facts: Any) -> Any:
        return original(**facts | {"keeps_families": False})

    original = search.Halving
    search.Halving = halving  # type: ignore[assignment, misc]


def _without_own_minimiser() -> None:
    from xrfm_cli.tuning.scoring import calibration

    calibration._minimise = minimise_with_scipy


def minimise_with_scipy(
    objective: Any, start: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Minimise by SciPy's L-BFGS-B on one thread; its OpenBLAS would otherwise busy-wait beside torch."""
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    def value_and_gradient(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_p = objective._log_p(theta)
        miss = (np.exp(log_p) - objective.y_true) * objective.weights[:, None]
        slopes = np.array([(miss * term).sum() for term in objective.terms])
        gradient = np.concatenate([slopes, miss.sum(0)]) if len(theta) > 2 else slopes
        return objective._value(theta, log_p), gradient + objective.prior * (theta - objective.center)

    with threadpool_limits(1, user_api="blas"):
        found = minimize(
            value_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"gtol": 1e-9, "ftol": 0.0, "maxiter": 500},
        )
    return np.asarray(found.x)


ABLATIONS: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "refinement": _without_refinement,  # of the kernel, after the first rung
    "families": _without_families,  # the best trial of each kernel family continues, with a hold-out
    "own-minimiser": _without_own_minimiser,  # of calibrators; SciPy's L-BFGS-B in its place
}


def main() -> None:
    """Take the mechanism out and run the command."""
    name = sys.argv.pop(1)
    ABLATIONS[name]()
    from xrfm_cli import __main__ as command

    command.main()


if __name__ == "__main__":
    main()
