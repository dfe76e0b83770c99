"""Deletion and insertion curves of attributions, beside those of KernelSHAP on the same model.

    python -m benchmarks.deletion_curves ../shared/bench

Each table's model is fitted to 2,000 rows; test rows are explained against eight training rows from even
quantiles of the prediction, the same for both methods. Columns are deleted in the order of their
attributions, the largest first: their values come from other training rows, and the prediction is the mean
over these. The curve of a good order falls fast; where columns are inserted instead, it rises fast. For
classes the prediction is the probability of the predicted class. ``deletion`` and ``insertion`` are the mean
areas under the curves, in deviations of the predictions (1 for probabilities). ``worse`` is the difference
from KernelSHAP's area, in the direction in which ours is worse, and ``worse_error`` its standard error.

KernelSHAP runs with the defaults of the package shap, which must be installed beside this one. Its users
take some hundred rows as background: ``times_faster`` compares CPU times for our eight reference rows with
those for 100 of KernelSHAP, on the first rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from benchmarks.measurements import OURS, Recorder
from benchmarks.suite import Split, read_split, suite_parser
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.reports.attributions import Baseline, attribute_rows
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.explain.columns import feature_columns
from xrfm_cli.tuning.explain.sample import Sample, sample_table
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel

Array = NDArray[np.float64]
TABLES = ("california_housing", "adult", "letter")
REFERENCES = 8
REPLACEMENTS = 20  # training rows that the values of deleted columns come from
KERNEL_SHAP = "KernelSHAP"
USUAL_BACKGROUND, TIMED_ROWS = 100, 3  # rows, of KernelSHAP where it is timed as it is commonly used


@dataclass(frozen=True, kw_only=True)
class Mixtures:
    """Predictions of rows whose columns come from rows of a pool."""

    model: FittedModel
    pool: Sample
    classes: NDArray[np.int64] | None  # the explained class of each row of the pool; None for numbers

    def predict(self, sources: NDArray[np.int64]) -> Array:  # (n, columns) -> (n, k)
        """Return the predictions of rows, given the row of the pool that each column comes from."""
        matrices = {}
        for key, x in self.pool.matrices.items():
            out = np.empty((len(sources), x.shape[1]), dtype=x.dtype)
            for column, parts in enumerate(self.pool.coordinates[key]):
                out[:, parts] = x[sources[:, [column]], parts]
            matrices[key] = out
        found = np.asarray(self.model.predict_encoded(self.model.refreshed(matrices)), dtype=np.float64)
        return found[:, None] if found.ndim == 1 else found


def main() -> None:
    """Measure table by table."""
    parser = suite_parser(__doc__, "deletion_curves", TABLES)
    parser.add_argument("--train-rows", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=50, help="test rows that are explained")
    parser.add_argument("--trials", type=int, default=8)
    args = parser.parse_args()
    try:
        import shap  # noqa: F401
    except ImportError:
        raise SystemExit(
            "deletion_curves: the package shap is missing, which KernelSHAP is taken from: pip install shap"
        ) from None
    torch.set_num_threads(1)
    recorder = Recorder("deletion_curves", args.results)
    for name in args.tables:
        for method, metric, value in measure(read_split(args.suite, name, seed=args.seed), args):
            facts = {"seed": args.seed, "extra": {"trials": args.trials, "rows": args.rows}}
            recorder.add(name, metric, float(f"{value:.4g}"), method=method, **facts)
            print(f"{name}: {method} {metric} {value:.4g}", flush=True)


def measure(split: Split, args: argparse.Namespace) -> list[tuple[str, str, float]]:
    """Return the figures of one table as method, metric and value."""
    train = split.train.slice(0, args.train_rows)
    schema = infer_schema(train, SchemaOverrides(target=split.target))
    described = infer_target(train, split.target, task=split.task)
    model = fit_model(train, schema, described, FitConfig(trials=args.trials, seed=args.seed))
    explained = split.test.slice(0, args.rows)
    references = typical_rows(model, train)
    others = train.slice(0, USUAL_BACKGROUND)
    pool = Table(pa.concat_tables([explained.data, references.data, others.data]), source="rows")
    sample = sample_table(model, pool)
    at_rows = np.asarray(model.predict_encoded(sample.matrices), dtype=np.float64)
    classes = at_rows[: args.rows].argmax(1) if model.target.classes else None
    mixtures = Mixtures(model=model, pool=sample, classes=classes)
    scale = 1.0 if model.target.classes else float(at_rows.std())
    ours, our_ms = timed(lambda: path_parts(model, explained, references, classes), args.rows)
    background = args.rows + np.arange(REFERENCES)
    theirs, their_ms = timed(
        lambda: kernel_shap(mixtures, np.arange(args.rows), background, seed=args.seed), args.rows
    )
    usual = args.rows + REFERENCES + np.arange(USUAL_BACKGROUND)
    _, usual_ms = timed(
        lambda: kernel_shap(mixtures, np.arange(TIMED_ROWS), usual, seed=args.seed), TIMED_ROWS
    )
    found: list[tuple[str, str, float]] = []
    areas = {}
    for method, parts, ms in ((OURS, ours, our_ms), (KERNEL_SHAP, theirs, their_ms)):
        areas[method] = {
            name: area / scale for name, area in curves(mixtures, parts, usual[:REPLACEMENTS]).items()
        }
        found += [(method, name, float(area.mean())) for name, area in areas[method].items()]
        found.append((method, "ms_a_row", ms))
    for name, sign in (("deletion", 1.0), ("insertion", -1.0)):
        worse = sign * (areas[OURS][name] - areas[KERNEL_SHAP][name])
        found.append((OURS, f"{name}_worse", float(worse.mean())))
        found.append((OURS, f"{name}_worse_error", float(worse.std(ddof=1)) / len(worse) ** 0.5))
    found.append((KERNEL_SHAP, "usual_ms_a_row", usual_ms))
    found.append((OURS, "times_faster", usual_ms / our_ms))
    return found


def typical_rows(model: FittedModel, train: Table) -> Table:
    """Return training rows from even quantiles of the prediction, of its most probable class for classes."""
    predicted = np.asarray(model.predict_encoded(model.encode(train)[0]), dtype=np.float64)
    order = (
        np.argsort(predicted) if predicted.ndim == 1 else np.lexsort((predicted.max(1), predicted.argmax(1)))
    )
    chosen = order[((np.arange(REFERENCES) + 0.5) / REFERENCES * len(order)).astype(np.int64)]
    return train.take(chosen)


def timed(run: Callable[[], Array], rows: int) -> tuple[Array, float]:
    """Return what a function returns, and its CPU milliseconds a row."""
    begun = time.process_time()
    found = run()
    return found, 1e3 * (time.process_time() - begun) / rows


def path_parts(
    model: FittedModel, explained: Table, references: Table, classes: NDArray[np.int64] | None
) -> Array:  # -> (rows, columns)
    """Return the attributions of ``xrfm explain``, each row's of its predicted class."""
    columns = feature_columns(model.schema)
    baseline = Baseline.of_table(model, references)
    if classes is None or len(model.target.classes) > 2:
        found = attribute_rows(model, explained, baseline=baseline)
        return np.column_stack([found.column(name).to_numpy() for name in columns])
    label = str(model.target.classes[1])  # the parts of the other class are the same with the other sign
    found = attribute_rows(model, explained, baseline=baseline, label=label)
    signs = np.where(classes == 1, 1.0, -1.0)
    return signs[:, None] * np.column_stack([found.column(name).to_numpy() for name in columns])


