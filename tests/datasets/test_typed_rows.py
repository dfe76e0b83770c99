"""Rows whose text is parsed once: the same matrices and the same counts of repairs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets import Table, fit_encoder, infer_schema, type_rows
from xrfm_cli.datasets.cells.prose import looks_like_words
from xrfm_cli.datasets.encoders.free_text import hash_words, measure_texts, text_lengths

N = 240
NOISE = np.random.default_rng(0)


def cells(values: list[str], *, every: int, odd: str) -> list[str]:
    """Values of which every so many is an odd one."""
    return [odd if place % every == every - 1 else value for place, value in enumerate(values)]


def a_table() -> Table:
    numbers = [f"{value:.3f}" for value in NOISE.normal(size=N)]
    days = [f"2024-{month:02}-{day:02}" for month, day in NOISE.integers(1, 28, (N, 2)) % 12 + 1]
    european = [f"{place % 28 + 1:02}/{place % 12 + 1:02}/2024" for place in range(N)]
    words = NOISE.choice(["red", "green", "blue"], N).tolist()
    texts = [" ".join(NOISE.choice(["soft", "wine", "of", "the", "north"], 8)) for _ in range(N)]
    return Table(
        pa.table(
            {
                "number": cells(numbers, every=120, odd="broken"),
                "gaps": cells(numbers, every=7, odd=""),
                "weight": [f"{value} kg" for value in numbers],
                "day": cells(days, every=120, odd="2024-02-31"),
                "european": european,
                "word": cells(words, every=9, odd="NA"),
                "flag": NOISE.choice(["yes", "no", ""], N).tolist(),
                "text": cells(texts, every=11, odd=""),
            }
        )
    )


def test_repairs_of_typed_rows_are_those_of_the_text() -> None:
    table = a_table()
    schema = infer_schema(table)
    assert {column.kind for column in schema.features} == {
        "numeric",
        "datetime",
        "categorical",
        "boolean",
        "text",
    }
    rows = NOISE.permutation(N)[:200]
    typed = type_rows(table, schema).take(rows)
    target = np.zeros((len(rows), 1))
    as_read, x, _ = fit_encoder(table.take(rows), schema, target=target)
    again, x_typed, _ = fit_encoder(typed.table, schema, target=target)
    assert x.tobytes() == x_typed.tobytes()
    told = typed.with_unreadable(again.training_repairs)
    assert set(told) == set(as_read.training_repairs)
    assert {"unreadable number", "unreadable date", "missing"} <= {repair.what for repair in told}


def test_texts_measured_in_blocks_are_measured_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.array([None, "", "one", "two words", "tab\tand  blanks", "é" * 300, "a b " * 500])
    whole = measure_texts(texts)
    monkeypatch.setattr("xrfm_cli.datasets.encoders.free_text._BLOCK_BYTES", 1)
    assert measure_texts(texts).equals(whole)
    assert measure_texts(whole) is whole
    assert whole.field("words").to_pylist() == [0, 0, 1, 2, 3, 1, 1000]
    np.testing.assert_array_equal(text_lengths(texts), [np.nan, np.nan, 3, 9, 15, 300, 1999])
    hashed = np.array(whole.field("hashed").to_pylist(), dtype=np.float32)
    np.testing.assert_array_equal(hashed[4], hash_words(pa.array(["tab and blanks"]))[0])


@pytest.mark.parametrize(
    "values",
    [
        [f"{value:.2f}" for value in NOISE.normal(size=N)],
        cells([str(value) for value in range(N)], every=100, odd="a few words of explanation"),
        cells(["1", "2"] * (N // 2), every=120, odd="broken"),
        [f"{value} kg" for value in range(N)],
        [f"R$ {value},50" for value in range(N)],
        [f"{day % 28 + 1} October 2014" for day in range(N)],
        [f"Wed, {day % 28 + 1} Oct 2014 09:30:15 PM +02:00" for day in range(N)],
        [f"{hours} hours {hours} minutes" for hours in range(N)],
        ["-", "12", "", "13"],
    ],
    ids=["numbers", "errors", "few", "units", "money", "months", "stamps", "durations", "marks"],
)
def test_a_quick_look_never_takes_numbers_and_dates_for_words(values: list[str]) -> None:
    assert not looks_like_words(pa.array(values))
    assert not looks_like_words(pa.array(sorted(values)))


@pytest.mark.parametrize(
    "values",
    [
        ["red", "green", "blue"] * 30,
        [" ".join(f"word{k}" for k in NOISE.integers(0, 500, 12)) for _ in range(N)],
        [f"{k} " + "x" * 100 for k in range(N)],
    ],
    ids=["levels", "words", "long"],
)
def test_a_quick_look_knows_prose(values: list[str]) -> None:
    assert looks_like_words(pa.array(values))
