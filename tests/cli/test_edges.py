"""Options and tables at the edge: each works, or is refused in one line before the search."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
FIT = ("--target", "y", "--trials", "0", "--device", "cpu", "--quiet", "--model", "edge.xrfm")
QUICK = ("--set", "iterations=0")
EVERY = 15  # of the settings; 1 walks the whole grid, in about ten minutes

Rows = list[tuple[object, ...]]


def rows_of(n: int, y: Callable[[int], object]) -> Rows:
    """Rows of a number, a category and a target."""
    return [(k % 7 - 3 + k / 10, "uvw"[k % 3], y(k)) for k in range(n)]


TABLES: dict[str, Rows] = {
    "one row": rows_of(1, lambda k: k),
    "two rows": rows_of(2, lambda k: k),
    "three rows": rows_of(3, lambda k: k * 1.5),
    "two classes in two rows": rows_of(2, lambda k: ["no", "yes"][k]),
    "constant target": rows_of(9, lambda k: 4),
    "one class": rows_of(9, lambda k: "yes"),
    "one row of a class": rows_of(9, lambda k: "yes" if k == 4 else "no"),
    "a row of each class": rows_of(9, lambda k: f"c{k}"),
    "three classes": rows_of(12, lambda k: "abc"[k % 3]),
    "two numbers": rows_of(12, lambda k: k % 2),
    "numbers": rows_of(12, lambda k: k * k - 20),
    "counts with zeros": rows_of(12, lambda k: max(k - 6, 0)),
    "one number but for one row": rows_of(12, lambda k: int(k == 5) * 1e9),
    "missing targets": rows_of(12, lambda k: k if k % 3 else ""),
    "no targets": rows_of(9, lambda k: ""),
    "missing features": [("", "", k * 1.5) for k in range(9)],
    "a missing column": [("", "uv"[k % 2], k * 1.5) for k in range(9)],
    "equal rows": [(1, "u", k % 5) for k in range(12)],
    "copies": [(1.5, "u", 2.5), (2.5, "v", 3.5)] * 6,
    "the largest numbers": [((-1) ** k * 1.7e308, "u", (-1) ** k * 1e300 + k) for k in range(9)],
    "the smallest numbers": [(k * 5e-324, "u", k * 1e-320) for k in range(9)],
}
SETTINGS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    **{task: ("--task", task) for task in ("regression", "binary", "multiclass")},
    **{
        metric: ("--metric", metric)
        for metric in (
            "rmse",
            "mae",
            "r2",
            "mape",
            "poisson_deviance",
            "log_loss",
            "auc",
            "average_precision",
        )
    },
    **{metric: ("--metric", metric) for metric in ("accuracy", "balanced_accuracy", "f1", "brier")},
    "log": ("--set", "target_transform=log"),
    "logistic": ("--set", "loss=logistic"),
    "linear": ("--set", "kernel=linear"),
    "constant": ("--set", "kernel=constant"),
    "quantile": ("--set", "numeric_transform=quantile"),
    "pieces": ("--set", "numeric_transform=piecewise", "--set", "category_encoding=target"),
    "small leaves": ("--set", "leaf_size=2", "--set", "min_leaf_size=1", "--set", "overlap=0.25"),
    "many folds": ("--folds", "9999999999999999999999"),
    "two folds": ("--folds", "2"),
    "groups": ("--group", "b"),
    "time": ("--time", "a"),
    "weights": ("--weight", "a"),
    "itself": ("--valid", "t.csv"),
    "one column": ("--drop", "a"),
    "no column": ("--drop", "a", "--drop", "b"),
    "bounds": (
        "--set",
        "ridge=1e15",
        "--set",
        "bandwidth=1e-15",
        "--set",
        "kernel_p=1e-9",
        "--set",
        "kernel_q=1e-9",
    ),
    "other bounds": ("--set", "kernel=sum_power", "--set", "power=32", "--set", "ridge=1e-300"),
}


def write(folder: Path, rows: Rows) -> None:
    """Write rows as ``t.csv``."""
    (folder / "t.csv").write_text("a,b,y\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))


def refuse_constant(token: str) -> None:
    """JSON has no infinite number."""
    raise ValueError(token)


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_every_setting_works_on_a_table_or_is_refused(table: str, tmp_path: Path, xrfm: Command) -> None:
    write(tmp_path, TABLES[table])
    for name in list(SETTINGS)[list(TABLES).index(table) % EVERY :: EVERY]:
        setting = SETTINGS[name]
        for path in tmp_path.glob("edge.*"):
            path.unlink()
        outcome = xrfm("fit", "t.csv", *FIT, *QUICK, *setting, folder=tmp_path)
        said = f"{table}, {name}: {outcome.err}"
        assert outcome.status in (0, 2), said
        assert (tmp_path / "edge.xrfm").exists() == (outcome.status == 0), said
        if outcome.status == 2:
            assert outcome.error, said
            continue
        json.loads((tmp_path / "edge.report.json").read_text(), parse_constant=refuse_constant)
        for command in ("predict", "evaluate"):
            again = xrfm(command, "t.csv", "--model", "edge.xrfm", "--quiet", folder=tmp_path)
            assert again.status == 0, f"{command}: {said} {again.err}"
