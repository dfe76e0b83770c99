"""Parameters in messages: the command spells flags, the estimators arguments, the library neither."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import xrfm_cli
from tests.cli.conftest import Command
from xrfm_cli import InputError, XRFMRegressor
from xrfm_cli.leaf_models.solvers.ridge import not_positive_definite
from xrfm_cli.mentions import option, spell
from xrfm_cli.tuning.search import run_step

PARTS = ("datasets", "leaf_models", "trees", "tuning")


def rows(n: int = 30) -> pd.DataFrame:
    """Rows with a negative number, words, and dates of which no order is certain."""
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": generator.normal(size=n),
            "town": generator.choice(["Graz", "Wien"], n),
            "day": [f"{1 + k % 12:02}/{1 + k % 11:02}/2020" for k in range(n)],
            "y": generator.normal(size=n),
        }
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fault, as a user of each face meets it."""

    options: str
    arguments: Mapping[str, Any]
    drop: tuple[str, ...] = ("day",)
    flags: str
    spelled: str


CASES = {
    "a pin for another kernel": Case(
        options="--set kernel=linear --set bandwidth=3",
        arguments={"set": {"kernel": "linear", "bandwidth": 3}},
        flags="Add --set kernel=norm or leave it out.",
        spelled="Add set={'kernel': 'norm'} or leave it out.",
    ),
    "a logarithm of negative targets": Case(
        options="--set target_transform=log",
        arguments={"set": {"target_transform": "log"}},
        flags="--set target_transform=log: ",
        spelled="set={'target_transform': 'log'}: ",
    ),
    "log odds of numbers": Case(
        options="--set loss=logistic",
        arguments={"set": {"loss": "logistic"}},
        flags="--set loss=logistic: ",
        spelled="set={'loss': 'logistic'}: ",
    ),
    "words in a column of numbers": Case(
        options="--numeric town",
        arguments={"numeric": ["town"]},
        flags="fix or empty the cell, or leave out --numeric town",
        spelled="fix or empty the cell, or leave out numeric=['town']",
    ),
    "dates that may mean two days": Case(
        options="",
        arguments={},
        drop=(),
        flags="use --date-order dmy, mdy or ymd, write dates as yyyy-mm-dd, or leave the column out with",
        spelled="use pandas.to_datetime, write dates as yyyy-mm-dd, or leave the column out with",
    ),
    "a metric of classes": Case(
        options="--metric auc",
        arguments={"metric": "auc"},
        flags="--metric auc: is not defined",
        spelled="metric='auc': is not defined",
    ),
    "a metric that does not exist": Case(
        options="--metric rmsse",
        arguments={"metric": "rmsse"},
        flags="--metric rmsse: no such metric. Did you mean 'rmse'?",
        spelled="metric='rmsse': no such metric. Did you mean 'rmse'?",
    ),
    "counts below zero": Case(
        options="--metric poisson_deviance",
        arguments={"metric": "poisson_deviance"},
        flags="--metric poisson_deviance: ",
        spelled="metric='poisson_deviance': ",
    ),
    "no column to learn from": Case(
        options="--drop size --drop town",
        arguments={"drop": ["size", "town", "day"]},
        flags="--numeric or --categorical keeps a column",
        spelled="numeric or categorical keeps a column",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_face_spells_the_parameters_of_an_error(name: str, xrfm: Command, tmp_path: Path) -> None:
    case, frame = CASES[name], rows()
    frame.to_csv(tmp_path / "t.csv", index=False)
    dropped = [word for column in case.drop for word in ("--drop", column)]
    words = ("fit", "t.csv", "--target", "y", "--trials", "1", *case.options.split(), *dropped)
    outcome = xrfm(*words, folder=tmp_path)
    assert outcome.status == 2
    assert case.flags in outcome.error
    assert "\u27e6" not in outcome.err
    arguments = {"trials": 1, "drop": list(case.drop), **case.arguments}
    with pytest.raises(InputError) as fault:
        XRFMRegressor(**arguments).fit(frame.drop(columns="y"), frame["y"])
    assert case.spelled in str(fault.value)
    assert not re.search("--[a-z]|\u27e6", str(fault.value))


def test_an_interval_is_a_flag_of_the_command_and_a_level_in_python(xrfm: Command, tmp_path: Path) -> None:
    frame = rows().drop(columns=["day", "town"])
    model = XRFMRegressor(trials=0, folds=2).fit(frame[["size"]], frame["y"])
    with pytest.raises(InputError, match=r"^level=0\.99: the errors of 30 held-out rows"):
        model.predict_interval(frame[["size"]], level=0.99)
    model.save(tmp_path / "m.xrfm")
    frame.to_csv(tmp_path / "t.csv", index=False)
    outcome = xrfm("predict", "t.csv", "--model", "m.xrfm", "--interval", "0.99", folder=tmp_path)
    assert outcome.status == 2
    assert "--interval 0.99: the errors of 30 held-out rows" in outcome.error


def test_the_first_failure_of_a_search_without_a_model_is_spelled_too(
    xrfm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise not_positive_definite(20, 1.0, 1e-4)

    monkeypatch.setattr(run_step, "run_step", fail)
    frame = rows().drop(columns=["day", "town"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    said = "no trial led to a model: trial 0 failed: the kernel matrix of 20 rows"
    outcome = xrfm("fit", "t.csv", "--target", "y", "--trials", "2", folder=tmp_path)
    assert outcome.status == 2
    assert said in outcome.error
    assert "Raise the ridge: --set ridge=0.01. Pin other hyperparameters (--set)," in outcome.error
    with pytest.raises(InputError, match=said) as fault:
        XRFMRegressor(trials=2).fit(frame[["size"]], frame["y"])
    assert "Raise the ridge: set={'ridge': 0.01}. Pin other hyperparameters (set)," in str(fault.value)


@pytest.mark.parametrize("value", ["a b", "\u27e7 }", "\u27e6ridge\u27e7", "'", '"', "", "Größe"])
def test_a_value_of_any_text_comes_back_from_its_placeholder(value: str) -> None:
    spelled = spell(f"say {option('drop', value)}!", lambda name, found: f"{name} {found}")
    assert spelled == f"say drop {value}!"


def test_no_message_below_the_faces_spells_a_flag() -> None:
    package = Path(xrfm_cli.__file__).parent
    paths = [path for part in PARTS for path in package.glob(f"{part}/**/*.py")]
    messages = [(path.stem, text) for path in paths for text in texts_of(path)]
    assert len(messages) > 1000
    for module, text in messages:
        said = re.sub(r"xrfm (fit|evaluate) [^.;]*", "", text)  # whole commands
        assert not re.findall("--[a-z][a-z-]*", said), (module, text)


def texts_of(path: Path) -> list[str]:
    """Return the texts in a module, without docstrings and without formatted values."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    known: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(
            node.body[0], ast.Expr
        ):
            known.add(id(node.body[0].value))
    found = []
    for node in nodes:  # a text before its parts
        if isinstance(node, ast.JoinedStr):
            parts = [item for item in node.values if isinstance(item, ast.Constant)]
            known |= {id(item) for item in parts}
            found.append("".join(str(item.value) for item in parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in known:
            found.append(node.value)
    return found
