"""Methods of the estimators about a fitted model: explanations, attributions, drift and the search."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from xrfm_cli.datasets import Table
from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.estimators.frames import TableLike
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.options.cores import usable_cores
from xrfm_cli.reports import (
    attribute_rows,
    explain_document,
    explain_model,
    render_explain,
    write_fit_report,
)
from xrfm_cli.reports.attributions import Baseline
from xrfm_cli.reports.explanation import ALL_COLUMNS, EXPLAINED_ROWS
from xrfm_cli.tuning.explain.row_sampler import RowSampler
from xrfm_cli.tuning.model.drift import column_drifts, observe
from xrfm_cli.tuning.model.fitted_model import FittedModel

TRIAL_FACTS = ("number", "state", "score", "seconds")
NOTEBOOK_HEIGHT_PX = 720  # of an explanation in a notebook; it scrolls


@dataclass(frozen=True, slots=True)
class ModelExplanation:
    """An explanation: data frames in Python, the page of ``xrfm explain`` in a notebook.

    ``document`` is the JSON document of ``xrfm explain``, and ``page`` its HTML.
    """

    document: dict[str, Any]
    page: str

    @property
    def importances(self) -> pd.DataFrame:
        """The share of the prediction's variance of each column, with a range; largest first."""
        return pd.DataFrame(self.document["importances"])

    @property
    def permutation(self) -> pd.DataFrame:
        """How much worse the metric becomes on held-out rows if a column is permuted."""
        return pd.DataFrame(self.document["permutation"])

    @property
    def agop(self) -> pd.DataFrame:
        """The share of each column in the average gradient outer product."""
        return pd.DataFrame(self.document["agop"])

    @property
    def pairs(self) -> pd.DataFrame:
        """The pairs of columns that act together, confirmed on held-out rows."""
        return pd.DataFrame(self.document["pairs"])

    @property
    def triples(self) -> pd.DataFrame:
        """The triples of columns that act together, confirmed on held-out rows."""
        return pd.DataFrame(self.document["triples"])

    @property
    def notes(self) -> list[str]:
        """Sentences about measures that disagree and about correlated columns."""
        return list(self.document["notes"])

    def __repr__(self) -> str:
        shown = self.importances.head(10)
        lines = [f"{row.column}: {row.share:.1%}" for row in shown.itertuples()]
        return "\n".join(["Shares of the prediction's variance", *lines, *self.notes])

    def _repr_html_(self) -> str:
        """Show the page in a frame of its own, so that its styles leave the notebook alone."""
        page = html.escape(self.page, quote=True)
        style = f"width:100%;height:{NOTEBOOK_HEIGHT_PX}px;border:0"
        return f'<iframe title="Explanation of the model" srcdoc="{page}" style="{style}"></iframe>'


