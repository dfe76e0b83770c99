"""Forge the kept models in every place and in every way, and run all commands on each: hours of it.

    python benchmarks/fuzz/forged.py                  # all
    python benchmarks/fuzz/forged.py --stride 50      # every fiftieth
    python benchmarks/fuzz/forged.py --only multiclass --stride 50

Each line is a forgery under which a command ended with neither status 0 nor status 2 and one line that names
the file. ``tests/hostile/test_forged_models.py`` does so with a sample.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # for tests.hostile.forging

from tests.hostile.forging import Victim, faults, forge, forged_tensors, forgeries
from tests.hostile.fuzzing import KEPT, opened, sealed


def forged_models(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Every forgery of a model file, by name."""
    manifest, blob = opened(content)
    for place, change in forgeries(manifest):
        forgery = forge(manifest, place, change)
        yield str(forgery), sealed(forgery.manifest, blob)
    for name, changed in forged_tensors(blob):
        yield name, sealed(manifest, changed)


def main() -> None:
    """Run the forgeries, print failures, and count them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--only", default="", help="part of the names of the models")
    options = parser.parse_args()
    runs = wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        victim = Victim(Path(scratch))
        for path in sorted(KEPT.glob(f"*/*{options.only}*.xrfm")):
            for number, (name, content) in enumerate(forged_models(path.read_bytes())):
                if number % options.stride:
                    continue
                runs += 1
                for command, fault in faults(victim, content).items():
                    wrong += 1
                    print(f"{path.name}: {name}: {command}: {fault}", flush=True)
    print(f"{runs:,} forgeries, {wrong:,} faults")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
