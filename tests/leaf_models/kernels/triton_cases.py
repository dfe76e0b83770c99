"""The Triton kernels against float64 formulas and torch, on a device; as a script, on the CPU by interpreter.

    TRITON_INTERPRET=1 python -m tests.leaf_models.kernels.triton_cases

prints a JSON of the largest errors. Triton reads the variable when it is imported, for the whole process,
which is why the tests run this in one of its own.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from unittest import mock

import torch
from torch import Tensor

from tests.leaf_models.kernels.test_coordinates import slow_slope, slow_term
from tests.leaf_variants import VARIANTS, generator, sample
from xrfm_cli.leaf_models import LeafConfig, fit_leaf
from xrfm_cli.leaf_models.kernels import coordinates
from xrfm_cli.leaf_models.kernels.coordinates import coordinate_slopes, coordinate_sums, exponential_sums
from xrfm_cli.leaf_models.terms import Term

EXPONENTS = (0.5, 0.7, 1.0, 1.3, 2.0)
TERMS = {
    f"{kind}-{exponent}": Term(kind=kind, exponent=exponent, scale=scale)  # type: ignore[arg-type]
    for kind, scale in (("power", 1.0), ("decay", 0.8))
    for exponent in EXPONENTS
}
# Rows, centers, columns, outputs: none divides a tile, or all do; more outputs than share a pass.
SHAPES = ((5, 70, 5, 2), (64, 64, 4, 1), (67, 131, 2, 3), (1, 1, 1, 1), (9, 5, 3, 11))
# A shape decides the tiles and a term the formula: the first shape has every term, and the others have these.
TILED = ("power-1.0", "power-1.3", "decay-0.7")
CASES = tuple((name, shape) for shape in SHAPES for name in TERMS if shape == SHAPES[0] or name in TILED)
LEAVES = ("norm1-diagonal", "norm1.5-full", "sum2-diagonal")
Errors = dict[str, float]


@dataclass(frozen=True)
class Inputs:
    """Rows and centers with ties and zeros, weights of pairs, coefficients of both signs; float32."""

    u: Tensor  # (b, d)
    a: Tensor  # (m, d)
    pair: Tensor  # (b, m)
    coefficients: Tensor  # (m, c)

    @classmethod
    def of(cls, shape: tuple[int, int, int, int]) -> Inputs:
        """Inputs of a shape, always the same."""
        b, m, d, c = shape
        source = generator(sum(shape))
        u, a = torch.randn(b, d, generator=source), torch.randn(m, d, generator=source)
        few = min(b, m, 4)
        a[:few] = u[:few]
        a[:, 0] = a[:, 0].mul(2).round()
        u[-1] = 0.0
        return cls(u, a, torch.rand(b, m, generator=source), torch.randn(m, c, generator=source))

    def to(self, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All four on a device."""
        return tuple(  # type: ignore[return-value]
            values.to(device) for values in (self.u, self.a, self.pair, self.coefficients)
        )


def distance(found: Tensor, expected: Tensor) -> float:
    """The largest error over the largest value."""
    assert found.shape == expected.shape
    scale = expected.double().abs().max().clamp(min=1e-30)
    return float((found.cpu().double() - expected.double()).abs().max() / scale)


def exact(term: Term, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Sums and slopes by the formulas, in float64."""
    u, a, pair, coefficients = (
        values.double() for values in (inputs.u, inputs.a, inputs.pair, inputs.coefficients)
    )
    delta = (u[:, None, :] - a[None, :, :]).numpy()
    sums = torch.from_numpy(slow_term(term, abs(delta))).sum(2)
    slopes = torch.from_numpy(slow_slope(term, delta))
    return sums, torch.einsum("bm,mo,bmd->bod", pair, coefficients, slopes)


def term_errors(term: Term, shape: tuple[int, int, int, int], device: str) -> Errors:
    """Errors of every operation for a term; those called ``same`` are 0 or 1, for equal bits."""
    inputs = Inputs.of(shape)
    sums, slopes = exact(term, inputs)
    u, a, pair, coefficients = inputs.to(device)
    found = coordinate_sums(term, u, a)
    fused = exponential_sums(term, u, a, 0.7, 0.3)
    gradient = coordinate_slopes(term, u, a, pair, coefficients)
    with mock.patch.object(coordinates, "backend", return_value="torch"):
        by_torch = coordinate_sums(term, u, a), coordinate_slopes(term, u, a, pair, coefficients)
    one = slice(len(u) // 2, len(u) // 2 + 1)
    return {
        "sums": distance(found, sums),
        "fused": distance(fused, torch.exp(-0.3 * sums**0.7)),
        "slopes": distance(gradient, slopes),
        "sums beside torch": distance(found, by_torch[0].cpu()),
        "slopes beside torch": distance(gradient, by_torch[1].cpu()),
        "same again": float(not torch.equal(gradient, coordinate_slopes(term, u, a, pair, coefficients))),
        "same alone": float(
            not torch.equal(coordinate_sums(term, u[one], a), found[one])
            or not torch.equal(coordinate_slopes(term, u[one], a, pair[one], coefficients), gradient[one])
        ),
        "same mirrored": float(not torch.equal(coordinate_sums(term, a, u).T, found)),
    }


def span_errors(device: str) -> Errors:
    """Errors where the centers are cut into several spans, with columns apart in memory."""
    term, inputs = TERMS["power-1.3"], Inputs.of((3, 300, 2, 2))
    sums, slopes = exact(term, inputs)
    u, a, pair, coefficients = inputs.to(device)
    found = coordinates.triton_module()
    assert found is not None
    wider = torch.cat([a[:7], a]).T.contiguous()[:, 7:]
    with mock.patch.object(found, "SPAN", 128):
        gradient = found.slope_sums(term, u, wider, pair, coefficients) * term.slope_factor
    added = found.add_sums(term, u, wider, torch.ones(3, 300, device=device))
    return {"sums": distance(added - 1, sums), "slopes": distance(gradient, slopes)}


def leaf_errors(config: LeafConfig, device: str) -> Errors:
    """How far a leaf through Triton is from one through torch, both fitted on 30 rows."""
    x, y = (values.to(device) for values in sample(30, dtype=torch.float32))
    found = fit_leaf(x, y, config, generator=generator())
    with mock.patch.object(coordinates, "backend", return_value="torch"):
        expected = fit_leaf(x, y, config, generator=generator())
        predictions, gradients = expected.predict(x).cpu(), expected.gradients(x).cpu()
    return {
        "predictions": distance(found.predict(x), predictions),
        "gradients": distance(found.gradients(x), gradients),
    }


def main() -> None:
    """Everything on the CPU, where the interpreter stands in for the compiler."""
    from xrfm_cli.leaf_models.kernels import triton_kernels

    with (
        mock.patch.object(coordinates, "backend", return_value="triton"),
        mock.patch.object(coordinates, "triton_module", return_value=triton_kernels),
    ):
        found = {f"{name} {shape}": term_errors(TERMS[name], shape, "cpu") for name, shape in CASES}
        found["spans"] = span_errors("cpu")
        found |= {name: leaf_errors(VARIANTS[name], "cpu") for name in LEAVES}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
