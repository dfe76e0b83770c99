"""Pictures of effects: dates are dates."""

from __future__ import annotations

import re

import pytest

from tests.reports.conftest import Case
from xrfm_cli.reports.effect_plots import map_figure
from xrfm_cli.tuning.explain.effects import effect_map
from xrfm_cli.tuning.explain.sample import sample_centers


@pytest.mark.parametrize("columns", [("day", "b"), ("b", "day")])
def test_a_map_of_a_date_is_labelled_with_days(ensemble: Case, columns: tuple[str, str]) -> None:
    (item,) = effect_map(ensemble.model, sample_centers(ensemble.model, 160, seed=0), columns)
    assert item.kinds == tuple("datetime" if name == "day" else "numeric" for name in columns)
    picture = str(map_figure(item, "y"))
    assert re.search(r">202[34]-\d\d-\d\d<", picture)
    assert "e+15" not in picture
