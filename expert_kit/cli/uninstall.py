"""``expert-kit uninstall``: remove an expert."""

from __future__ import annotations

from typing import Annotated

import typer

from expert_kit.cli.experts import expert_json
from expert_kit.cli.options import Json
from expert_kit.cli.output import ask, emit, emit_json, is_interactive, note
from expert_kit.errors import UsageError


def uninstall(
    name: Annotated[str, typer.Argument(help="ns/name (the current version), or ns/name@version.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Remove it although installed experts need it.")] = False,
    json: Json = False,
) -> None:
    """Remove an installed expert. Files that another one needs stay."""
    from expert_kit.registry import Registry

    registry = Registry.default()
    expert = registry.get(name)
    if not yes:
        _confirm(str(expert.ref))
    # By its full name: what was asked about is what is removed.
    removed = registry.uninstall(expert.ref, force=force)
    if json:
        emit_json(expert_json(removed))
        return
    emit(str(removed.ref))
    note("removed")


def _confirm(label: str) -> None:
    if not is_interactive():
        raise UsageError(f"there is no terminal to ask about removing {label}", hint="add --yes", code="confirmation_needs_terminal")
    if not ask(f"Remove {label}?"):
        raise typer.Abort
