"""Explanations of planted functions by other packages, beside the known answer.

    python -m benchmarks.explanation_peers

The tables are those of ``benchmarks.explanations``, and each method is asked as its users ask it: CatBoost's
feature importances and interactions, LightGBM's gain, the term importances of an Explainable Boosting Machine
(half of a pair's counts for each of its columns), and the mean size of KernelSHAP's values of CatBoost's
model. None of these is a share of the variance, so a ``half_l1`` above zero may be a difference of units;
orders and what columns without an influence get can be compared. ``pairs_found`` takes as many of a method's
pairs as were planted, since no method says which pairs are real.

Needs the packages catboost, lightgbm, interpret and shap.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks.measurements import Recorder, benchmark_parser
from benchmarks.planted import TABLES, Array, Planted

FRESH_SEED, FRESH_ROWS = 1_000, 2_000  # of the rows that models are scored on
PACKAGES = {"catboost": "catboost", "lightgbm": "lightgbm", "ebm": "interpret", "kernelshap": "shap"}
EXPLAINED_ROWS, BACKGROUND_ROWS = 50, 20  # of KernelSHAP


@dataclass(frozen=True, kw_only=True)
class Found:
    """The explanation that one method gives of a table."""

    importances: dict[str, float]  # shares that add to one
    pairs: list[frozenset[str]] = field(default_factory=list)  # the strongest first; empty if it has none
    predict: Callable[[pd.DataFrame], Any] | None = None  # of numbers
    explain_cpu_s: float


def main() -> None:
    """Explain every table by every method, and record the figures."""
    parser = benchmark_parser(__doc__, "explanations")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most-rows", type=int, default=2_000)
    args = parser.parse_args()
    missing = sorted({PACKAGES[name] for name in args.methods if find_spec(PACKAGES[name]) is None})
    if missing:
        raise SystemExit(f"explanation_peers: {', '.join(missing)} missing: pip install {' '.join(missing)}")
    recorder = Recorder("explanations", args.results)
    for name in args.tables:
        make, sizes = TABLES[name]
        for n in (size for size in sizes if size <= args.most_rows):
            for method in args.methods:
                _measure(f"{name}, {n:,} rows", make, n, method, args, recorder)


def _measure(
    table: str,
    make: Callable[..., Planted],
    n: int,
    method: str,
    args: argparse.Namespace,
    recorder: Recorder,
) -> None:
    found = []
    for seed in range(args.seeds):
        planted = make(n, seed)
        frame = pd.DataFrame(planted.columns)
        y = frame.pop("y")
        result = METHODS[method](frame, y, seed)
        found.append(figures(planted, result))
        if result.predict is not None and pd.api.types.is_float_dtype(y):
            fresh = pd.DataFrame(make(FRESH_ROWS, FRESH_SEED + seed).columns)
            truth = fresh.pop("y").to_numpy()
            predicted = np.asarray(result.predict(fresh), dtype=np.float64)
            found[-1]["r2"] = 1 - float(np.mean(np.square(truth - predicted)) / truth.var())
    for metric in sorted({metric for item in found for metric in item}):
        value = float(np.mean([item[metric] for item in found if metric in item]))
        recorder.add(table, metric, value, method=method, extra={"seeds": args.seeds})
        print(f"{table}: {method} {metric} {value:.3f}", flush=True)


def figures(planted: Planted, found: Found) -> dict[str, float]:
    """Return the figures of one explanation."""
    out = {"explain_cpu_s": found.explain_cpu_s}
    if not planted.shares:
        return out
    null = [name for name in found.importances if name not in (*planted.shares, *planted.decoys)]
    truth = np.array(list(planted.shares.values()))
    own = np.array([found.importances[name] for name in planted.shares])
    if len(set(planted.shares.values())) == len(truth) > 2:
        out["rank_correlation"] = float(spearmanr(own, truth).statistic)
    out["half_l1"] = float((np.abs(own - truth).sum() + 1 - own.sum()) / 2)
    out["null_share"] = sum(found.importances[name] for name in null)
    if planted.decoys:
        out["decoy_share"] = sum(found.importances[name] for name in planted.decoys)
    if planted.pairs and found.pairs:
        first = found.pairs[: len(planted.pairs)]
        out["pairs_found"] = float(np.mean([pair in first for pair in planted.pairs]))
    return out


def catboost(frame: pd.DataFrame, y: pd.Series, seed: int) -> Found:
    """Importances and interactions of CatBoost with its defaults."""
    model = _catboost(frame, y, seed)
    begun = time.process_time()
    importances = model.get_feature_importance()
    strength = model.get_feature_importance(type="Interaction")
    spent = time.process_time() - begun
    names = list(frame.columns)
    return Found(
        importances=_shares(names, importances),
        pairs=[frozenset((names[int(a)], names[int(b)])) for a, b, _ in strength],
        predict=model.predict,
        explain_cpu_s=spent,
    )


def kernelshap(frame: pd.DataFrame, y: pd.Series, seed: int) -> Found:
    """Return the mean sizes of KernelSHAP's values of CatBoost's model, summed over classes."""
    import shap

    model = _catboost(frame, y, seed)
    levels = {name: sorted(set(frame[name])) for name in frame if frame[name].dtype.kind not in "if"}
    coded = frame.assign(**{name: frame[name].map(known.index) for name, known in levels.items()})

    def predict(cells: Array) -> Array:
        rows = pd.DataFrame(cells, columns=frame.columns)
        rows = rows.assign(**{n: [known[int(code)] for code in rows[n]] for n, known in levels.items()})
        return model.predict(rows) if pd.api.types.is_float_dtype(y) else model.predict_proba(rows)

    np.random.seed(seed)  # shap draws from the global generator
    values = coded.to_numpy(dtype=np.float64)
    begun = time.process_time()
    explainer = shap.KernelExplainer(predict, values[:BACKGROUND_ROWS])
    parts = np.abs(np.asarray(explainer.shap_values(values[-EXPLAINED_ROWS:], silent=True)))
    spent = time.process_time() - begun
    sizes = parts.mean(0) if parts.ndim == 2 else parts.mean(0).sum(-1)
    return Found(importances=_shares(list(frame.columns), sizes), explain_cpu_s=spent)


def lightgbm(frame: pd.DataFrame, y: pd.Series, seed: int) -> Found:
    """Gains of LightGBM with its defaults, which has no measure of pairs."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMRegressor if pd.api.types.is_float_dtype(y) else LGBMClassifier
    rows = _as_categories(frame)
    model = kind(random_state=seed, n_jobs=1, verbose=-1, importance_type="gain").fit(rows, y)
    begun = time.process_time()
    importances = _shares(list(frame.columns), model.feature_importances_)
    spent = time.process_time() - begun
    return Found(
        importances=importances,
        predict=lambda fresh: model.predict(_as_categories(fresh)),
        explain_cpu_s=spent,
    )


