"""Trees: leaves become a model that routes, predicts and can be stored."""

from xrfm_cli.trees.config import TreeConfig
from xrfm_cli.trees.growing import Partition, fit_tree, grow, iterate_tree
from xrfm_cli.trees.merging import TrainingRows
from xrfm_cli.trees.model import TreeModel
from xrfm_cli.trees.model_file import read_model_file, write_model_file
from xrfm_cli.trees.routing import SplitNode

__all__ = [
    "Partition",
    "SplitNode",
    "TrainingRows",
    "TreeConfig",
    "TreeModel",
    "fit_tree",
    "grow",
    "iterate_tree",
    "read_model_file",
    "write_model_file",
]
