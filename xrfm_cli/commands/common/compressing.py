"""``fit --compress half``: try numbers of 16 bits, and report the result."""

from __future__ import annotations

from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Table
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.tuning.model.compression import LARGEST_DIFFERENCE, Compression, compress, is_close
from xrfm_cli.tuning.model.fitted_model import FittedModel


def compressed(
    model: FittedModel, table: Table, options: FitOptions, session: Session, *, is_apart: bool
) -> FittedModel:
    """Return the model in 16 bits if predictions of the table's rows stay close; say how much they change.

    ``is_apart`` says that the table is not that of the fit.
    """
    smaller, tried = compress(model, table, seed=options.seed)
    if not tried:
        session.renderer.note("--compress half: the model keeps no centers, so nothing is left to compress")
        return model
    rows = f"{tried[-1].rows:,} {'held-out' if is_apart else 'training'} rows"
    changes = "; ".join(
        f"{_parts(item)} in 16 bits change predictions of {rows} by {_change(item)}" for item in tried
    )
    if is_close(tried[-1]):
        session.renderer.note(f"--compress half: {changes}")
    else:
        session.renderer.note(
            f"--compress half: {changes}; at most {LARGEST_DIFFERENCE:g} is allowed, so all keep 32 bits",
            kind="fallback",
        )
    return smaller


def _parts(item: Compression) -> str:
    return " and ".join(item.parts)


def _change(item: Compression) -> str:
    return f"{item.difference:.2g} standard deviations (at most {item.largest:.2g})"
