"""The two sums over coordinates as Triton kernels, for CUDA devices and float32.

Nothing of the size (rows x centers x columns) is written: a program owns a tile of the result and loops over
what is summed. No program adds to another one's output, so every run gives the same bits. How the sums are
split depends only on the centers, so a row's sums do not depend on other rows.

Needs Triton, which comes with torch's CUDA builds; :mod:`coordinates` imports this module on first use.
With ``TRITON_INTERPRET=1`` set before Triton is imported, they run on the CPU, slowly, as the tests do.
"""

from __future__ import annotations

import subprocess

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.errors import TritonError
from triton.language import constexpr  # Triton 3.0 interprets no other spelling of the annotation

from xrfm_cli.leaf_models.terms import Term

ROWS, CENTERS = 64, 64  # of a tile of sums: 32 of them for each thread of four warps
# Of a tile of slopes, which has three dimensions.
SLOPE_ROWS, SLOPE_COLUMNS, SLOPE_CENTERS = 16, 4, 64
MOST_OUTPUTS = 8  # most outputs that share one computation of the slopes
# Centers summed by one program: gradients have few rows per call, which alone would leave a GPU idle.
SPAN = 4096


def is_usable() -> bool:
    """Return whether a kernel runs on the current CUDA device; Triton needs a C compiler and a known GPU."""
    one = torch.ones(1, 1, device="cuda")
    try:
        _launch_sums(Term(kind="power", exponent=1.0), one, one, one.clone(), adds=True)
    except (TritonError, RuntimeError, OSError, subprocess.SubprocessError):
        return False
    return True


def add_sums(term: Term, u: Tensor, columns: Tensor, out: Tensor) -> Tensor:  # (b, d), (d, m), (b, m)
    """Add ``sum_j term(|u_bj - columns_ji|)`` to ``out``, and return it.

    ``add_sums(Term(kind="power", exponent=1.0), u, a.T.contiguous(), u.new_zeros(len(u), len(a)))`` gives the
    1-norm distances of rows and centers.
    """
    _launch_sums(term, u, columns, out, adds=True)
    return out


def exponential_sums(
    term: Term, u: Tensor, columns: Tensor, exponent: float, rate: float
) -> Tensor:  # (b, d), (d, m) -> (b, m)
    """Return ``exp(-rate * s^exponent)`` of the sums ``s``, which are never written.

    ``exponential_sums(Term(kind="power", exponent=1.0), u, a.T.contiguous(), 1.0, 0.1)`` is the Laplace
    kernel of 1-norm distances at bandwidth 10.
    """
    out = u.new_empty(len(u), columns.shape[1])
    _launch_sums(term, u, columns, out, outer=exponent, outer_rate=rate)
    return out


def slope_sums(
    term: Term, u: Tensor, columns: Tensor, pair: Tensor, coefficients: Tensor
) -> Tensor:  # (b, d), (d, m), (b, m), (m, c) -> (b, c, d) float64
    """Return ``sum_i pair_bi coefficients_io slope(u_bj - columns_ji)``, without the term's slope factor.

    ``slope_sums(Term(kind="power", exponent=1.0), u, a.T.contiguous(), pair, coefficients)`` sums the signs
    of the differences. Sums within a tile are in float32, and sums over tiles in float64, because terms of
    both signs cancel.
    """
    (d, m), outputs = columns.shape, coefficients.shape[1]
    block_outputs = min(triton.next_power_of_2(outputs), MOST_OUTPUTS)
    groups, spans = triton.cdiv(outputs, block_outputs), max(1, triton.cdiv(m, SPAN))
    weights = u.new_zeros(groups * block_outputs, m)
    weights[:outputs] = coefficients.T
    parts = torch.empty(spans, len(u), outputs, d, dtype=torch.float64, device=u.device)
    grid = (triton.cdiv(len(u), SLOPE_ROWS), triton.cdiv(d, SLOPE_COLUMNS), spans * groups)
    if parts.numel():
        with torch.cuda.device_of(u):
            _slope_sums_kernel[grid](
                u.contiguous(),
                columns,
                pair.contiguous(),
                weights,
                parts,
                len(u),
                m,
                d,
                outputs,
                columns.stride(0),
                groups,
                term.exponent - 1,
                1.0 / term.scale,
                span=SPAN,
                enable_fp_fusion=True,  # explicit, because Triton's default is about to change
                decays=term.kind == "decay",
                special=_special(term.exponent),
                block_rows=SLOPE_ROWS,
                block_columns=SLOPE_COLUMNS,
                block_centers=SLOPE_CENTERS,
                block_outputs=block_outputs,
            )
    return parts[0] if spans == 1 else parts.sum(0)


def _launch_sums(
    term: Term,
    u: Tensor,
    columns: Tensor,
    out: Tensor,
    *,
    adds: bool = False,
    outer: float | None = None,
    outer_rate: float = 0.0,
) -> None:
    d, m = columns.shape
    grid = (triton.cdiv(m, CENTERS), triton.cdiv(len(u), ROWS))
    if not out.numel():
        return
    with torch.cuda.device_of(u):
        _sums_kernel[grid](
            u.T.contiguous(),
            columns,
            out,
            len(u),
            m,
            d,
            columns.stride(0),
            out.stride(0),
            term.exponent,
            1.0 / term.scale,
            1.0 if outer is None else outer,
            outer_rate,
            enable_fp_fusion=True,
            decays=term.kind == "decay",
            special=_special(term.exponent),
            adds=adds,
            fuses=outer is not None,
            outer_special=0 if outer is None else _special(outer),
            block_rows=ROWS,
            block_centers=CENTERS,
        )


