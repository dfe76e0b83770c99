"""Every shell block of the reference and how-to pages, run on one small table under the names they use."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import run_here
from tests.cli.documents.blocks import run_block

DOCS = Path(__file__).parents[3] / "docs"
OWN_TEST = {"tutorial.md", "transfer.md"}  # their blocks build on each other
# Tested in tests/cli/commands/test_sample_and_demo.py and tests/cli/any_size, or needs a cloud or a cluster.
ELSEWHERE = re.compile(r"xrfm demo|pip |dask |srun |helm |kubectl |.*(://|--scheduler)")
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if path.name not in OWN_TEST]
COMMANDS = [
    pytest.param(line, id=f"{path.stem}: {line}")
    for path in PAGES
    for block in re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for line in block.splitlines()
    if not ELSEWHERE.match(line)
]
TABLES = ("data", "new", "test", "big")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tables and models that the pages name."""
    place = tmp_path_factory.mktemp("pages")
    x = np.arange(60.0)
    table = pd.DataFrame({"customer": x // 3, "region": np.where(x % 2, "n", "s"), "area": x % 7, "age": x})
    table = table.assign(price=3 * table["area"] + x, y=x + 1, churned=np.where(x % 7 > 2, "yes", "no"))
    for name in TABLES:
        table.to_csv(place / f"{name}.csv", index=False)
        table.to_parquet(place / f"{name}.parquet", index=False)
    for target, model in (("price", "prices"), ("churned", "classes")):
        once = ["--trials", "0", "--folds", "2", "--id", "customer", "--model", f"{model}.xrfm"]
        once += ["--drop", "y", "--drop", "churned"] if target == "price" else []
        outcome = run_here("fit", "data.csv", "--target", target, *once, folder=place)
        assert outcome.status == 0, outcome.err
    return place


@pytest.mark.posix("bash")
@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_runs(command: str, folder: Path, shell_environment: dict[str, str]) -> None:
    model = "classes" if "--proba" in command else "prices"
    for name in ("model", "big"):
        (folder / f"{name}.xrfm").write_bytes((folder / f"{model}.xrfm").read_bytes())
    script = re.sub(r"cuda(:\d)?", "cpu", command)  # the tests have no GPU
    if script.startswith("xrfm fit") and "--from" not in script:
        script += " --trials 0"  # the last one holds: one fit without a search
        script += "" if "--folds" in script else " --folds 2"
    run_block(script, folder, shell_environment)
