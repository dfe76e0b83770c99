"""Every way to solve kernel ridge regression gives the same coefficients.

``(K + ridge diag(1/w)) alpha = Y`` is the normal equation of ``sum_i w_i (y_i - f(x_i))^2 + ridge |f|^2``
(Saunders, Gammerman and Vovk, ICML 1998, for equal weights). ``solve_ridge`` factorises it in its own panels
and polishes; against it stand LAPACK's LU, Cholesky and LDL factorisations, the eigendecomposition formula,
the least-squares problem that never forms ``K + ridge I``, two Krylov methods, and scikit-learn.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg
import torch
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor

from tests.leaf_variants import generator
from xrfm_cli.leaf_models import Kernel, NormKernel, SumPowerKernel, solve_ridge

TOLERANCE = next(  # SciPy renamed it in 1.12
    name for name in ("rtol", "tol") if name in inspect.signature(scipy.sparse.linalg.cg).parameters
)
Solver = Callable[[Tensor, Tensor, float, Tensor], Tensor]  # kernel, targets, ridge, weights


def regularised(kernel: Tensor, ridge: float, weights: Tensor) -> Tensor:
    """``K + ridge diag(1/w)``."""
    return kernel + torch.diag(ridge / weights)


def by_library(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor) -> Tensor:
    solution = solve_ridge(kernel.clone(), y, ridge, weights)
    assert solution.jitter == 0.0
    return solution.coefficients


def by_library_in_float32(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor) -> Tensor:
    return by_library(kernel.float(), y.float(), ridge, weights.float()).double()


def by_lu(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor) -> Tensor:
    return torch.linalg.solve(regularised(kernel, ridge, weights), y)


def by_cholesky(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor) -> Tensor:
    return torch.cholesky_solve(y, torch.linalg.cholesky(regularised(kernel, ridge, weights)))


def by_ldl(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor) -> Tensor:
    matrix = regularised(kernel, ridge, weights).numpy()
    return torch.from_numpy(scipy.linalg.solve(matrix, y.numpy(), assume_a="sym"))


def by_lapack_cholesky(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor) -> Tensor:
    matrix = regularised(kernel, ridge, weights).numpy()
    return torch.from_numpy(scipy.linalg.solve(matrix, y.numpy(), assume_a="pos"))


def by_eigendecomposition(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor) -> Tensor:
    """``S V (values + ridge)^-1 V^T S Y`` with ``S K S = V diag(values) V^T`` and ``S = diag(w)^(1/2)``."""
    root = weights.sqrt()[:, None]
    values, vectors = torch.linalg.eigh(root * kernel * root.T)
    return root * (vectors @ ((vectors.T @ (root * y)) / (values + ridge)[:, None]))


def by_least_squares(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor) -> Tensor:
    """``min |W^(1/2) (L beta - Y)|^2 + ridge |beta|^2`` with ``K = L L^T``; then ``L^T alpha = beta``."""
    lower, root = torch.linalg.cholesky(kernel), weights.sqrt()[:, None]
    design = torch.cat([root * lower, ridge**0.5 * torch.eye(len(kernel), dtype=kernel.dtype)])
    target = torch.cat([root * y, torch.zeros_like(y)])
    beta = torch.from_numpy(scipy.linalg.lstsq(design.numpy(), target.numpy(), lapack_driver="gelsy")[0])
    return torch.linalg.solve_triangular(lower.T, beta, upper=True)


def by_krylov(method: Callable[..., tuple[np.ndarray, int]], **options: float) -> Solver:
    """A Krylov method of scipy, one output after another."""

    def solve(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor) -> Tensor:
        matrix = regularised(kernel, ridge, weights).numpy()
        limits = {TOLERANCE: 1e-13, "maxiter": 20 * len(matrix)}
        columns = []
        for column in y.T.numpy():
            found, failure = method(matrix, column, **limits, **options)
            assert not failure
            columns.append(torch.from_numpy(found))
        return torch.stack(columns, dim=1)

    return solve


def by_scikit_learn(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor) -> Tensor:
    model = KernelRidge(alpha=ridge, kernel="precomputed")
    model.fit(kernel.numpy(), y.numpy(), sample_weight=weights.numpy())
    return torch.from_numpy(model.dual_coef_)


SOLVERS: dict[str, Solver] = {
    "solve_ridge": by_library,
    "solve_ridge in float32": by_library_in_float32,
    "LU": by_lu,
    "Cholesky": by_cholesky,
    "LDL": by_ldl,
    "LAPACK posv": by_lapack_cholesky,
    "eigendecomposition": by_eigendecomposition,
    "least squares": by_least_squares,
    "conjugate gradients": by_krylov(scipy.sparse.linalg.cg, atol=0.0),
    "MINRES": by_krylov(scipy.sparse.linalg.minres),
    "scikit-learn": by_scikit_learn,
}
KERNELS: dict[str, Kernel] = {
    "norm p=1": NormKernel(p=1.0, q=1.0, bandwidth=4.0),
    "norm p=1.5": NormKernel(p=1.5, q=1.2, bandwidth=3.0),
    "norm p=2": NormKernel(p=2.0, q=1.0, bandwidth=3.0),
    "sum_power": SumPowerKernel(q=1.0, power=2, constant=0.1, bandwidth=2.0),
}


def tolerance(*names: str) -> float:
    """Of the relative error: float32 rounds the kernel matrix; float64 is left with its conditioning."""
    return 1e-4 if "solve_ridge in float32" in names else 1e-8


def problem(kernel: Kernel, n: int, outputs: int, *, weighted: bool) -> tuple[Tensor, Tensor, Tensor]:
    """A kernel matrix, noisy targets, and weights of a wide range or of one."""
    source = generator(n + outputs)
    x = torch.randn(n, 4, generator=source, dtype=torch.float64)
    y = x[:, :1].sin() + torch.randn(n, outputs, generator=source, dtype=torch.float64)
    weights = torch.rand(n, generator=source, dtype=torch.float64) * 5 + 0.05
    return kernel.matrix(x, x), y, weights if weighted else torch.ones_like(weights)


def error(left: Tensor, right: Tensor) -> float:
    """Relative, in the Euclidean norm."""
    return float((left - right).norm() / right.norm())


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("ridge", [1e-4, 1e-1, 10.0])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=list(KERNELS))
def test_every_solver_agrees_with_every_other(
    kernel: Kernel, ridge: float, outputs: int, weighted: bool
) -> None:
    gram, y, weights = problem(kernel, 70, outputs, weighted=weighted)
    found = {name: solve(gram, y, ridge, weights) for name, solve in SOLVERS.items()}
    apart = {
        (left, right): error(found[left], found[right])
        for left, right in combinations(SOLVERS, 2)
        if not error(found[left], found[right]) < tolerance(left, right)
    }
    assert not apart


@pytest.mark.parametrize("name", SOLVERS)
def test_the_tolerance_tells_another_ridge_and_other_weights(name: str) -> None:
    gram, y, weights = problem(KERNELS["norm p=2"], 70, 3, weighted=True)
    solve = SOLVERS[name]
    found = solve(gram, y, 0.1, weights)
    assert error(solve(gram, y, 0.11, weights), found) > 10 * tolerance(name)
    assert error(solve(gram, y, 0.1, 1 / weights), found) > 10 * tolerance(name)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_solvers_agree_on_a_matrix_of_several_panels(weighted: bool) -> None:
    gram, y, weights = problem(KERNELS["norm p=2"], 1_050, 2, weighted=weighted)
    found = by_library(gram, y, 1e-3, weights)
    for solve in (by_lu, by_cholesky, by_eigendecomposition, by_least_squares):
        assert error(found, solve(gram, y, 1e-3, weights)) < 1e-8
    assert error(by_library_in_float32(gram, y, 1e-3, weights), found) < 1e-4
