"""Transform of inputs to the coordinates in which a kernel measures distances."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xrfm_cli.leaf_models.agop import apply_feature_matrix, feature_matrix_power, unit_scale


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transform:
    """``scale (x - shift) root``: the application of a feature matrix.

    Kernels depend only on differences; shifting to the centers' mean keeps the most digits.
    """

    root: Tensor  # (d,) or (d, d), a power of the feature matrix
    shift: Tensor  # (d,)
    scale: float  # a power of two that keeps distances within float32

    @classmethod
    def place(cls, centers: Tensor, feature_matrix: Tensor, agop_power: float) -> tuple[Transform, Tensor]:
        """Return the transform of a leaf with these centers ``(m, d)``, and the centers in its coordinates.

        >>> import torch
        >>> transform, u = Transform.place(torch.tensor([[0.0], [2.0]]), torch.tensor([4.0]), 0.5)
        >>> transform(torch.tensor([[1.0], [2.0]])).ravel().tolist(), u.ravel().tolist(), transform.scale
        ([0.0, 0.5], [-0.5, 0.5], 0.25)
        """
        root, shift = feature_matrix_power(feature_matrix, agop_power), centers.mean(0)
        moved = apply_feature_matrix(centers - shift, root)
        scale = unit_scale(moved)
        return cls(root=root, shift=shift, scale=scale), moved.mul_(scale)

    def __call__(self, x: Tensor) -> Tensor:  # (n, d) -> (n, d)
        """Return rows in the kernel's coordinates."""
        return apply_feature_matrix(x - self.shift, self.root).mul_(self.scale)