def kernel_shap(
    mixtures: Mixtures, rows: NDArray[np.int64], background: NDArray[np.int64], *, seed: int
) -> Array:  # -> (rows, columns)
    """Return the Shapley values by KernelSHAP with its defaults, each row's of its predicted class.

    The explained values are the numbers of rows of the pool, so that each column is swapped as a whole.
    """
    import shap

    d = len(mixtures.pool.columns)
    np.random.seed(seed)  # shap draws from the global generator
    out = np.empty((len(rows), d))
    for row in rows:
        own = slice(None) if mixtures.classes is None else [int(mixtures.classes[row])]

        def predict(cells: Array, own: slice | list[int] = own) -> Array:
            return mixtures.predict(cells.astype(np.int64))[:, own][:, 0]

        explainer = shap.KernelExplainer(predict, np.tile(background[:, None].astype(np.float64), d))
        out[row] = explainer.shap_values(np.full(d, float(row)), silent=True)
    return out


def curves(mixtures: Mixtures, parts: Array, others: NDArray[np.int64]) -> dict[str, Array]:
    """Return the areas under the deletion and the insertion curve of each row.

    Deleted values come from the rows ``others`` of the pool.
    """
    rows, d = parts.shape
    areas = {name: np.empty(rows) for name in ("deletion", "insertion")}
    for row in range(rows):
        rank = np.empty(d, dtype=np.int64)
        rank[np.argsort(-parts[row], kind="stable")] = np.arange(d)
        is_early = rank[None] < np.arange(d + 1)[:, None]  # (d + 1, d)
        for name, is_own in (("deletion", ~is_early), ("insertion", is_early)):
            sources = np.where(is_own[:, None], row, others[None, :, None]).reshape(-1, d)
            found = mixtures.predict(sources)
            values = found[:, 0 if mixtures.classes is None else int(mixtures.classes[row])]
            areas[name][row] = float(np.trapezoid(values.reshape(d + 1, -1).mean(1))) / d
    return areas


if __name__ == "__main__":
    main()
