"""Leaves: kernel machines or linear models with a learned feature matrix. Pure tensors, no tables."""

from xrfm_cli.leaf_models.agop import agop, agop_diagonal, agop_rows
from xrfm_cli.leaf_models.config import LINEAR_FAMILIES, LeafConfig
from xrfm_cli.leaf_models.kernels import Kernel, NormKernel, SumPowerKernel, make_kernel
from xrfm_cli.leaf_models.leaf import LeafModel, LinearLeaf, RFMLeaf, leaf_from_state
from xrfm_cli.leaf_models.leaves import iterate_leaves
from xrfm_cli.leaf_models.padding import LeafRows
from xrfm_cli.leaf_models.rfm import fit_leaf, iterate_leaf
from xrfm_cli.leaf_models.solver import Solution, solve_ridge

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
    "agop",
    "agop_diagonal",
    "agop_rows",
    "fit_leaf",
    "iterate_leaf",
    "iterate_leaves",
    "leaf_from_state",
    "make_kernel",
    "solve_ridge",
]
