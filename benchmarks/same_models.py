"""Check that a change does not alter models: eight fits, compared byte for byte.

    python -m benchmarks.same_models before          # in the commit before
    python -m benchmarks.same_models after --against before

Each case fits a table that ships or is generated from a seed, with six trials, through the installed command.
The folder keeps predictions and importances as text, and the predictions of the models of past releases in
``tests/models``. With ``--against FOLDER`` the files are compared, and the exit status is 1 if one differs.
A difference is shown as the largest one over the standard deviation of the predictions.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tests.models.make import EXAMPLES

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "datasets" / "samples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A table, and the options of its fit and of its predictions."""

    name: str
    table: str
    fit: str
    predict: str = ""


CASES = (
    Case(name="regression", table="autos.csv", fit="--target price", predict="--interval 0.9"),
    Case(name="two-classes", table="credit.csv", fit="--target class", predict="--proba"),
    Case(name="many-classes", table="soybean.csv", fit="--target class", predict="--proba"),
    Case(name="several-leaves", table="waves.csv", fit="--target y --set leaf_size=400"),
    Case(name="time", table="bikes.parquet", fit="--target rentals --time time"),
    Case(name="groups", table="groups.csv", fit="--target y --group site"),
    Case(name="weights", table="weights.csv", fit="--target y --weight w", predict="--interval 0.8"),
    Case(name="log-target", table="autos.csv", fit="--target price --set target_transform=log"),
)


def generated(n: int, *, seed: int) -> pd.DataFrame:
    """A table of numbers, a category, a site and a weight; ``y`` is a wave whose frequency jumps."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(-1, 1, (n, 4))
    color = generator.integers(0, 5, n)
    y = np.sin((2 + 4 * (x[:, 0] > 0)) * x[:, 1]) + 0.3 * color * x[:, 2] + generator.normal(0, 0.1, n)
    frame = pd.DataFrame(x, columns=["a", "b", "c", "d"])
    frame["color"] = np.array(["red", "green", "blue", "white", "black"])[color]
    return frame.assign(site=generator.integers(0, 30, n), w=generator.uniform(0.2, 3, n), y=y)


def write_tables(folder: Path) -> None:
    """Write the three generated tables, each with the columns that its case needs."""
    generated(2400, seed=1).drop(columns=["site", "w"]).to_csv(folder / "waves.csv", index=False)
    generated(500, seed=2).drop(columns="w").to_csv(folder / "groups.csv", index=False)
    generated(500, seed=3).drop(columns="site").to_csv(folder / "weights.csv", index=False)


def xrfm(*words: object, threads: int) -> str:
    """Run the command of this environment, and return its standard output."""
    command = [sys.executable, "-m", "xrfm_cli", *map(str, words), "--threads", str(threads), "--quiet"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def record(folder: Path, *, threads: int) -> Iterator[str]:
    """Fit every case and write its predictions and importances; yield a line for each model."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(folder)
    for case in CASES:
        start = time.perf_counter()
        table = SAMPLES / case.table if (SAMPLES / case.table).exists() else folder / case.table
        model = folder / f"{case.name}.xrfm"
        options = (*shlex.split(case.fit), "--trials", 6, "--seed", 0, "--device", "cpu")
        xrfm("fit", table, *options, "--model", model, threads=threads)
        asked = ("--output", folder / f"{case.name}.predictions.csv", *shlex.split(case.predict))
        xrfm("predict", table, "--model", model, *asked, threads=threads)
        explained = json.loads(xrfm("explain", "--model", model, "--json", threads=threads))
        importances = json.dumps(explained["importances"], indent=1)
        (folder / f"{case.name}.importances.json").write_text(importances, encoding="utf-8")
        yield f"{case.name}: fitted in {time.perf_counter() - start:.1f} s"
    options_of = {item.name: item.predict for item in EXAMPLES}
    for model in sorted((ROOT / "tests" / "models").glob("*/*.xrfm")):
        answers = folder / f"{model.parent.name}-{model.stem}.predictions.csv"
        asked = ("--output", answers, *options_of[model.stem])
        xrfm("predict", model.with_name("rows.csv"), "--model", model, *asked, threads=threads)
        yield f"{model.parent.name} {model.stem}: predicted"


def difference(before: Path, after: Path) -> str:
    """Say how far two files of predictions or importances are apart."""
    if not before.exists():
        return "missing before"
    if before.suffix == ".json":
        old, new = (
            pd.DataFrame(json.loads(path.read_text())).set_index("column") for path in (before, after)
        )
    else:
        old, new = pd.read_csv(before), pd.read_csv(after)
    if old.shape != new.shape or list(old.columns) != list(new.columns):
        return f"{old.shape} before, {new.shape} after"
    numbers = old.select_dtypes("number").columns
    scale = float(old[numbers].std().max()) or 1.0
    gap = float((old[numbers] - new.reindex(old.index)[numbers]).abs().max().max())
    return f"largest difference {gap / scale:.2g} standard deviations"


def main() -> None:
    """Record the models of this checkout, and compare them with those of another where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where predictions and importances go")
    parser.add_argument("--against", type=Path, help="a folder that this command wrote in another commit")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    for line in record(options.folder, threads=options.threads):
        print(line, flush=True)
    if options.against is None:
        return
    files = sorted([*options.folder.glob("*.predictions.csv"), *options.folder.glob("*.importances.json")])
    differing = 0
    for after in files:
        before = options.against / after.name
        same = before.exists() and before.read_bytes() == after.read_bytes()
        differing += not same
        print(f"{after.name}: {'equal' if same else difference(before, after)}")
    print(f"{len(files) - differing} of {len(files)} files are equal")
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
