"""Tensors on a simulated device that refuses what GPUs refuse: tensors elsewhere and, on Apple's, float64.

They compute on the CPU. How the real device rounds they cannot tell, nor which operations it lacks; which
types and which devices meet in an operation, they can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from xrfm_cli.leaf_models.precision import has_float64

DEVICE = torch.device("meta")  # any but the CPU that every build of torch knows
TAKES_STRANGERS = {
    "copy_",
    "index",
    "index_put_",
}  # numbers of rows may be on the CPU, and copies come from there


class Far(Tensor):
    """A tensor that reports the simulated device and wraps a CPU tensor."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> Far:
        """Wrap a tensor; float64 is refused where the device has none."""
        if near.dtype == torch.float64 and not has_float64(DEVICE):
            raise TypeError("the device has no float64")
        made: Far = Tensor._make_wrapper_subclass(
            cls, near.shape, strides=near.stride(), dtype=near.dtype, device=DEVICE
        )
        made.near = near
        return made

    def tolist(self) -> Any:
        """Return the values, which torch cannot read from a wrapper."""
        return self.near.tolist()

    def new_tensor(self, data: Any, *_: Any, **options: Any) -> Far:
        """Return new values beside this tensor; torch would make them on the CPU."""
        return Far(self.near.new_tensor(data, **options))

    @classmethod
    def __torch_dispatch__(cls, operation: Any, *_: Any) -> Any:
        """Refuse operations outside :class:`Pretence`."""
        raise RuntimeError(f"{operation} outside of a pretence")


class Pretence(TorchDispatchMode):
    """Mode in which operations on the device are checked and computed on the CPU."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute an operation, and wrap results that stay on the device."""
        name, kwargs = operation.overloadpacket.__name__, dict(kwargs or {})
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        stays = any(isinstance(value, Far) for value in given)
        if kwargs.get("device") is not None:
            stays = torch.device(kwargs["device"]) == DEVICE
            kwargs["device"] = torch.device("cpu")
        elif stays and name not in TAKES_STRANGERS and any(type(x) is Tensor and x.ndim for x in given):
            raise RuntimeError(f"{name}: tensors of two devices")
        near_args, near_kwargs = tree_map(near, (args, kwargs))
        found = operation(*near_args, **near_kwargs)
        if name.endswith("_"):
            return args[0]
        return (
            tree_map(lambda value: Far(value) if isinstance(value, Tensor) else value, found)
            if stays
            else found
        )


def far(x: Tensor) -> Far:
    """Return a copy on the simulated device."""
    return Far(x.clone())


def near(x: Any) -> Any:
    """Return the value on the CPU."""
    return x.near if isinstance(x, Far) else x
