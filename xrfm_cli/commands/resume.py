"""``xrfm fit --resume`` and ``--storage``: where fits meet, and what tells one from another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from xrfm_cli.commands.places import checkpoint_folder
from xrfm_cli.commands.session import Session
from xrfm_cli.datasets import ReadOptions, Table, TableSchema
from xrfm_cli.datasets.hashing import hash_table
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.settings import Setting
from xrfm_cli.tuning.fit import library_versions
from xrfm_cli.tuning.search.checkpoint import Checkpoint, open_checkpoint
from xrfm_cli.tuning.search.sampler import StudyPlace

LIMITS = {"time_limit", "trials", "preset"}  # how far the search goes, not what a step of it gives
MACHINE = {"device", "threads"}  # the device is told by what it stands for
READING = {item.name for item in fields(ReadOptions)}
TABLES = {"data", "valid", *READING}  # told by the cells that are read
ELSEWHERE = {"model", "from_model", "dry_run", "resume", "schema", "storage"}
MAY_DIFFER = LIMITS | MACHINE | TABLES | ELSEWHERE


def facts_of(
    options: FitOptions, table: Table, valid: Table | None, schema: TableSchema, *, device: str
) -> dict[str, Any]:
    """What fits have in common that can go on with each other's steps, by the names that users know."""
    versions = {f"version of {name}": version for name, version in library_versions().items()}
    return {**task_facts(options, table, valid, schema), "--device": device, **versions}


def task_facts(options: FitOptions, table: Table, valid: Table | None, schema: TableSchema) -> dict[str, Any]:
    """What fits have in common whose scores can be compared: data and options, whatever the machine."""
    facts: dict[str, Any] = {
        "content of DATA": hash_table(table),
        "content of --valid": None if valid is None else hash_table(valid),
    }
    for item in fields(options):
        setting: Setting = item.metadata["setting"]
        if item.name not in MAY_DIFFER and setting.section != "General":
            value = getattr(options, item.name)
            facts[setting.flags[0]] = sorted(map(str, value)) if setting.is_repeatable else value
    if options.schema is not None:  # else the columns follow from the rest
        facts["columns of --schema"] = [
            [column.name, column.kind, column.role, column.datetime_format, column.unit]
            for column in schema.columns
        ]
    return facts


def shared_place(
    options: FitOptions, table: Table, valid: Table | None, schema: TableSchema
) -> StudyPlace | None:
    """Where the study of this fit is shared; None without ``--storage``."""
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
) -> Iterator[Checkpoint | None]:
    """The record of this fit, and whether it goes on said once; None without ``--resume``.

    An interrupt says that the record stays.
    """
    if not options.resume:
        yield None
        return
    folder = checkpoint_folder(options.model)
    with open_checkpoint(folder, facts_of(options, table, valid, schema, device=device)) as checkpoint:
        if checkpoint.steps_before:
            session.renderer.note(f"going on from {folder}, which holds {checkpoint.steps_before:,} steps")
        try:
            yield checkpoint
        except KeyboardInterrupt as interrupt:
            said = str(interrupt) or "interrupted: there is no model yet"
            raise KeyboardInterrupt(f"{said}; the same command goes on from {folder}") from interrupt
        for name in checkpoint.damaged:
            session.renderer.note(f"{folder / name}: was damaged, so it was computed again", kind="fallback")
