"""Tables of the benchmarks of explanations: planted answers, other methods, and attributions of rows."""

from __future__ import annotations

from benchmarks.measurements import OURS, read, select
from benchmarks.tables import latest, markdown, names_in, number, value_of

METHODS = {  # as the tables name them
    OURS: "xrfm-cli",
    "catboost": "CatBoost",
    "lightgbm": "LightGBM",
    "ebm": "EBM",
    "kernelshap": "KernelSHAP",
}
PEER_FIGURES = {  # columns of the table of all methods, and the figures that they show
    "R2": "r2",
    "order": "rank_correlation",
    "distance": "half_l1",
    "null": "null_share",
    "decoys": "decoy_share",
    "pairs found": "pairs_found",
    "CPU s": "explain_cpu_s",
}


def attributions_table() -> str:
    """Return the CPU time of attributing a row, and how far it is from the path integral, by kernel."""
    rows = read("attributions")
    lines = []
    for setting in names_in(rows, "setting"):
        found = [
            latest(rows, setting=setting, metric=name) for name in ("ms_a_row", "share_error", "sum_error")
        ]
        ms, share, added = (value_of(row) for row in found)
        commit = found[0].commit if found[0] else None
        error = "-" if added is None else f"{added:.0e}"
        lines.append((str(setting), number(ms, 2), number(share and 100 * share, 2), error, commit or "-"))
    head = (
        "attributions, 2,000 x 20, 8 references",
        "CPU ms a row",
        "error of a share, %",
        "error of the sum",
    )
    return markdown((*head, "commit"), lines)


def deletion_table() -> str:
    """Return the areas under deletion and insertion curves beside KernelSHAP's, and the times."""
    rows = read("deletion_curves")
    lines = []
    for table in names_in(rows):
        cells = []
        for name in ("deletion", "insertion"):
            found = [
                latest(rows, table=table, metric=metric, method=method)
                for metric, method in (
                    (name, OURS),
                    (name, "KernelSHAP"),
                    (f"{name}_worse", OURS),
                    (f"{name}_worse_error", OURS),
                )
            ]
            ours, theirs, worse, error = (number(value_of(row)) for row in found)
            cells += [ours, theirs, f"{worse} ± {error}"]
        times = [
            latest(rows, table=table, metric=metric, method=method)
            for metric, method in (("ms_a_row", OURS), ("usual_ms_a_row", "KernelSHAP"))
        ]
        faster = latest(rows, table=table, metric="times_faster", method=OURS)
        cells += [number(value_of(row), 1) for row in times] + [number(value_of(faster), 0)]
        lines.append((table, *cells, (times[0].commit if times[0] else None) or "-"))
    head = (
        "table",
        "deletion",
        "KernelSHAP's",
        "worse by",
        "insertion",
        "KernelSHAP's",
        "worse by",
        "CPU ms a row",
        "KernelSHAP's",
        "times faster",
        "commit",
    )
    return markdown(head, lines)


EXPLANATION_FIGURES = {  # columns of the table of explanations, and the figures that they show
    "order": "rank_correlation",
    "AGOP's order": "agop_rank_correlation",
    "distance": "half_l1",
    "AGOP's distance": "agop_half_l1",
    "null": "null_share",
    "decoys": "decoy_share",
    "null above chance": "null_above_chance",
    "pairs found": "pairs_found",
    "wrong pairs": "pairs_wrongly_found",
    "triples found": "triples_found",
    "wrong triples": "triples_wrongly_found",
    "range covers": "range_covers_another_draw",
    "flagged": "flagged_as_no_better",
    "CPU s": "explain_cpu_s",
}


def explanations_table() -> str:
    """Return the explanations of planted functions beside the known answers."""
    rows = select(read("explanations"), method=OURS)
    lines = []
    for table in names_in(rows):
        figures = [latest(rows, table=table, metric=name) for name in EXPLANATION_FIGURES.values()]
        found = [value_of(figure) for figure in figures]
        measured = [m for m in names_in(select(rows, table=table), "metric") if m.startswith("effect_")]
        effects = [value_of(latest(rows, table=table, metric=metric)) for metric in measured]
        worst = min((value for value in effects if value is not None), default=None)
        last = figures[-1]
        seeds, commit = (str(last.extra.get("seeds", "-")), last.commit or "-") if last else ("-", "-")
        lines.append((table, seeds, *(number(value, 3) for value in found), number(worst, 3), commit))
    return markdown(("table", "seeds", *EXPLANATION_FIGURES, "worst effect", "commit"), lines)


def peers_table() -> str:
    """Return all methods' explanations of planted functions; tables without answers are left out."""
    rows = read("explanations")
    lines = []
    for table in names_in(select(rows, metric="half_l1")):
        for method, name in METHODS.items():
            own = select(rows, table=table, method=method)
            if not own:
                continue
            found = [value_of(latest(own, metric=metric)) for metric in PEER_FIGURES.values()]
            lines.append((table, name, *(number(value, 3) for value in found)))
    return markdown(("table", "method", *PEER_FIGURES), lines)
