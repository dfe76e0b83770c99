"""Trees: leaves become a model that routes, predicts and can be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xrfm_cli.lazy import on_first_use

if TYPE_CHECKING:
    from xrfm_cli.trees.config import TreeConfig
    from xrfm_cli.trees.growing import Partition, fit_tree, grow, iterate_tree
    from xrfm_cli.trees.model import TreeModel
    from xrfm_cli.trees.model_file import open_model_file, read_model_file, write_model_file
    from xrfm_cli.trees.node_rows import TrainingRows
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
    "open_model_file",
    "read_model_file",
    "write_model_file",
]

_PLACES = {
    "Partition": "growing",
    "SplitNode": "routing",
    "TrainingRows": "node_rows",
    "TreeConfig": "config",
    "TreeModel": "model",
    "fit_tree": "growing",
    "grow": "growing",
    "iterate_tree": "growing",
    "open_model_file": "model_file",
    "read_model_file": "model_file",
    "write_model_file": "model_file",
}

__getattr__ = on_first_use(__name__, _PLACES)  # `xrfm info` reads a model file without torch
