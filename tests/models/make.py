"""Fit the small models of this folder with the installed release, through the command, as a user would.

    python tests/models/make.py           # writes tests/models/<version>/, which must not exist yet

All are asked the rows of ``rows.csv`` there; what each answers is ``<name>.expected.csv``.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xrfm_cli import __version__
from xrfm_cli.main import run

ROWS, ASKED = 140, 24
TARGETS = ("rent", "let", "zone")
WORDS = ("bright", "quiet", "garden", "lift", "old", "view", "near", "park", "tiled", "south")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One model: how it is fitted, and the rows it predicts."""

    name: str
    target: str
    pins: tuple[str, ...] = ()  # for --set
    fit: tuple[str, ...] = ("--trials", "0")
    predict: tuple[str, ...] = ()


EXAMPLES = (
    Example(
        name="regression-log-intervals",
        target="rent",
        pins=("target_transform=log", "numeric_transform=quantile"),
        predict=("--interval", "0.8"),
    ),
    Example(
        name="regression-soft-tree",
        target="rent",
        pins=(
            "leaf_size=60",
            "min_leaf_size=20",
            "temperature=0.3",
            "overlap=0.1",
            "target_transform=none",
            "kernel=sum_power",
            "category_encoding=target",
        ),
    ),
    Example(
        name="regression-linear",
        target="rent",
        pins=("kernel=linear", "target_transform=none"),
        predict=("--interval", "0.9"),
    ),
    Example(
        name="binary-threshold",
        target="let",
        pins=("metric_shape=full",),
        fit=("--trials", "0", "--metric", "f1", "--positive", "no"),
        predict=("--proba",),
    ),
    Example(
        name="multiclass-ensemble",
        target="zone",
        fit=("--trials", "12"),
        predict=("--proba",),
    ),
)


def flats(n: int, *, seed: int) -> pd.DataFrame:
    """Numbers with gaps, categories, a date, a yes or no, and free text; three targets follow from them."""
    generator = np.random.default_rng(seed)
    size = generator.uniform(20, 140, n).round(1)
    town = generator.choice(["Graz", "Linz", "Wien", "Bad Ischl"], n)
    built = pd.Timestamp("1960-01-01") + pd.to_timedelta(generator.integers(0, 22_000, n), unit="D")
    texts = [" ".join(generator.choice(WORDS, generator.integers(6, 12))) for _ in range(n)]
    noise = np.where(size > 80, 0.5, 0.05) * generator.normal(size=n)
    rent = 9 * size * np.where(town == "Wien", 1.6, 1.0) * np.exp(noise)
    return pd.DataFrame(
        {
            "size": np.where(np.arange(n) % 13 == 4, np.nan, size),
            "rooms": np.maximum(1, (size / 28).astype(int)),
            "town": pd.Series(town).mask(np.arange(n) % 17 == 6),
            "built": built.strftime("%Y-%m-%d"),
            "lift": np.where(generator.random(n) < 0.4, "yes", "no"),
            "advert": texts,
            "rent": rent.round(2),
            "let": np.where(rent + generator.normal(0, 150, n) < 900, "yes", "no"),
            "zone": np.select([rent < 400, rent < 900], ["cheap", "fair"], "dear"),
        }
    )


def asked_rows() -> pd.DataFrame:
    """Return the rows to predict: rows like the others, and one far outside with an unseen town, no text."""
    rows = flats(ASKED, seed=7).drop(columns=list(TARGETS))
    rows.loc[3, ["size", "town", "advert"]] = [1e6, "Atlantis", ""]
    return rows


def command(*arguments: object) -> None:
    """Run ``xrfm ARGUMENTS``, its results left out; stop at the first that fails."""
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")):
        status = run([*map(str, arguments), "--quiet"])
    if status != 0:
        sys.exit(f"failed: xrfm {' '.join(map(str, arguments))}")


def make(example: Example, folder: Path) -> None:
    """Fit, predict, and store the model and its predictions."""
    model, expected = folder / f"{example.name}.xrfm", folder / f"{example.name}.expected.csv"
    options = ["--target", example.target, "--folds", "2", "--device", "cpu", "--threads", "1", *example.fit]
    for name in TARGETS:
        options += [] if name == example.target else ["--drop", name]
    for pin in example.pins:
        options += ["--set", pin]
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        flats(ROWS, seed=1).to_csv("flats.csv", index=False)
        command("fit", "flats.csv", *options, "--model", model)
    command("predict", folder / "rows.csv", "--model", model, "--output", expected, *example.predict)
    for report in folder.glob("*.report.*"):
        report.unlink()


def main() -> None:
    """Write all examples to the folder of this version."""
    folder = Path(__file__).parent / __version__
    folder.mkdir()
    asked_rows().to_csv(folder / "rows.csv", index=False)
    for example in EXAMPLES:
        make(example, folder)


if __name__ == "__main__":
    main()
