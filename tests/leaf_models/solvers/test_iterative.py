"""Conjugate gradients on a kernel matrix against dense solves in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from xrfm_cli.leaf_models import LeafConfig, NormKernel, fit_leaf
from xrfm_cli.leaf_models.compiled import products
from xrfm_cli.leaf_models.solvers import iterative
from xrfm_cli.leaf_models.solvers.iterative import IterativeSolver, low_rank
from xrfm_cli.leaf_models.steps import symmetric_kernel

ROWS = 600


@pytest.fixture(autouse=True)
def many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow few rows the steps of many."""
    monkeypatch.setattr(iterative, "ROWS_PER_STEP", 5)


def table(n: int, outputs: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(n, 5, generator=generator)
    y = torch.stack([torch.tanh(x[:, k]) + x[:, 3] * x[:, 4] for k in range(outputs)], 1)
    return x, y + 0.1 * torch.randn(n, outputs, generator=generator)


def gram(x: Tensor, bandwidth: float = 3.0, q: float = 1.0) -> Tensor:
    return symmetric_kernel(NormKernel(p=2.0, q=q, bandwidth=bandwidth), x)


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_solution_is_that_of_a_dense_solve(outputs: int, is_weighted: bool) -> None:
    x, y = table(ROWS, outputs)
    kernel = gram(x)
    before = kernel.clone()
    weights = 0.05 + torch.rand(ROWS, generator=torch.Generator().manual_seed(1)) if is_weighted else None
    solver = IterativeSolver(kernel)
    for ridge in (0.3, 0.01):
        found = solver.solve(y, ridge, weights)
        assert found is not None
        diagonal = ridge / (torch.ones(ROWS) if weights is None else weights).double()
        exact = torch.linalg.solve(kernel.double() + torch.diag(diagonal), y.double())
        assert found.dtype == y.dtype
        predicted, wanted = kernel.double() @ found.double(), kernel.double() @ exact
        assert float((predicted - wanted).norm() / wanted.norm()) < 2e-5
    assert torch.equal(kernel, before)


def test_a_matrix_that_converges_too_slowly_is_left_to_a_factorisation() -> None:
    x, y = table(ROWS)
    assert IterativeSolver(gram(x, bandwidth=30.0, q=1.8)).solve(y, 1e-7) is None


def test_a_matrix_that_is_not_positive_definite_is_left_to_a_factorisation() -> None:
    matrix = torch.full((200, 200), 2.0).fill_diagonal_(1.0)
    assert IterativeSolver(matrix).solve(torch.randn(200, 1), 1e-3) is None


def test_equal_rows_leave_nothing_to_choose() -> None:
    x, y = table(20)
    kernel = gram(x.repeat(30, 1))
    found = IterativeSolver(kernel).solve(y.repeat(30, 1), 0.1)
    assert found is not None
    exact = torch.linalg.solve(kernel.double() + 0.1 * torch.eye(600), y.repeat(30, 1).double())
    torch.testing.assert_close(found.double(), exact, rtol=1e-3, atol=1e-4)


def test_chosen_columns_approximate_the_matrix() -> None:
    x, _ = table(ROWS)
    kernel = gram(x, bandwidth=20.0, q=1.8)
    few, more = (float((kernel - f @ f.T).norm()) for f in (low_rank(kernel, 10), low_rank(kernel, 200)))
    assert more < few / 10
    assert few < 0.05 * float(kernel.norm())


def test_neither_threads_nor_a_missing_extension_change_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = torch.randn(301, 1_003)
    columns = torch.randn(1_003, 2, dtype=torch.float64)
    monkeypatch.setattr("xrfm_cli.leaf_models.compiled.loops.WORTH_A_THREAD", 1)
    found, before = [], torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(products.multiply(matrix, columns))
    torch.set_num_threads(before)
    assert torch.equal(*found)
    assert torch.equal(found[0][7:], products.multiply(matrix[7:], columns))
    torch.testing.assert_close(found[0], matrix.double() @ columns, rtol=1e-12, atol=1e-11)
    monkeypatch.setattr(products, "extension", None)
    torch.testing.assert_close(products.multiply(matrix, columns), found[0], rtol=1e-12, atol=1e-11)


def test_threads_do_not_change_the_solution() -> None:
    x, y = table(1_500, outputs=2)
    kernel, before, found = gram(x), torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(IterativeSolver(kernel).solve(y, 0.1))
    torch.set_num_threads(before)
    assert found[0] is not None
    assert found[1] is not None
    assert torch.equal(found[0], found[1])


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_large_leaves_are_solved_in_this_way(monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    x, y = table(ROWS)
    y = y if loss == "squared" else y.sign()
    config = LeafConfig.from_dict({"bandwidth": 3.0, "ridge": 0.1, "iterations": 2, "loss": loss})

    def fit() -> Tensor:
        return fit_leaf(x, y, config, generator=torch.Generator().manual_seed(0)).predict(x)

    directly = fit()
    monkeypatch.setattr(iterative, "FROM_ROWS", ROWS)
    solved: list[bool] = []
    solve = IterativeSolver.solve

    def counted(self: IterativeSolver, *given: Any) -> Tensor | None:
        found = solve(self, *given)
        solved.append(found is not None)
        return found

    monkeypatch.setattr(IterativeSolver, "solve", counted)
    iteratively = fit()
    assert solved == [True] * len(solved)
    assert len(solved) >= 3
    assert float((iteratively - directly).norm() / directly.norm()) < 1e-4


def test_what_does_not_converge_is_factorised(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = table(ROWS)
    config = LeafConfig.from_dict({"bandwidth": 30.0, "kernel_q": 1.8, "ridge": 1e-7, "iterations": 1})

    def fit() -> Tensor:
        return fit_leaf(x, y, config, generator=torch.Generator().manual_seed(0)).predict(x)

    directly = fit()
    monkeypatch.setattr(iterative, "FROM_ROWS", ROWS)
    assert torch.equal(fit(), directly)  # by its ridge
    monkeypatch.setattr(iterative, "LEAST_RIDGE", 0.0)
    assert torch.equal(fit(), directly)  # by trying
