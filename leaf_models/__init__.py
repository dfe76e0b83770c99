"""Leaves: matrices become a kernel machine with a learned metric. Pure tensors, no tables."""

from xrfm_cli.leaf_models.agop import agop, agop_diagonal
from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.kernels import Kernel, NormKernel, SumPowerKernel, make_kernel
from xrfm_cli.leaf_models.leaf import LeafModel, RFMLeaf
from xrfm_cli.leaf_models.rfm import fit_leaf, iterate_leaf
from xrfm_cli.leaf_models.solver import Solution, solve_ridge

__all__ = [
    "Kernel",
    "LeafConfig",
    "LeafModel",
    "NormKernel",
    "RFMLeaf",
    "Solution",
    "SumPowerKernel",
    "agop",
    "agop_diagonal",
    "fit_leaf",
    "iterate_leaf",
    "make_kernel",
    "solve_ridge",
]
