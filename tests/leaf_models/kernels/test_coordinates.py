"""Sums over coordinates, compiled and by torch, against the formulas in float64."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.leaf_variants import assert_same_bits, generator
from xrfm_cli.leaf_models.compiled import loops
from xrfm_cli.leaf_models.kernels.coordinates import coordinate_slopes, coordinate_sums
from xrfm_cli.leaf_models.terms import Term

TERMS = {
    f"{kind}-{exponent}": Term(kind=kind, exponent=exponent, scale=scale)  # type: ignore[arg-type]
    for kind, scale, exponents in [
        ("power", 1.0, (0.5, 0.7, 1.0, 1.3, 1.9)),
        ("decay", 0.8, (0.5, 1.0, 1.3, 2.0)),
    ]
    for exponent in exponents
}
each_term = pytest.mark.parametrize("term", TERMS.values(), ids=list(TERMS))


@pytest.fixture(params=["compiled", "torch"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of computing, the second as where the package was installed without a compiler."""
    if request.param == "torch":
        monkeypatch.setattr(loops, "extension", None)
    elif not loops.is_compiled():
        pytest.skip("the package was installed without a compiler")
    return str(request.param)


def inputs(b: int, m: int, d: int = 3, c: int = 2) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows, centers that share values with them, weights of pairs and coefficients, in float32."""
    source = generator(b + m)
    u, a = torch.randn(b, d, generator=source), torch.randn(m, d, generator=source)
    a[: min(b, m)] = u[: min(b, m)]
    a[:, 0] = a[:, 0].mul(2).round()
    return u, a, torch.rand(b, m, generator=source), torch.randn(m, c, generator=source)


def slow_term(term: Term, size: np.ndarray) -> np.ndarray:
    if term.kind == "power":
        return size**term.exponent
    return np.exp(-((size / term.scale) ** term.exponent))


def slow_slope(term: Term, delta: np.ndarray) -> np.ndarray:
    size = np.where(delta == 0, 1.0, np.abs(delta))
    if term.kind == "power":
        slope = term.exponent * size ** (term.exponent - 1)
    else:
        s = size / term.scale
        slope = -term.exponent / term.scale * s ** (term.exponent - 1) * np.exp(-(s**term.exponent))
    return np.where(delta == 0, 0.0, slope * np.sign(delta))


@each_term
@pytest.mark.parametrize("m", [1, 17, 256, 257, 600])
def test_sums_equal_the_formula(path: str, term: Term, m: int) -> None:
    u, a, _, _ = inputs(5, m)
    delta = u.double().numpy()[:, None, :] - a.double().numpy()[None, :, :]
    expected = slow_term(term, np.abs(delta)).sum(2)
    np.testing.assert_allclose(coordinate_sums(term, u, a).numpy(), expected, rtol=3e-6, atol=1e-6)


@each_term
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("m", [1, 17, 257, 600])
def test_slopes_equal_the_formula(path: str, term: Term, m: int, outputs: int) -> None:
    u, a, pair, coefficients = inputs(5, m, c=outputs)
    delta = u.double().numpy()[:, None, :] - a.double().numpy()[None, :, :]
    weights = pair.double().numpy()[:, :, None] * coefficients.double().numpy()[None, :, :]
    expected = np.einsum("bmo,bmd->bod", weights, slow_slope(term, delta))
    fast = coordinate_slopes(term, u, a, pair, coefficients)
    scale = np.abs(weights).sum(1).max() * np.abs(slow_slope(term, delta)).max()
    np.testing.assert_allclose(fast.numpy(), expected, rtol=0, atol=1e-6 * scale)


@each_term
def test_tiny_and_huge_differences(path: str, term: Term) -> None:
    a = torch.tensor([[0.0], [1e-30], [1e-12], [1.0], [7e4], [1e15], [-1e15]])
    a = torch.cat([a, torch.linspace(-9, 9, 30)[:, None]])
    u = torch.zeros(1, 1)
    sums = coordinate_sums(term, u, a).double().numpy()[0]
    expected = slow_term(term, np.abs(a.double().numpy()[:, 0]))
    # torch's way goes through a logarithm, whose error is relative to its size of up to 80.
    close = 3e-6 if path == "compiled" else 3e-5
    np.testing.assert_allclose(sums, expected, rtol=close, atol=1e-30)
    one = torch.ones(1, len(a))
    for i in range(len(a)):
        chosen = torch.zeros(len(a), 1)
        chosen[i] = 1.0
        slope = coordinate_slopes(term, u, a, one, chosen).double().item()
        assert slope == pytest.approx(
            float(slow_slope(term, -a.double().numpy()[i, 0])), rel=3 * close, abs=1e-30
        )


@each_term
def test_a_pair_does_not_depend_on_what_is_beside_it(path: str, term: Term) -> None:
    u, a, pair, coefficients = inputs(9, 400)
    whole = coordinate_sums(term, u, a)
    assert_same_bits(coordinate_sums(term, u[4:5], a), whole[4:5])
    assert_same_bits(coordinate_sums(term, u, a.flip(0)).flip(1), whole)
    if path == "compiled":
        slopes = coordinate_slopes(term, u, a, pair, coefficients)
        assert_same_bits(coordinate_slopes(term, u[4:5], a, pair[4:5], coefficients), slopes[4:5])


@pytest.mark.parametrize("d", [127, 128, 129, 300])
def test_wide_rows_are_summed_in_blocks_of_columns(path: str, d: int) -> None:
    term = TERMS["power-1.3"]
    u, a, _, _ = inputs(150, 270, d=d)  # more rows and centers than share a block
    delta = u.double().numpy()[:, None, :] - a.double().numpy()[None, :, :]
    found = coordinate_sums(term, u, a)
    np.testing.assert_allclose(found.numpy(), slow_term(term, np.abs(delta)).sum(2), rtol=1e-5)
    assert_same_bits(coordinate_sums(term, u[77:78], a), found[77:78])


@each_term
def test_the_number_of_threads_does_not_show(term: Term) -> None:
    u, a, pair, coefficients = inputs(700, 300, d=4)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append((coordinate_sums(term, u, a), coordinate_slopes(term, u, a, pair, coefficients)))
    finally:
        torch.set_num_threads(threads)
    for sums, slopes in found[1:]:
        assert_same_bits(sums, found[0][0])
        assert_same_bits(slopes, found[0][1])


@pytest.mark.skipif(not loops.is_compiled(), reason="the package was installed without a compiler")
def test_a_forked_process_has_threads_of_its_own() -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no fork")
    u, a, _, _ = inputs(150, 200, d=12)  # few enough values for torch to need no thread of its own
    whole = coordinate_sums(TERMS["power-1.3"], u, a)  # the parent's threads have been started
    child = os.fork()
    if child == 0:
        same = False
        try:
            same = torch.equal(coordinate_sums(TERMS["power-1.3"], u, a), whole)
        finally:
            os._exit(0 if same else 1)
    for _ in range(600):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the forked process waits for threads that it does not have")


def test_a_fault_in_one_part_waits_for_the_others_and_reaches_the_caller() -> None:
    ended: list[int] = []

    def work(rows: slice) -> None:
        if rows.start == 0:
            raise MemoryError
        time.sleep(0.05)
        ended.append(rows.start)

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with pytest.raises(MemoryError):
            loops.share_rows(work, 3, loops.WORTH_A_THREAD)
    finally:
        torch.set_num_threads(threads)
    assert sorted(ended) == [1, 2]


@each_term
def test_columns_with_two_values_join_the_others(path: str, term: Term) -> None:
    source = generator(1)
    a = torch.cat(
        [torch.randn(40, 2, generator=source), torch.randint(0, 2, (40, 3), generator=source).float()], 1
    )
    u = torch.cat([a[:6], a[:1]])
    u[6, 3] = 0.5  # a third value
    pair, coefficients = torch.rand(7, 40, generator=source), torch.randn(40, 2, generator=source)
    delta = u.double().numpy()[:, None, :] - a.double().numpy()[None, :, :]
    expected = slow_term(term, np.abs(delta)).sum(2)
    np.testing.assert_allclose(coordinate_sums(term, u, a).numpy(), expected, rtol=3e-6, atol=2e-6)
    weights = pair.double().numpy()[:, :, None] * coefficients.double().numpy()[None, :, :]
    slopes = np.einsum("bmo,bmd->bod", weights, slow_slope(term, delta))
    fast = coordinate_slopes(term, u, a, pair, coefficients).numpy()
    np.testing.assert_allclose(fast, slopes, rtol=1e-5, atol=1e-5 * np.abs(slopes).max())


@pytest.mark.skipif("CI" not in os.environ, reason="a compiler is promised in CI alone")
def test_the_loops_are_compiled_in_ci() -> None:
    assert loops.is_compiled()
