"""Hints about columns, a validation or a metric that do not suit the table."""

from __future__ import annotations

from xrfm_cli.mentions import option
from xrfm_cli.printable import counted
from xrfm_cli.tuning.problem.learning_problem import Problem


def copy_message(column: str, target: str) -> str:
    """Return the note about a column that determines the target of every row."""
    way_out = f"if it is not known when rows are predicted, leave it out: {option('drop', column)}"
    return f"{column}: determines '{target}' in every row; {way_out}"


def validation_hints(problem: Problem) -> list[str]:
    """Return warnings about a validation or a metric that does not suit the table."""
    lines, dates = [], [column.name for column in problem.data.schema.features if column.kind == "datetime"]
    roles = {column.role for column in problem.data.schema.columns}
    if dates and "time" not in roles and problem.plan.scheme != "given rows":
        lines.append(
            f"'{dates[0]}' dates the rows, but validation rows are drawn at random; if the model will "
            f"predict later rows, validate on the latest: {option('time', dates[0])}"
        )
    zeros = int((problem.data.y_true == 0).sum())
    if problem.scorer.metric.name == "mape" and zeros:
        lines.append(
            f"{option('metric', 'mape')}: '{problem.data.target.name}' is 0 in {counted(zeros, 'row')}, "
            "where a relative error has no meaning, and these rows decide the score; choose mae or rmse"
        )
    return lines
