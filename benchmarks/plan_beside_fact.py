"""Compare the plan of ``fit --dry-run`` with the fit that follows, on small, wide, long and other tables.

    python -m benchmarks.plan_beside_fact [--tables small wide]

Each table is generated from a seed and fitted by the installed command with one configuration, with
``--dry-run`` and without. Plan and fact are written to ``results/plan_beside_fact.json``, and their ratios
are printed. Rows, encoded columns and leaves should be equal, seconds, memory and model size within 25 %.
Seconds are those of the clock in both: on a busy machine, the fit may meet other neighbours than the step
that the plan times.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.any_size import run
from xrfm_cli.trees.model_file import read_manifest

RESULTS = Path(__file__).parent / "results" / "plan_beside_fact.json"
FACTS = ("rows", "features", "leaves", "estimate_s", "memory_bytes", "disk_bytes", "model_bytes")
OPTIONS = ("--target", "y", "--trials", "0", "--set", "kernel=norm", "--seed", "0", "--device", "cpu")


def tables() -> Iterator[tuple[str, pa.Table, tuple[str, ...]]]:
    """Yield each table with its name and with further options of its fit."""
    generator = np.random.default_rng(0)

    def numbers(n: int, d: int, **more: Any) -> pa.Table:
        x = generator.normal(size=(n, d))
        y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + generator.normal(0, 0.1, n)
        return pa.table({f"x{k}": x[:, k] for k in range(d)} | more | {"y": y})

    yield "small", numbers(500, 10), ()
    yield "wide", numbers(1_000, 2_000), ()
    levels = {name: [f"{name} {k}" for k in generator.integers(0, count, 4_000)] for name, count in
              (("street", 1_500), ("town", 300), ("shop", 30))}  # fmt: skip
    yield "high cardinality", numbers(4_000, 5, **levels), ()
    yield "long", numbers(40_000, 10), ("--set", "leaf_size=2500")
    yield "long, in files", numbers(40_000, 40), ("--set", "leaf_size=2500", "--memory", "32MiB")


def command(table: Path, model: Path, *words: str) -> tuple[dict[str, Any], int]:
    """Run ``xrfm fit``; return its document, and the bytes of the files of the table."""
    told = ["fit", str(table), *OPTIONS, "--model", str(model), "--json", "--quiet", "--format", "json"]
    output = table.with_name("out.json")
    usage = run([sys.executable, "-m", "xrfm_cli", *told, *words], output)
    return dict(json.loads(output.read_bytes())), int(usage.disk_mib * 2**20)


def compare(name: str, table: pa.Table, words: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Return a table's plan and facts."""
    path, model = folder / "table.parquet", folder / "model.xrfm"
    pq.write_table(table, path)
    plan = command(path, model, *words, "--dry-run")[0]["plan"]
    done, disk_bytes = command(path, model, *words)
    facts = {
        "rows": done["rows"],
        "features": read_manifest(model)[1]["member.0.leaf.0.centers"][1],
        "leaves": len(done["leaves"]),
        "estimate_s": done["seconds"]["total"],
        "memory_bytes": done["peak_memory_bytes"],
        "disk_bytes": disk_bytes,
        "model_bytes": model.stat().st_size,
    }
    sizes = {"rows": table.num_rows, "columns": table.num_columns - 1}
    planned = {fact: plan[fact] for fact in FACTS}
    return {"table": name, **sizes, "options": list(words), "plan": planned, "fact": facts}


def main() -> None:
    """Compare the tables, write the data and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--tables", nargs="+", metavar="NAME", help="only these; the others keep their data")
    args = parser.parse_args()
    rows = {row["table"]: row for row in json.loads(args.out.read_bytes())} if args.out.exists() else {}
    for name, table, words in tables():
        if args.tables and name not in args.tables:
            continue
        with TemporaryDirectory(prefix="xrfm-") as folder:
            rows[name] = row = compare(name, table, words, Path(folder))
        facts = [fact for fact in FACTS if row["fact"][fact]]
        ratios = {fact: row["plan"][fact] / row["fact"][fact] for fact in facts}
        print(name, *(f"{fact} {ratio:.2f}" for fact, ratio in ratios.items()), sep="  ", flush=True)
        args.out.write_text(json.dumps([*rows.values()], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
