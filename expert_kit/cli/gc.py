"""``expert-kit gc``: frees what nothing needs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from expert_kit.cli.options import Json
from expert_kit.cli.output import emit, emit_json, note


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    json: Json = False,
) -> None:
    """Remove files of the registry that no installed expert needs. What is being read or installed stays."""
    from expert_kit.registry import Registry
    from expert_kit.registry.strangers import strangers

    registry = Registry.default()
    garbage = registry.collect_garbage(dry_run=dry_run)
    if left := strangers(registry):
        note(f"not made by the registry and left alone: {len(left)}; see: expert-kit doctor")
    if json:
        emit_json({**asdict(garbage), "dry_run": dry_run})
        return
    verb = "would remove" if dry_run else "removed"
    emit(f"{verb} {garbage.blobs} blobs and {garbage.stages} abandoned staging folders, {garbage.size} bytes")