def _special(exponent: float) -> int:
    """Return an exponent that needs no general power; 0 for all others."""
    return int(exponent) if exponent in (1.0, 2.0) else 0


@triton.jit
def _power(x, exponent, special: constexpr):
    """``x^exponent`` for non-negative x; subnormal numbers count as zero."""
    if special == 1:
        result = x
    elif special == 2:
        result = x * x
    else:
        tiny = x < 1.1754944e-38
        result = tl.where(tiny, 0.0, tl.exp2(exponent * tl.log2(tl.where(tiny, 1.0, x))))
    return result


@triton.jit
def _term(size, exponent, rate, decays: constexpr, special: constexpr):
    """The summed term of absolute differences."""
    raised = _power(size * rate if decays else size, exponent, special)
    return tl.exp(-raised) if decays else raised


@triton.jit
def _slope(size, below, rate, decays: constexpr, special: constexpr):
    """The term's derivative by ``|delta|`` without a constant factor; ``below`` is its exponent minus one."""
    scaled = size * rate if decays else size
    if special == 1:
        result = tl.full(size.shape, 1.0, tl.float32)
    elif special == 2:
        result = scaled
    else:
        result = _power(scaled, below, 0)
    if decays:
        result = result * tl.exp(-(result * scaled))
    return result


@triton.jit
def _sums_kernel(
    u,  # (d, b)
    columns,  # (d, m), rows `stride` apart
    out,  # (b, m), rows `out_stride` apart
    b,
    m,
    d,
    stride,
    out_stride,
    exponent,
    rate,
    outer,
    outer_rate,
    decays: constexpr,
    special: constexpr,
    adds: constexpr,
    fuses: constexpr,
    outer_special: constexpr,
    block_rows: constexpr,
    block_centers: constexpr,
):
    centers = tl.program_id(0) * block_centers + tl.arange(0, block_centers)
    rows = tl.program_id(1) * block_rows + tl.arange(0, block_rows)
    is_row, is_center = rows < b, centers < m
    inside = is_row[:, None] & is_center[None, :]
    x_at, a_at = u + rows, columns + centers
    total = tl.zeros((block_rows, block_centers), tl.float32)
    for _ in range(d):
        x = tl.load(x_at, mask=is_row, other=0.0)
        a = tl.load(a_at, mask=is_center, other=0.0)
        total += _term(tl.abs(x[:, None] - a[None, :]), exponent, rate, decays, special)
        x_at += b
        a_at += stride
    target = out + rows.to(tl.int64)[:, None] * out_stride + centers[None, :]
    if adds:
        total += tl.load(target, mask=inside, other=0.0)
    if fuses:
        total = tl.exp(-outer_rate * _power(total, outer, outer_special))
    tl.store(target, total, mask=inside)


@triton.jit
def _slope_sums_kernel(
    u,  # (b, d)
    columns,  # (d, m), rows `stride` apart
    pair,  # (b, m)
    coefficients,  # (groups * block_outputs, m), zero beyond the outputs
    parts,  # (spans, b, outputs, d)
    b,
    m,
    d,
    outputs,
    stride,
    groups,
    below,
    rate,
    span: constexpr,
    decays: constexpr,
    special: constexpr,
    block_rows: constexpr,
    block_columns: constexpr,
    block_centers: constexpr,
    block_outputs: constexpr,
):
    rows = tl.program_id(0) * block_rows + tl.arange(0, block_rows)
    column = tl.program_id(1) * block_columns + tl.arange(0, block_columns)
    part, first_output = tl.program_id(2) // groups, (tl.program_id(2) % groups) * block_outputs
    is_row, is_column = rows < b, column < d
    far_rows, far_column = rows.to(tl.int64), column.to(tl.int64)  # offsets may exceed 2^31
    numbers = tl.arange(0, block_outputs)

    x_mask = is_row[:, None] & is_column[None, :]
    x = tl.load(u + far_rows[:, None] * d + column[None, :], mask=x_mask, other=0.0)
    total = tl.zeros((block_rows, block_columns, block_outputs), tl.float64)
    start = part * span
    for first in range(start, tl.minimum(start + span, m), block_centers):
        centers = first + tl.arange(0, block_centers)
        is_center = centers < m
        a_mask = is_column[:, None] & is_center[None, :]
        a = tl.load(columns + far_column[:, None] * stride + centers[None, :], mask=a_mask, other=0.0)
        pair_mask = is_row[:, None] & is_center[None, :]
        weight = tl.load(pair + far_rows[:, None] * m + centers[None, :], mask=pair_mask, other=0.0)
        delta = x[:, :, None] - a[None, :, :]
        slope = _slope(tl.abs(delta), below, rate, decays, special)
        signed = tl.where(delta == 0.0, 0.0, tl.where(delta < 0.0, -slope, slope))
        weighted = signed * weight[:, None, :]
        for k in tl.static_range(block_outputs):
            coefficient = tl.load(coefficients + (first_output + k) * m + centers, mask=is_center, other=0.0)
            found = tl.sum(weighted * coefficient[None, None, :], axis=2)
            total += tl.where(numbers[None, None, :] == k, found[:, :, None], 0.0).to(tl.float64)

    output = first_output + numbers
    row_at = (part * b + far_rows)[:, None, None] * outputs + output[None, None, :]
    target = parts + row_at * d + column[None, :, None]
    mask = x_mask[:, :, None] & (output < outputs)[None, None, :]
    tl.store(target, total, mask=mask)
