"""Values that the shell completes: columns of DATA, metrics, hyperparameters and devices.

Names of metrics and hyperparameters are repeated here, because the modules that define them import numerical
libraries; a test compares them.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

DEVICES = ("auto", "cpu", "cuda", "mps")
LOSSES = ("rmse", "mae", "mape", "poisson_deviance", "gamma_deviance", "log_loss", "brier")  # lower is better
QUANTILE = "pinball@0.9"
GAINS = ("r2", "auc", "average_precision", "accuracy", "balanced_accuracy", "f1")
HYPERPARAMETERS = (
    "agop_centred",
    "agop_power",
    "agop_rows",
    "bandwidth",
    "bandwidth_mode",
    "category_encoding",
    "center_choice",
    "constant",
    "feature_matrix",
    "iterations",
    "kernel",
    "kernel_p",
    "kernel_q",
    "leaf_size",
    "loss",
    "max_centers",
    "metric_shape",
    "min_leaf_size",
    "numeric_transform",
    "overlap",
    "power",
    "quantile",
    "ridge",
    "split_rows",
    "start_matrix",
    "target_transform",
    "temperature",
    "transfer",
)

SHELL_VARIABLE = "_XRFM_COMPLETE"  # set by the scripts of the shells, to complete_bash and the like
# Typer's scripts pass on other characters changed, or as commands: a header must never run one.
HARMLESS = re.compile(r"[\w .,:;&%#+/()\[\]-]+")
NEEDS_NO_QUOTES = re.compile(r"[\w.+-]+")


def columns(ctx: typer.Context) -> list[str]:
    """Return the columns of DATA, from its first rows; none if DATA is not given yet or cannot be read."""
    with suppress(Exception):  # a shell shows nothing but candidates
        from xrfm_cli.datasets import ReadOptions, read_chunks
        from xrfm_cli.datasets.files.streams import is_stream

        given = {name: item.value for name, item in ctx.params.items() if hasattr(item, "value")}
        path = Path(
            given["data"] if "data" in given else ctx.args[0]
        )  # click stops before an unfinished option
        if not is_stream(path):  # reading it would take the rows away from the command
            own = {item.name: given[item.name] for item in fields(ReadOptions) if item.name in given}
            names = next(read_chunks(path, ReadOptions(**own), chunk_rows=1)).column_names
            shell = os.environ.get(SHELL_VARIABLE, "").removeprefix("complete_")
            return [word for name in names if (word := shell_word(name, shell))]
    return []


def shell_word(name: str, shell: str) -> str:
    """Return the word that stands for a column on a command line; empty if the shell could run it.

    >>> shell_word("sale price", "bash"), shell_word("sale price", "zsh"), shell_word("a$(reboot)", "zsh")
    ('sale\\\\ price', 'sale price', '')
    """
    if NEEDS_NO_QUOTES.fullmatch(name):
        return name
    if not HARMLESS.fullmatch(name):
        return ""
    if shell == "bash":
        return re.sub(r"[^\w.+-]", r"\\\g<0>", name)
    return name if shell in ("zsh", "fish") else ""  # these two quote what they insert; PowerShell does not


def devices() -> list[str]:
    """Return the names of devices."""
    return list(DEVICES)


def metrics() -> list[str]:
    """Return the names of metrics, and one of a quantile."""
    return [*LOSSES, QUANTILE, *GAINS]


def losses() -> list[str]:
    """Return the beginning of a threshold for metrics where lower is better."""
    return [f"{name}=" for name in (*LOSSES, QUANTILE)]


def gains() -> list[str]:
    """Return the beginning of a threshold for metrics where higher is better."""
    return [f"{name}=" for name in GAINS]


def hyperparameters() -> list[str]:
    """Return the beginning of a pinned hyperparameter."""
    return [f"{name}=" for name in HYPERPARAMETERS]


A_COLUMN: dict[str, Any] = {"metavar": "COL", "autocompletion": columns}  # for typer.Option
