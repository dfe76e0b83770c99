"""Small tables with a known law, and the few lines that fit them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets import (
    SchemaOverrides,
    Table,
    TableSchema,
    TargetSchema,
    infer_schema,
    infer_target,
    read_table,
    sample_path,
)
from xrfm_cli.tuning import FitConfig, FittedModel, fit_model
from xrfm_cli.tuning.deadline import REPORT_RESERVE, Reserve
from xrfm_cli.tuning.search.sampler import StudyPlace
from xrfm_cli.tuning.search.storage.checkpoint import Checkpoint

Columns = Mapping[str, Any]
CLASS_NAMES = np.array(["blue", "green", "red"])


class Ticks:
    """A clock that moves on by the same number of seconds whenever it is read."""

    def __init__(self, step_s: float) -> None:
        self.step_s, self.now = step_s, 1000.0

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


def table_of(columns: Columns, source: str = "small.csv") -> Table:
    """Columns as a table."""
    return Table(pa.table(dict(columns)), source)


def as_text(table: Table) -> Table:
    """The same table as a CSV file gives it: every cell is text."""
    texts = {
        name: pa.array([None if v is None else str(v) for v in table.column(name).to_pylist()], pa.string())
        for name in table.column_names
    }
    return Table(pa.table(texts), table.source)


def law(n: int = 120, *, seed: int = 0, noise: float = 0.05) -> dict[str, Any]:
    """Two numbers, a useless one and a category; ``y`` bends in a way that no line follows."""
    generator = np.random.default_rng(seed)
    a, b, useless = generator.uniform(-2, 2, (3, n))
    town = generator.choice(["Graz", "Linz", "Wien"], n)
    y = np.sin(2 * a) + b**2 + (town == "Wien") + noise * generator.normal(size=n)
    return {"a": a, "b": b, "useless": useless, "town": town.tolist(), "y": y}


def skewed(n: int = 120, *, seed: int = 0) -> dict[str, Any]:
    """The law as the logarithm of a positive target, such as a price."""
    columns = law(n, seed=seed)
    return columns | {"y": np.exp(1.5 * columns["y"])}


def task_table(task: str, n: int = 120, *, seed: int = 0) -> Table:
    """The law with a target for the task: ``y`` as it is, or cut into two or three classes."""
    columns = law(n, seed=seed)
    y = columns["y"]
    if task == "binary":
        columns["y"] = np.where(y > 1.7, "yes", "no").tolist()
    if task == "multiclass":
        columns["y"] = CLASS_NAMES[np.digitize(y, [1.0, 2.2])].tolist()
    return table_of(columns)


def noise_table(n: int, *, d: int = 3, seed: int = 0) -> dict[str, Any]:
    """Numbers without any meaning."""
    generator = np.random.default_rng(seed)
    return {f"x{k}": generator.normal(size=n) for k in range(d)} | {"y": generator.normal(size=n)}


def described(
    table: Table, overrides: SchemaOverrides | None = None, *, target: str = "y", task: Any = "auto"
) -> tuple[Table, TableSchema, TargetSchema]:
    """A table with its schema and its target."""
    schema = infer_schema(table, overrides or SchemaOverrides(target=target))
    return table, schema, infer_target(table, target, task=task)


def fit(
    data: Table | Columns,
    overrides: SchemaOverrides | None = None,
    *,
    target: str = "y",
    task: Any = "auto",
    valid: Table | Columns | None = None,
    on_event: Callable[..., None] = lambda event: None,
    clock: Callable[[], float] | None = None,
    slowdown: Callable[[], float] | None = None,
    checkpoint: Checkpoint | None = None,
    place: StudyPlace | None = None,
    reserve: Reserve = REPORT_RESERVE,
    **options: Any,
) -> FittedModel:
    """Fit a table with the options of ``FitConfig``; three folds and no search unless told otherwise."""
    table = data if isinstance(data, Table) else table_of(data)
    validating = valid if valid is None or isinstance(valid, Table) else table_of(valid, "valid.csv")
    if "trials" not in options and "time_limit_s" not in options:
        options["trials"] = 0
    options.setdefault("folds", 3)
    chosen = described(table, overrides, target=target, task=task)
    more: dict[str, Any] = {} if clock is None else {"clock": clock}
    more |= {"checkpoint": checkpoint, "place": place, "reserve": reserve, "slowdown": slowdown}
    return fit_model(*chosen, FitConfig(**options), valid=validating, on_event=on_event, **more)


def sample(name: str, rows: int | None = None) -> Table:
    """A sample table that ships, or some of its rows drawn once."""
    table = read_table(sample_path(name))
    if rows is None:
        return table
    return table.take(np.sort(np.random.default_rng(0).permutation(table.n_rows)[:rows]))


def scores(model: FittedModel) -> dict[int, float]:
    """Return the scores of the complete trials, by number."""
    complete = [trial for trial in model.report.trials if trial["state"] == "complete"]
    return {trial["number"]: trial["score"] for trial in complete if trial["score"] is not None}


def answers(model: FittedModel, table: Table) -> np.ndarray:
    """Values ``(n,)`` or probabilities ``(n, classes)``."""
    prediction = model.predict(table)
    found = prediction.values if prediction.probabilities is None else prediction.probabilities
    assert found is not None
    return found


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two arrays are equal to the last bit."""
    return left.shape == right.shape and left.tobytes() == right.tobytes()


def one_line(message: object) -> str:
    """The text of an error, which must be a single line that ends as a sentence does."""
    text = str(message)
    assert "\n" not in text, text
    assert text.strip(), text
    return text
