"""Models and tables of a command that may be larger than the memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir

from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets.scratch import Scratch
from xrfm_cli.tuning.environment import free_memory_bytes
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.storage import load_model

FREE_SHARE = 0.5  # of the free memory that a command takes without --memory: other programs need some too


def usable_bytes(memory: int | None) -> int:
    """Return the memory of a command: that of ``--memory``, or a share of the free memory."""
    return memory or int(FREE_SHARE * free_memory_bytes())


def temporary_scratch(memory: int | None) -> Scratch:
    """Return the place for a table that does not fit into memory, for a command that writes no model."""
    folder = Path(gettempdir())
    return Scratch(folder=folder, memory_bytes=usable_bytes(memory), way_out="set TMPDIR to another folder")


def open_model(path: str, session: Session, *, device: str, memory: int | None = None) -> FittedModel:
    """Load a model, and say so if its leaves stay in the file."""
    memory_bytes = usable_bytes(memory)
    model = load_model(Path(path), device=device, memory_bytes=memory_bytes)
    if model.stored_bytes:
        room = f"{memory_bytes / 2**20:,.0f} MiB " + ("of --memory" if memory else "that may be used")
        session.renderer.note(
            f"{path}: has {model.stored_bytes / 2**20:,.0f} MiB of leaves, too many for the {room}: they are "
            "read from the file as rows need them, which is slower",
            kind="fallback",
        )
    return model
