"""Count the polluted files that are read right, refused and read wrong, by fault: alone and in pairs.

    python -m benchmarks.polluted_files --every 1

The files are those of `tests/datasets/faults.py`; ``--every N`` takes each Nth pair.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks.measurements import Recorder, benchmark_parser
from tests.datasets import faults
from tests.datasets.corpus import Fault, can_render, pairs, polluted, verdict_on

Counts = Counter[str]


def main() -> None:
    """Read every file and print the counts."""
    parser = benchmark_parser(__doc__, "polluted_files")
    parser.add_argument("--every", type=int, default=1, help="take each Nth pair")
    args = parser.parse_args()
    every = args.every
    combinations: list[tuple[Fault, ...]] = [(fault,) for fault in faults.FAULTS]
    combinations += [(fault,) for fault in faults.row_faults()]
    combinations += list(pairs(faults.FAULTS))[::every]
    by_fault: dict[str, Counts] = defaultdict(Counter)
    total: Counts = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for combination in combinations:
            sheet = polluted(*combination)
            if not can_render(sheet):
                continue
            verdict, found = verdict_on(sheet, Path(folder) / "data")
            names = [fault.slot if fault.slot == "row" else fault.name for fault in combination]
            total[verdict] += 1
            for name in names:
                by_fault[name][verdict] += 1
            if verdict == "wrong":
                print(f"wrong: {' + '.join(names)}: {found}")
    if every == 1:  # a sample of the pairs is no measurement of all files
        recorder = Recorder("polluted_files", args.results)
        for verdict, metric in (("right", "read_right"), ("refused", "refused"), ("wrong", "read_wrong")):
            recorder.add("all files", metric, total[verdict])
    print(f"{'fault':40} {'right':>7} {'refused':>8} {'wrong':>6}")
    for name, counts in [*by_fault.items(), ("all files", total)]:
        print(f"{name:40} {counts['right']:7} {counts['refused']:8} {counts['wrong']:6}")


if __name__ == "__main__":
    main()
