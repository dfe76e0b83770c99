"""Decide on columns of words: categories, two values, free text, identifiers or a constant."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.spellings import canonical_text
from xrfm_cli.datasets.cells.values import (
    Levels,
    tidy_text,
    to_mask,
)
from xrfm_cli.datasets.schema.kind_decision import (
    ID_NAME,
    MIN_ROWS_FOR_NAMES,
    KindDecision,
    missing_note,
)

# Pairs of words that mean no and yes, in that order.
BOOLEAN_WORDS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))

_MOST_BOOLEAN_SPELLINGS = 63  # more than the 48 mixed-case spellings of "true" and "false"
_COUNTED_BYTES = 1 << 23  # of levels whose words are counted; longer text is sampled evenly
_DISTINCT_SHARE = 0.5  # of the cells; categories repeat more often than that
_TEXT_WORDS = 3.0  # words in an average cell of free text


def decide_words(name: str, levels: Levels) -> KindDecision:
    """Decide the kind of a column of words."""
    count, n_rows = len(levels.values), len(levels.codes)
    missing = int((levels.codes < 0).sum())
    if count == 1 and not missing:
        return KindDecision(
            kind="constant", reason=f"the same text in every row: '{levels.values[0].as_py()}'"
        )
    if count <= _MOST_BOOLEAN_SPELLINGS:
        canonical = pc.unique(canonical_text(levels.values))
        if len(canonical) == 2 and boolean_pair(canonical) is not None:
            words = " and ".join(f"'{word}'" for word in sorted(canonical.to_pylist()))
            return KindDecision(
                kind="boolean", reason=f"two values, {words}{missing_note(missing)}", levels_count=2
            )
    if count == 0:
        return KindDecision(kind="constant", reason="every cell is missing")
    present = n_rows - missing
    share = count / present
    if present >= MIN_ROWS_FOR_NAMES and share >= _DISTINCT_SHARE:
        every = 1 + levels.values.nbytes // _COUNTED_BYTES
        counted = levels.values.take(pa.array(range(0, count, every)))
        words_mean = float(pc.mean(pc.add(pc.count_substring_regex(counted, r"\s+"), 1)).as_py())
        if words_mean >= _TEXT_WORDS:
            return KindDecision(
                kind="text",
                reason=f"free text of about {words_mean:.0f} words, {count:,} distinct in {present:,} rows",
                levels_count=count,
            )
        if share >= 0.9 or ID_NAME.search(name):
            return KindDecision(
                kind="identifier",
                reason=f"nearly every row has a different text, {count:,} distinct in {present:,} rows",
                levels_count=count,
            )
    return KindDecision(
        kind="categorical",
        reason=f"text with {count:,} levels{_spelling_note(levels.values)}{missing_note(missing)}",
        levels_count=count,
    )


def boolean_pair(values: pa.Array) -> tuple[str, str] | None:
    """Return the lower-case words for no and yes if the distinct values are such a pair, otherwise None.

    >>> boolean_pair(pa.array(["Yes", "No"]))
    ('no', 'yes')
    """
    words = {word.lower() for word in values.to_pylist()}
    return next((pair for pair in BOOLEAN_WORDS if words and words <= set(pair)), None)


def _spelling_note(words: pa.Array) -> str:
    """Name the levels that would be missing cells in a text file."""
    spelling = to_mask(pc.is_null(tidy_text(words)))
    return f", {quote_words(words, spelling)} among them" if spelling.any() else ""


def quote_words(values: pa.Array, mask: np.ndarray) -> str:
    """Quote the first few values of a mask."""
    return " and ".join(f"'{word}'" for word in values.filter(pa.array(mask)).to_pylist()[:3])
