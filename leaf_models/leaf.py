"""Fitted leaves, which predict, differentiate and can be stored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from xrfm_cli.errors import ModelFileError
from xrfm_cli.leaf_models.config import LINEAR_FAMILIES, LeafConfig
from xrfm_cli.leaf_models.kernels.coordinates import Centers, expanded_sums, has_loops, prepare_centers
from xrfm_cli.leaf_models.kernels.families import Kernel, make_kernel
from xrfm_cli.leaf_models.packing import unpacked
from xrfm_cli.leaf_models.precision import widened
from xrfm_cli.leaf_models.row_blocks import BLOCK_ROWS, expand, in_blocks
from xrfm_cli.leaf_models.transform import Transform

LARGEST_INTERCEPT = 1e6  # larger than log odds or a quantile of standardised targets can be
MISFIT = "the model's tensors do not fit together. Fit the model again."


class LeafModel(Protocol):
    """The interface that a tree needs of its leaves."""

    @property
    def config(self) -> LeafConfig:
        """The hyperparameters."""
        ...

    @property
    def feature_matrix(self) -> Tensor:
        """The feature matrix of the fit, ``(d,)`` or ``(d, d)``."""
        ...

    @property
    def coefficients(self) -> Tensor:
        """One column per output, ``(m, c)`` for centers or ``(d, c)`` for features."""
        ...

    @property
    def centers(self) -> Tensor:
        """Training rows that the leaf keeps, ``(m, d)``; ``(0, d)`` if it needs none."""
        ...

    @property
    def n_rows(self) -> int:
        """Training rows used as the leaf's weight: those it was fitted on, or keeps."""
        ...

    def predict(self, x: Tensor) -> Tensor:  # (n, d) -> (n, c)
        """Return predictions."""
        ...

    def gradients(self, x: Tensor) -> Tensor:  # (n, d) -> (n, c, d)
        """Return derivatives of the predictions by the inputs."""
        ...

    def mixed(self, mixture: Tensor) -> LeafModel:  # (c, m)
        """Return the leaf whose outputs are mixtures of this one's outputs."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return JSON facts and tensors from which the leaf can be rebuilt."""
        ...

    def to(self, device: torch.device | str) -> LeafModel:
        """Return the same leaf with its tensors on another device."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RFMLeaf:
    """A Recursive Feature Machine: a kernel machine under a learned feature matrix.

    ``f(x) = k(M^a x, M^a centers) coefficients + intercept``. Radhakrishnan et al., Science 383 (2024).
    """

    config: LeafConfig
    centers: Tensor  # (m, d)
    coefficients: Tensor  # (m, c)
    feature_matrix: Tensor  # (d,) diagonal or (d, d) full
    bandwidth: float  # effective: an adaptive one is already multiplied by the median distance
    jitter: float = 0.0  # added to the diagonal by the solver
    intercept: float = 0.0  # of losses with one: log odds or a quantile of its rows
    placed: tuple[Transform, Kernel, Centers] | None = field(default=None, repr=False)  # see `ready`

    @property
    def n_rows(self) -> int:
        """Return the number of training rows kept as centers."""
        return len(self.centers)

    def predict(self, x: Tensor) -> Tensor:
        """Predict ``(n, c)`` for rows ``x (n, d)``; a row's value does not depend on other rows."""
        transform, kernel, a = self.prepare()
        columns = self.coefficients.T.contiguous()
        if has_loops(x, a.rows, columns):
            placed = in_blocks(transform, x, x.shape[1])
            return expanded_sums(*kernel.parts(x.shape[1]), placed, a, columns).add_(self.intercept)

        def values(block: Tensor) -> Tensor:
            return expand(kernel.matrix(transform(block), a), columns)

        return in_blocks(values, x, len(columns)).add_(self.intercept)

    def gradients(self, x: Tensor) -> Tensor:
        """Return derivatives ``(n, c, d)`` at rows ``x (n, d)``, omitting centers at distance zero."""
        out = torch.empty(len(x), self.coefficients.shape[1], x.shape[1], dtype=x.dtype, device=x.device)
        starts = range(0, len(x), BLOCK_ROWS)
        blocks = self.gradient_blocks(x[start : start + BLOCK_ROWS] for start in starts)
        for start, block in zip(starts, blocks, strict=True):
            out[start : start + BLOCK_ROWS] = block
        return out

    def gradient_blocks(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:  # (b, d) -> (b, c, d)
        """Yield :meth:`gradients` for one block of rows after the other."""
        transform, kernel, a = self.prepare()
        root = transform.root
        for block in blocks:
            sums = kernel.gradient_sums(transform(block), a, self.coefficients).mul_(transform.scale)
            yield sums * root if root.ndim == 1 else sums @ root

    def mixed(self, mixture: Tensor) -> RFMLeaf:  # (c, m)
        """Return the leaf whose outputs are mixtures of this one's; many outputs have no intercept."""
        return replace(self, coefficients=self.coefficients @ mixture.to(self.coefficients))

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return JSON facts and tensors."""
        facts = {
            "config": self.config.to_dict(),
            "bandwidth": self.bandwidth,
            "jitter": self.jitter,
            "intercept": self.intercept,
        }
        return facts, {
            "centers": self.centers,
            "coefficients": self.coefficients,
            "metric": self.feature_matrix,
        }

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> RFMLeaf:
        """Rebuild from the output of :meth:`state`."""
        bandwidth, intercept = float(facts["bandwidth"]), float(facts.get("intercept", 0.0))
        if not 0 < bandwidth < math.inf:
            raise ModelFileError(f"a leaf has the bandwidth {bandwidth}. Fit the model again.")
        if not abs(intercept) <= LARGEST_INTERCEPT:
            raise ModelFileError(f"a leaf has the intercept {intercept}. Fit the model again.")
        (m, d), c = _sides(tensors["centers"]), tensors["coefficients"].shape[-1]
        if m < 1:
            raise ModelFileError(MISFIT)
        _refuse_misfits(tensors, centers=[(m, d)], coefficients=[(m, c)], metric=[(d,), (d, d)])
        return cls(
            config=LeafConfig.from_dict(facts["config"]),
            centers=tensors["centers"].contiguous(),
            coefficients=tensors["coefficients"].contiguous(),
            feature_matrix=tensors["metric"].contiguous(),
            bandwidth=bandwidth,
            jitter=float(facts["jitter"]),
            intercept=intercept,
        )

    def to(self, device: torch.device | str) -> RFMLeaf:
        """Return the same leaf with its tensors on another device."""
        facts, tensors = self.state()
        return self.from_state(facts, {name: value.to(device) for name, value in tensors.items()})

    def prepare(self) -> tuple[Transform, Kernel, Centers]:
        """Return what every block of rows needs: the transform, the kernel and the centers."""
        if self.placed is not None:
            return self.placed
        transform, u = Transform.place(self.centers, self.feature_matrix, self.config.agop_power)
        kernel = make_kernel(self.config, self.bandwidth * transform.scale)
        return transform, kernel, prepare_centers(u)

    def ready(self) -> RFMLeaf:
        """Return the same leaf with transformed centers in memory, for many predictions of a few rows."""
        return replace(self, placed=self.prepare())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearLeaf:
    """A linear function that keeps no training rows; with coefficients of zero, a constant.

    ``f(x) = intercept + (x - mean) coefficients``.

    >>> one = torch.ones(1)
    >>> leaf = LinearLeaf(
    ...     config=LeafConfig(kernel="linear"), coefficients=3 * one[None], intercept=2 * one,
    ...     mean=one, deviations=one, feature_matrix=one, n_rows=9,
    ... )
    >>> leaf.predict(torch.tensor([[2.0]])), leaf.gradients(torch.tensor([[2.0]]))
    (tensor([[5.]]), tensor([[[3.]]]))
    """

    config: LeafConfig
    coefficients: Tensor  # (d, c)
    intercept: Tensor  # (c,): the value at the mean
    mean: Tensor  # (d,) of the training rows
    deviations: Tensor  # (d,) of the training rows; explanations need it with the mean
    feature_matrix: Tensor  # (d,) diagonal or (d, d) full
    n_rows: int
    jitter: float = 0.0  # added to the diagonal by the solver

    @property
    def centers(self) -> Tensor:
        """Return no rows, ``(0, d)``."""
        return self.mean.new_empty(0, len(self.mean))

    def predict(self, x: Tensor) -> Tensor:
        """Predict ``(n, c)`` for rows ``x (n, d)``; a row's value does not depend on other rows."""
        columns, mean, intercept = (widened(t) for t in (self.coefficients.T, self.mean, self.intercept))

        def values(block: Tensor) -> Tensor:
            return expand(widened(block) - mean, columns) + intercept

        return in_blocks(values, x, len(columns))

    def gradients(self, x: Tensor) -> Tensor:
        """Return derivatives ``(n, c, d)`` at rows ``x (n, d)``: the coefficients, the same for all rows."""
        return self.coefficients.T.to(x.dtype).expand(len(x), -1, -1).contiguous()

    def mixed(self, mixture: Tensor) -> LinearLeaf:  # (c, m)
        """Return the leaf whose outputs are mixtures of this one's outputs."""
        mixture = mixture.to(self.coefficients)
        return replace(self, coefficients=self.coefficients @ mixture, intercept=self.intercept @ mixture)

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return JSON facts and tensors."""
        facts = {"config": self.config.to_dict(), "n_rows": self.n_rows, "jitter": self.jitter}
        names = ("coefficients", "intercept", "mean", "deviations")
        tensors = {name: getattr(self, name) for name in names}
        return facts, tensors | {"metric": self.feature_matrix}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> LinearLeaf:
        """Rebuild from the output of :meth:`state`."""
        d, c = _sides(tensors["coefficients"])
        _refuse_misfits(
            tensors,
            coefficients=[(d, c)],
            intercept=[(c,)],
            mean=[(d,)],
            deviations=[(d,)],
            metric=[(d,), (d, d)],
        )
        return cls(
            config=LeafConfig.from_dict(facts["config"]),
            n_rows=int(facts["n_rows"]),
            jitter=float(facts["jitter"]),
            feature_matrix=tensors["metric"].contiguous(),
            **{name: value.contiguous() for name, value in tensors.items() if name != "metric"},
        )

    def to(self, device: torch.device | str) -> LinearLeaf:
        """Return the same leaf with its tensors on another device."""
        facts, tensors = self.state()
        return self.from_state(facts, {name: value.to(device) for name, value in tensors.items()})


def leaf_from_state(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> LeafModel:
    """Rebuild a leaf from the output of its :meth:`LeafModel.state`, whose matrices may be packed.

    Raises ModelFileError for tensors that do not fit together.
    """
    kind = LinearLeaf if facts["config"]["kernel"] in LINEAR_FAMILIES else RFMLeaf
    return kind.from_state(facts, unpacked(tensors))


def _sides(matrix: Tensor) -> tuple[int, int]:
    """Return the shape of a matrix; for anything else a shape that fits nothing."""
    return (matrix.shape[0], matrix.shape[1]) if matrix.ndim == 2 else (-1, -1)


def _refuse_misfits(tensors: Mapping[str, Tensor], **shapes: list[tuple[int, ...]]) -> None:
    """Refuse tensors with other names, other shapes or more than one floating-point type."""
    one_type = len({value.dtype for value in tensors.values()}) == 1
    floating = all(value.is_floating_point() for value in tensors.values())
    if set(tensors) != set(shapes) or not one_type or not floating:
        raise ModelFileError(MISFIT)
    if any(tuple(value.shape) not in shapes[name] for name, value in tensors.items()):
        raise ModelFileError(MISFIT)