class ExplainingMixin(ABC):
    """Explanations of a fitted estimator, as data frames."""

    model_: FittedModel
    threads: int | None

    def explain(
        self,
        X: TableLike | None = None,  # noqa: N803
        *,
        rows: int = EXPLAINED_ROWS,
        seed: int = 0,
        curves: bool = False,
    ) -> ModelExplanation:
        """Explain what the model learned: importances, pairs, effects, directions.

        Parameters
        ----------
        X : table, default=None
            Rows to average over. By default, training rows that the model keeps.
        rows : int, default=1000
            Most rows to average over.
        seed : int, default=0
            Seed that rows are drawn with.
        curves : bool, default=False
            Add partial dependence and the curves of single rows to the effects.
        """
        table = None if X is None else _sample(self._model_table(X), rows, seed)
        check_is_fitted(self)
        with compute_threads(self.threads, most=usable_cores()):
            found = explain_model(
                self.model_, rows=rows, seed=seed, table=table, effects=(), curves=curves, regions=True
            )
        document = explain_document(self.model_, found)
        return ModelExplanation(document, render_explain(self.model_, found, document))

    def effects(
        self,
        column: str,
        X: TableLike | None = None,  # noqa: N803
        *,
        rows: int = EXPLAINED_ROWS,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Return how a column moves the prediction: ``x``, ``effect``, ``low``, ``high`` and ``share``.

        Effects are relative to the mean prediction, in units of the target or, for classes, as probabilities
        with one block of rows for each ``class``; of more than three, those that the column moves most. Dates
        have a block for each ``part``.
        """
        check_is_fitted(self)
        known = [item.name for item in self.model_.schema.features]
        if column not in known or column == ALL_COLUMNS:
            raise OptionError(
                f"column={column!r}: the model has no such column.{did_you_mean(column, known)}"
            )
        table = None if X is None else _sample(self._model_table(X), rows, seed)
        with compute_threads(self.threads, most=usable_cores()):
            found = explain_model(self.model_, rows=rows, seed=seed, table=table, effects=(column,))
        frames = []
        for item in found.effects:
            facts = {"x": item.x, "effect": item.effect, "low": item.low, "high": item.high}
            frame = pd.DataFrame(facts | {"share": item.shares})
            if item.part:
                frame.insert(0, "part", item.part)
            if item.output is not None:
                frame.insert(0, "class", item.output)
            frames.append(frame)
        columns = ["x", "effect", "low", "high", "share"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)

    def attributions(
        self,
        X: TableLike,  # noqa: N803
        *,
        baseline: TableLike | None = None,
        label: Any = None,
    ) -> pd.DataFrame:
        """Attribute the prediction of each row to the columns.

        Parameters
        ----------
        X : table of shape (n, columns)
            Rows to explain.
        baseline : table, default=None
            Rows whose mean prediction is the baseline. By default, typical training rows.
        label : class, default=None
            Class to explain. By default, the positive one of two, else the predicted one.

        Returns
        -------
        DataFrame of shape (n, columns + 2 or 3)
            Columns of attributions, which add up to ``prediction - baseline``, then these two and, for
            classes, ``class``. Rows of a pandas data frame keep their index.
        """
        table = self._model_table(X)
        with compute_threads(self.threads, most=usable_cores()):
            references = None
            if baseline is not None:
                references = Baseline.of_table(self.model_, self._model_table(baseline))
            wanted = None if label is None else str(label)
            found = attribute_rows(self.model_, table, baseline=references, label=wanted).to_pandas()
        return found.set_axis(X.index) if isinstance(X, pd.DataFrame) else found

    def drift(self, X: TableLike) -> pd.DataFrame:  # noqa: N803
        """Return how far each column of ``X`` has moved from the training rows, the furthest first.

        ``index`` is the population stability index: by convention, 0.1 is some change and 0.25 much.
        ``by_chance`` is exceeded by one in a thousand unchanged columns. The bin that changed most has the
        share ``training`` of the training rows and ``now`` of ``X``.
        """
        table = self._model_table(X)
        if self.model_.profile is None:
            raise OptionError("the model was written by a version that kept no profile; fit it again")
        found = column_drifts(self.model_.profile, observe(self.model_.profile, table))
        names = ["column", "index", "by_chance", "bin", "training", "now"]
        rows = [
            (item.column, item.index, item.by_chance, change.bin, change.training, change.now)
            for item in found
            for change in [item.largest_change]
        ]
        return pd.DataFrame(rows, columns=names)

    def report(self, path: str | Path) -> None:
        """Write the report of the fit; the ending selects HTML, JSON, Markdown (``.md``) or a picture."""
        check_is_fitted(self)
        place = Path(path)
        if place.suffix not in (".html", ".json", ".md", ".png"):
            raise OptionError(f"path='{path}': must end in .html, .json, .md or .png")
        write_fit_report(self.model_, explain_model(self.model_), [place])

    @property
    def score_(self) -> float:
        """The score on rows that were not trained on, in the metric of the search."""
        check_is_fitted(self)
        return self.model_.report.score

    @property
    def leaderboard_(self) -> pd.DataFrame:
        """The trials of the search, best first: ``number``, ``state``, ``score``, ``seconds``, ``weight``.

        ``weight`` is the share in the ensemble. Further columns are the hyperparameters.
        """
        check_is_fitted(self)
        report = self.model_.report
        weights = {member["trial"]: member["weight"] for member in report.ensemble}
        rows = [
            {name: trial.get(name) for name in TRIAL_FACTS}
            | {"weight": weights.get(trial["number"], 0.0)}
            | trial["params"]
            for trial in report.trials
        ]
        found = pd.DataFrame(
            rows, columns=None if rows else ["number", "state", "score", "seconds", "weight"]
        )
        is_complete = found["state"] == "complete"
        order = found.assign(_last=~is_complete).sort_values(
            ["_last", "score"], ascending=[True, report.lower_is_better], kind="stable"
        )
        return order.drop(columns="_last").reset_index(drop=True)

    @abstractmethod
    def _model_table(self, X: TableLike) -> Table:  # noqa: N803
        """Return the rows with the columns that the model needs; check that the estimator is fitted."""


def _sample(table: Table, rows: int, seed: int) -> Table | None:
    sampler = RowSampler(rows=rows, seed=seed)
    sampler.add(table)
    return sampler.table()
