"""Pictures of effects: dates are dates, ticks are readable, and few rows do not fill the axis."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.reports.conftest import Case
from xrfm_cli.reports.effect_plots import effect_figure, map_figure
from xrfm_cli.tuning.explain.effects import Effect, effect_map
from xrfm_cli.tuning.explain.sample import sample_centers


@pytest.fixture
def effect() -> Effect:
    """An effect whose last part is as long as nine others."""
    values = (-2e4, 0.0, 5e3, 1e4, 2e4, 9e4)
    return Effect(
        column="area",
        part="",
        kind="numeric",
        output=None,
        x=(0.0, 5e3, 1e4, 1.5e4, 2e4, 215_245.0),
        effect=values,
        low=values,
        high=values,
        shares=(0.0, *[0.2] * 5),
        mean=1e5,
    )


@pytest.mark.parametrize("columns", [("day", "b"), ("b", "day")])
def test_a_map_of_a_date_is_labelled_with_days(ensemble: Case, columns: tuple[str, str]) -> None:
    (item,) = effect_map(ensemble.model, sample_centers(ensemble.model, 160, seed=0), columns)
    assert item.kinds == tuple("datetime" if name == "day" else "numeric" for name in columns)
    picture = str(map_figure(item, "y").svg)
    assert re.search(r">202[34]-\d\d-\d\d<", picture)
    assert "e+15" not in picture


def test_a_long_outermost_part_is_cut_off_and_told(effect: Effect) -> None:
    words = re.findall(r">([^<>]+)</text>", str(effect_figure(effect, "price").svg))
    assert "continues to 215,245" in words
    assert {"0", "10,000", "\N{MINUS SIGN}10,000"} <= set(words)
    shown = [float(word.replace(",", "")) for word in words if re.fullmatch(r"[\d,]+", word)]
    assert max(shown) <= 25_000


def test_an_older_model_is_drawn_beside_the_new_one(effect: Effect) -> None:
    older = replace(effect, effect=tuple(value / 2 for value in effect.effect))
    alone, both = effect_figure(effect, "price"), effect_figure(effect, "price", older)
    assert "warm" not in alone.svg
    assert 'class="line warm dashed"' in both.svg
    assert alone.rows == both.rows
    assert len(both.rows) == len(effect.x)
    assert "highest at 215,245 (+90,000)" in both.finding
