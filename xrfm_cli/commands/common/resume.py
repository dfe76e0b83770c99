"""``xrfm fit --resume`` and ``--storage``: where a search is saved, and which fits may share it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from xrfm_cli.commands.common.models import usable_bytes
from xrfm_cli.commands.common.places import checkpoint_folder
from xrfm_cli.commands.common.session import Session
from xrfm_cli.commands.common.urls import folder_beside
from xrfm_cli.datasets import ReadOptions, Table, TableSchema
from xrfm_cli.datasets.hashing import hash_table
from xrfm_cli.datasets.scratch import Scratch
from xrfm_cli.errors import OptionError
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.settings import declared, first_flag
from xrfm_cli.printable import counted
from xrfm_cli.tuning.environment import library_versions
from xrfm_cli.tuning.search.sampler import StudyPlace
from xrfm_cli.tuning.search.storage.checkpoint import FACTS, Checkpoint, open_checkpoint

# They limit the search, but do not change the result of a step.
LIMITS = {"time_limit", "trials", "preset", "no_early_stop", "fit_rows"}
MACHINE = {"device", "threads", "workers", "engine", "scheduler"}  # the resolved device is added separately
READING = {item.name for item in fields(ReadOptions)}
TABLES = {"data", "valid", *READING}  # represented by a hash of the cells
ELSEWHERE = {"model", "no_clobber", "from_model", "transfer_from", "dry_run", "resume", "schema", "storage"}
ELSEWHERE |= {"compress", "formats", "open_report", "scratch"}
MEMORY_IN_USE = "memory in use"  # of a fit without --memory
MAY_DIFFER = LIMITS | MACHINE | TABLES | ELSEWHERE


def facts_of(
    options: FitOptions, table: Table, valid: Table | None, schema: TableSchema, *, device: str, memory: int
) -> dict[str, Any]:
    """Return the facts that must be equal to resume a fit's steps, under names that users know.

    ``memory`` decides whether the table is kept in files, and then how many rows the search uses.
    """
    versions = {f"version of {name}": version for name, version in library_versions().items()}
    used = {MEMORY_IN_USE: memory} if options.memory is None else {}
    return {**task_facts(options, table, valid, schema), "--device": device, **used, **versions}


def scratch_of(options: FitOptions) -> Scratch:
    """Return the place for a table that does not fit into memory.

    Raises OptionError if ``--scratch`` is no folder that can be written to.
    """
    folder = folder_beside(options.model) if options.scratch is None else Path(options.scratch)
    if options.scratch is not None and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise OptionError(f"--scratch {folder}: is not a folder that can be written to; give another one")
    return Scratch(folder=folder, memory_bytes=_begun_memory(options) or usable_bytes(options.memory))


def _begun_memory(options: FitOptions) -> int | None:
    """Return the memory of the fit that ``--resume`` continues: by now, less or more may be free."""
    if not options.resume or options.memory is not None:
        return None
    try:
        found = json.loads((checkpoint_folder(options.model) / FACTS).read_bytes())[MEMORY_IN_USE]
    except (OSError, LookupError, TypeError, ValueError):
        return None  # a new fit, or a record that will be refused
    return found if isinstance(found, int) and found > 0 else None


def task_facts(options: FitOptions, table: Table, valid: Table | None, schema: TableSchema) -> dict[str, Any]:
    """Return the facts that must be equal for comparable scores: data and options, not the machine."""
    facts: dict[str, Any] = {
        "content of DATA": hash_table(table),
        "content of --valid": None if valid is None else hash_table(valid),
    }
    for name, declaration in declared(FitOptions).items():
        if name not in MAY_DIFFER and declaration.rich_help_panel != "General":
            value = getattr(options, name)
            facts[first_flag(declaration)] = sorted(map(str, value)) if isinstance(value, tuple) else value
    if options.transfer_from is not None:
        content = Path(options.transfer_from).read_bytes()
        facts["content of --transfer-from"] = hashlib.sha256(content).hexdigest()
    if options.schema is not None:  # otherwise the other facts determine the columns
        facts["columns of --schema"] = [
            [column.name, column.kind, column.role, column.datetime_format, column.unit]
            for column in schema.columns
        ]
    return facts


def shared_place(
    options: FitOptions, table: Table, valid: Table | None, schema: TableSchema
) -> StudyPlace | None:
    """Return the location of the shared study; None without ``--storage``."""
    if options.storage is None:
        return None
    facts = {**task_facts(options, table, valid, schema), "version": library_versions()["xrfm-cli"]}
    return StudyPlace(storage=options.storage, facts=json.dumps(facts, sort_keys=True))


@contextmanager
def resumable(
    options: FitOptions,
    table: Table,
    valid: Table | None,
    schema: TableSchema,
    session: Session,
    *,
    device: str,
    memory: int,
) -> Iterator[Checkpoint | None]:
    """Yield the checkpoint of this fit, and report whether it is resumed; None without ``--resume``.

    The message of an interrupt says how to continue.
    """
    if not options.resume:
        yield None
        return
    folder = checkpoint_folder(options.model)
    with open_checkpoint(
        folder, facts_of(options, table, valid, schema, device=device, memory=memory)
    ) as checkpoint:
        if checkpoint.steps_before:
            leaves = checkpoint.leaves_before
            message = f"resuming from {folder} with {counted(checkpoint.steps_before, 'step')}"
            session.renderer.note(message + (f" and {counted(leaves, 'leaf', 'leaves')}" if leaves else ""))
        try:
            yield checkpoint
        except KeyboardInterrupt as interrupt:
            said = str(interrupt) or "interrupted: there is no model yet"
            raise KeyboardInterrupt(f"{said}; the same command continues from {folder}") from interrupt
        for name in checkpoint.damaged:
            session.renderer.note(f"{folder / name}: was damaged, so it was computed again", kind="fallback")
