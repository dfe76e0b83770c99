"""Describe in words how a model uses its base."""

from __future__ import annotations

from collections.abc import Sequence

from xrfm_cli.tuning.model.fitted_model import Member
from xrfm_cli.tuning.transfer.base import Base


def uses_base(member: Member) -> bool:
    """Return whether a member reads the base's predictions."""
    return member.encoder.config.with_base


def transfer_words(base: Base, members: Sequence[Member]) -> str:
    """Return how much of the ensemble used the base's predictions, and how, in one line."""
    parts = []
    for what, kinds in (
        ("from its predictions as columns", ("projection", "both")),
        ("the part of the target that its predictions do not explain", ("translation", "both")),
    ):
        weight = sum(member.weight for member in members if member.params.get("transfer") in kinds)
        parts.append(f"{weight:.0%} of the ensemble's weight learned {what}")
    start = sum(member.weight for member in members if member.params.get("start_matrix") == "base")
    parts.append(f"{start:.0%} started from its feature matrix")
    if not any(map(uses_base, members)):
        return f"{base.name}: its predictions did not help, so the model does without them ({parts[-1]})"
    return f"{base.name}: " + ", ".join(parts)