def ebm(frame: pd.DataFrame, y: pd.Series, seed: int) -> Found:
    """Term importances of an Explainable Boosting Machine with its defaults."""
    from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

    kind = ExplainableBoostingRegressor if pd.api.types.is_float_dtype(y) else ExplainableBoostingClassifier
    model = kind(random_state=seed, n_jobs=1).fit(frame, y)
    begun = time.process_time()
    strengths = model.term_importances()
    spent = time.process_time() - begun
    names = list(frame.columns)
    sizes = np.zeros(len(names))
    pairs = []
    for term, strength in zip(model.term_features_, strengths, strict=True):
        sizes[list(term)] += strength / len(term)
        if len(term) == 2:
            pairs.append((float(strength), frozenset(names[k] for k in term)))
    pairs.sort(key=lambda own: -own[0])
    return Found(
        importances=_shares(names, sizes),
        pairs=[pair for _, pair in pairs],
        predict=model.predict,
        explain_cpu_s=spent,
    )


METHODS: dict[str, Callable[[pd.DataFrame, pd.Series, int], Found]] = {
    "catboost": catboost,
    "lightgbm": lightgbm,
    "ebm": ebm,
    "kernelshap": kernelshap,
}


def _catboost(frame: pd.DataFrame, y: pd.Series, seed: int) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostRegressor if pd.api.types.is_float_dtype(y) else CatBoostClassifier
    levels = [name for name in frame if frame[name].dtype.kind not in "if"]
    options = {"random_seed": seed, "thread_count": 1, "verbose": 0, "allow_writing_files": False}
    return kind(**options, cat_features=levels).fit(frame, y)


def _as_categories(frame: pd.DataFrame) -> pd.DataFrame:
    levels = [name for name in frame if frame[name].dtype.kind not in "if"]
    return frame.assign(**{name: frame[name].astype("category") for name in levels})


def _shares(names: list[str], sizes: Any) -> dict[str, float]:
    own = np.asarray(sizes, dtype=np.float64)
    return dict(zip(names, (own / (own.sum() or 1.0)).tolist(), strict=True))


if __name__ == "__main__":
    main()
