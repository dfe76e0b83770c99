"""The Triton kernels without a GPU: their arithmetic by Triton's interpreter, their code by its compiler."""

from __future__ import annotations

import inspect
import json
import os
import sys
from pathlib import Path

import pytest

from tests.leaf_models.kernels.triton_cases import CASES, LEAVES, Errors
from tests.processes import run_process

triton = pytest.importorskip("triton", reason="Triton is not installed")

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
CLOSE = 1e-6  # of the largest value; one rounding of float32 is 6e-8


@pytest.fixture(scope="module")
def errors() -> dict[str, Errors]:
    """The errors of every case, by the interpreter in a process of its own."""
    command = [sys.executable, "-m", "tests.leaf_models.kernels.triton_cases"]
    done = run_process(command, folder=ROOT, environment={"TRITON_INTERPRET": "1"}, limit_s=900)
    if "0 active drivers" in done.stderr:
        pytest.skip("this version of Triton interprets only beside a GPU")
    assert done.returncode == 0, done.stderr
    found: dict[str, Errors] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("name", "shape"), CASES, ids=str)
def test_sums_and_slopes_equal_the_formula_and_torch(
    errors: dict[str, Errors], name: str, shape: tuple[int, int, int, int]
) -> None:
    for what, error in errors[f"{name} {shape}"].items():
        assert error <= (0 if what.startswith("same") else 2 * CLOSE), what


def test_spans_of_centers_add_up(errors: dict[str, Errors]) -> None:
    assert max(errors["spans"].values()) <= CLOSE


@pytest.mark.parametrize("name", LEAVES)
def test_a_leaf_equals_the_one_through_torch(errors: dict[str, Errors], name: str) -> None:
    assert errors[name]["predictions"] <= 1e-4
    assert errors[name]["gradients"] <= 1e-3


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(("decays", "special", "outputs"), [(False, 0, 1), (True, 2, 8)])
def test_the_kernels_compile_for_gpus_that_are_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: int, decays: bool, special: int, outputs: int
) -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from xrfm_cli.leaf_models.kernels import triton_kernels as kernels

    if "TRITON_INTERPRET" in os.environ:
        pytest.skip("the interpreter has taken the compiler's place in this process")
    if "constexprs" not in inspect.signature(ASTSource).parameters:
        pytest.skip("Triton 3.0 and 3.1 take constants in another way")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    tile = {"decays": decays, "special": special, "block_rows": 16, "block_centers": 64}
    sums = {**tile, "adds": outputs == 1, "fuses": outputs > 1, "outer_special": 0}
    slopes = {**tile, "span": 4096, "block_columns": 4, "block_outputs": outputs}
    for kernel, constants in ((kernels._sums_kernel, sums), (kernels._slope_sums_kernel, slopes)):
        types = {name: _argument_type(name) for name in kernel.arg_names} | dict.fromkeys(
            constants, "constexpr"
        )
        compiled = triton.compile(
            ASTSource(fn=kernel, signature=types, constexprs=constants),
            target=GPUTarget("cuda", capability, 32),
            options={"enable_fp_fusion": True},
        )
        assert f".target sm_{capability}" in compiled.asm["ptx"]
        assert compiled.asm["cubin"]


def _argument_type(name: str) -> str:
    """What the launcher would find out from the arguments."""
    if name in ("u", "columns", "out", "pair", "coefficients"):
        return "*fp32"
    if name == "parts":
        return "*fp64"
    return "fp32" if name in ("exponent", "below", "rate", "outer", "outer_rate") else "i32"
