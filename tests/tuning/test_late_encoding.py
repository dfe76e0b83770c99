"""Final fits that are late take the first fold's encoder instead of a new one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tuning.tables import described, law, table_of
from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.tuning import FitConfig
from xrfm_cli.tuning.problem import late_encoding
from xrfm_cli.tuning.problem.late_encoding import rows_of_first_fold
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem

ENCODING = EncodingConfig()


@pytest.fixture
def problem(monkeypatch: pytest.MonkeyPatch) -> Problem:
    """A problem whose encoding counts as slow."""
    monkeypatch.setattr(late_encoding, "SLOW_S", 0.0)
    found = set_up_problem(*described(table_of(law(90))), FitConfig(folds=3)).problem
    found.folds.matrices(0, ENCODING)
    return found


def test_every_row_is_encoded_as_the_first_fold_would(problem: Problem) -> None:
    found = rows_of_first_fold(problem, ENCODING, "none", seconds_over=1.0)
    assert found is not None
    expected, _ = found.encoder.encode(problem.data.typed.table)
    assert np.array_equal(found.x.numpy(), expected)
    assert found.routed is None


def test_a_fit_in_time_has_an_encoder_of_all_rows(problem: Problem) -> None:
    assert rows_of_first_fold(problem, ENCODING, "none", seconds_over=0.0) is None


def test_quick_encodings_are_made_again(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_encoding, "SLOW_S", 60.0)
    assert rows_of_first_fold(problem, ENCODING, "none", seconds_over=9.0) is None
