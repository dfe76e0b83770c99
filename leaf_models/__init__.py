"""Leaves: kernel machines or linear models with a learned feature matrix. Pure tensors, no tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xrfm_cli.lazy import on_first_use

if TYPE_CHECKING:
    from xrfm_cli.leaf_models.agop import agop_diagonal, agop_rows
    from xrfm_cli.leaf_models.batched.padding import LeafRows
    from xrfm_cli.leaf_models.config import LINEAR_FAMILIES, LeafConfig
    from xrfm_cli.leaf_models.kernels.families import Kernel, NormKernel, SumPowerKernel, make_kernel
    from xrfm_cli.leaf_models.leaf import LeafModel, LinearLeaf, RFMLeaf, leaf_from_state
    from xrfm_cli.leaf_models.leaves import iterate_leaves
    from xrfm_cli.leaf_models.rfm import fit_leaf, iterate_leaf
    from xrfm_cli.leaf_models.solvers.ridge import Solution, solve_ridge

__all__ = [
    "LINEAR_FAMILIES",
    "Kernel",
    "LeafConfig",
    "LeafModel",
    "LeafRows",
    "LinearLeaf",
    "NormKernel",
    "RFMLeaf",
    "Solution",
    "SumPowerKernel",
    "agop_diagonal",
    "agop_rows",
    "fit_leaf",
    "iterate_leaf",
    "iterate_leaves",
    "leaf_from_state",
    "make_kernel",
    "solve_ridge",
]

_PLACES = {
    "LINEAR_FAMILIES": "config",
    "Kernel": "kernels.families",
    "LeafConfig": "config",
    "LeafModel": "leaf",
    "LeafRows": "batched.padding",
    "LinearLeaf": "leaf",
    "NormKernel": "kernels.families",
    "RFMLeaf": "leaf",
    "Solution": "solvers.ridge",
    "SumPowerKernel": "kernels.families",
    "agop_diagonal": "agop",
    "agop_rows": "agop",
    "fit_leaf": "rfm",
    "iterate_leaf": "rfm",
    "iterate_leaves": "leaves",
    "leaf_from_state": "leaf",
    "make_kernel": "kernels.families",
    "solve_ridge": "solvers.ridge",
}

__getattr__ = on_first_use(__name__, _PLACES)  # the options of leaves are checked without torch
