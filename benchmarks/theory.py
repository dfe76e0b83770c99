"""Targets with known answers at the size of the papers: the gain of the feature matrix over a plain kernel.

    OMP_NUM_THREADS=2 python -m benchmarks.theory --seeds 3

From the repository's root. ``--only modular`` (or ``fact``, ``staircase``, ``subspace``, ``quadratic``) does
a part; ``modular`` takes about five minutes a seed, the others one together. The tests in tests/theory
assert the same on smaller tables, and explain the settings.

- modular: addition and multiplication modulo 61 from half of the table; with centred gradients, as in the
  paper, and with gradients as ``iterate_leaf`` takes them. Mallinar et al., arXiv 2407.20199.
- fact: sparse parities of 3 of 20 coordinates, and addition modulo 31, with the feature matrix of first-order
  optimality beside the AGOP; and the same table with a training half that is symmetric in its two numbers.
  Boix-Adsera et al., arXiv 2507.05644.
- staircase: the rows that polynomials of leap 1, 2 and 4 in 50 dimensions take with a diagonal metric and
  without. Zhu et al., arXiv 2505.08277.
- subspace: the largest angle between the top eigenspace of the AGOP and the two directions, of 20, of a
  polynomial of degree 4. Zhu et al., arXiv 2605.15082.
- quadratic: a quadratic form of rank 2 in 30 variables, which has 465 coefficients. Radhakrishnan et al.,
  arXiv 2401.04553.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from benchmarks.measurements import Recorder, benchmark_parser
from tests.leaf_variants import generator
from tests.theory.tasks import (
    Operation,
    accuracy,
    hypercube,
    largest_angle,
    mirrored_table,
    modular_table,
    normal,
    pairs,
    parity,
    quadratic_form,
    r_squared,
    staircase,
    subspace,
    two_index,
)
from xrfm_cli.leaf_models import LeafConfig, iterate_leaf
from xrfm_cli.leaf_models.config import FeatureMatrix

Row = dict[str, Any]
DESCRIBING = ("seed", "target", "gradients", "rows", "seconds")  # columns that are no figures
P, STEPS = 61, 30
MATRICES: tuple[FeatureMatrix, ...] = ("agop", "fact")
MODULAR = LeafConfig(  # the paper's Gaussian of bandwidth 2.5, and its square root of the AGOP
    kernel_p=2.0,
    kernel_q=2.0,
    bandwidth=2.5 * 2**0.5,
    ridge=1e-8,
    iterations=STEPS,
    metric_shape="full",
    agop_rows=10_000,
    agop_power=0.25,
)
LAPLACE = LeafConfig(bandwidth=10.0, ridge=1e-3, iterations=8, agop_rows=10_000)
QUADRATIC = replace(MODULAR, bandwidth=10.0, ridge=1e-7, iterations=8)


def modular(seed: int) -> Iterator[Row]:
    """Accuracy on the other half of the table, until it is complete."""
    operations: tuple[Operation, ...] = ("addition", "multiplication")
    for operation in operations:
        for gradients in ("centred", "as they are"):
            split = modular_table(operation, P, seed=seed)
            started = time.perf_counter()
            config = replace(MODULAR, agop_centred=gradients == "centred")
            leaves = iterate_leaf(split.x, split.y, config, generator=generator(seed))
            history = []
            for leaf in leaves:
                history.append(round(accuracy(leaf, split.new_x, split.new_y), 4))
                if history[-1] == 1.0:
                    break
            yield {
                "target": f"{operation} mod {P}",
                "gradients": gradients,
                "T=0": history[0],
                "last": history[-1],
                "T for 99 %": next((t for t, value in enumerate(history) if value >= 0.99), None),
                "T": len(history) - 1,
                "seconds": round(time.perf_counter() - started, 1),
            }


def first_order(seed: int) -> Iterator[Row]:
    """R2 of parities and accuracy of a modular table, by the AGOP and by first-order optimality."""
    new = hypercube(2_000, 20, seed=1_000 + seed)
    for n in (200, 300, 500, 1_000):
        x = hypercube(n, 20, seed=seed)
        row: Row = {"target": "parity of 3 in 20", "gradients": None, "rows": n}
        for matrix in MATRICES:
            config = replace(LAPLACE, feature_matrix=matrix)
            leaves = list(iterate_leaf(x, x[:, :3].prod(1, keepdim=True), config, generator=generator(seed)))
            scores = [r_squared(leaf, new, new[:, :3].prod(1, keepdim=True)) for leaf in leaves]
            row |= {"T=0": round(scores[0], 3), matrix: round(max(scores), 3)}
        yield row
    for words, split in (
        ("addition mod 31, a random half", modular_table("addition", 31, seed=seed)),
        ("addition mod 31, one of a + b and b + a", mirrored_table(31, is_symmetric=False, seed=seed)),
        ("addition mod 31, both or neither", mirrored_table(31, is_symmetric=True, seed=seed)),
    ):
        row = {"target": words, "gradients": "centred", "rows": len(split.x)}
        for matrix in MATRICES:
            config = replace(
                MODULAR,
                bandwidth=5.0,
                iterations=60 if matrix == "fact" else STEPS,
                agop_power=0.5 if matrix == "fact" else 0.3,
                agop_centred=True,
                feature_matrix=matrix,
            )
            leaves = list(iterate_leaf(split.x, split.y, config, generator=generator(seed)))
            history = [accuracy(leaf, split.new_x, split.new_y) for leaf in leaves]
            row |= {"T=0": round(history[0], 3), matrix: round(history[-1], 3)}
        yield row


def staircases(seed: int) -> Iterator[Row]:
    """R2 on new rows of the hypercube by the number of training rows."""
    new = hypercube(2_000, 50, seed=1_000 + seed)
    for target in (staircase, pairs, parity):
        for n in (200, 400, 600, 1_000, 2_000, 6_000):
            x = hypercube(n, 50, seed=seed)
            leaves = list(iterate_leaf(x, target(x), LAPLACE, generator=generator(seed)))
            scores = [round(r_squared(leaf, new, target(new)), 3) for leaf in leaves]
            yield {"target": target.__name__, "rows": n, "T=0": scores[0], "T=8": scores[-1]}


def subspaces(seed: int) -> Iterator[Row]:
    """R2 on new rows, and the largest principal angle of the AGOP in degrees."""
    basis = subspace(20, 2, seed=seed)
    new = normal(2_000, 20, seed=1_000 + seed)
    config = replace(LAPLACE, metric_shape="full", iterations=4)
    for n in (250, 500, 1_000, 2_000, 4_000):
        x = normal(n, 20, seed=500 + seed)
        leaves = list(iterate_leaf(x, two_index(x @ basis), config, generator=generator(seed)))
        yield {
            "rows": n,
            "R2 T=0": round(r_squared(leaves[0], new, two_index(new @ basis)), 3),
            "angle T=0": round(largest_angle(leaves[1].feature_matrix, basis), 1),
            "R2 T=3": round(r_squared(leaves[3], new, two_index(new @ basis)), 3),
            "angle T=3": round(largest_angle(leaves[4].feature_matrix, basis), 1),
        }


def quadratics(seed: int) -> Iterator[Row]:
    """R2 on new rows and the angle to the range of the matrix, by the number of training rows."""
    basis, signs = subspace(30, 2, seed=seed), (1.0, -1.0)
    new = normal(2_000, 30, seed=1_000 + seed)
    for n in (100, 200, 300, 400, 600):
        x = normal(n, 30, seed=500 + seed)
        leaves = list(iterate_leaf(x, quadratic_form(x, basis, signs), QUADRATIC, generator=generator(seed)))
        yield {
            "rows": n,
            "R2 T=0": round(r_squared(leaves[0], new, quadratic_form(new, basis, signs)), 3),
            "angle T=0": round(largest_angle(leaves[1].feature_matrix, basis), 1),
            "R2 T=8": round(r_squared(leaves[-1], new, quadratic_form(new, basis, signs)), 3),
            "angle T=7": round(largest_angle(leaves[-1].feature_matrix, basis), 2),
        }


PARTS: dict[str, Callable[[int], Iterator[Row]]] = {
    "modular": modular,
    "fact": first_order,
    "staircase": staircases,
    "subspace": subspaces,
    "quadratic": quadratics,
}


def main() -> None:
    """Measure and print, a row at a time."""
    parser = benchmark_parser(__doc__, "theory")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=1, help="how many draws of everything random")
    args = parser.parse_args()
    recorder = Recorder("theory", args.results)
    for name in args.only:
        print(f"\n## {name}\n", flush=True)
        for number, row in enumerate(row for seed in range(args.seeds) for row in seeded(name, seed)):
            if number == 0:
                print(f"| {' | '.join(row)} |\n|{'---|' * len(row)}")
            print(
                f"| {' | '.join('-' if value is None else str(value) for value in row.values())} |",
                flush=True,
            )
            settings = [f"{key} = {row[key]}" for key in ("target", "gradients", "rows") if key in row]
            for feature_matrix in (key for key in row if key not in DESCRIBING):
                facts = {"setting": ", ".join(settings), "seed": row["seed"], "seconds": row.get("seconds")}
                recorder.add(name, feature_matrix, row[feature_matrix], **facts)


def seeded(name: str, seed: int) -> Iterator[Row]:
    """The rows of a part, each with its seed."""
    for row in PARTS[name](seed):
        yield {"seed": seed, **row}


if __name__ == "__main__":
    main()
