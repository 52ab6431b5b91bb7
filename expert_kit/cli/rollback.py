"""``expert-kit rollback``: back to the version before."""

from __future__ import annotations

from typing import Annotated

import typer

from expert_kit.cli.experts import expert_json
from expert_kit.cli.options import Json
from expert_kit.cli.output import emit, emit_json, note


def rollback(
    name: Annotated[str, typer.Argument(help="ns/name, without a version.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Go back although other experts do not fit it then.")] = False,
    json: Json = False,
) -> None:
    """Use the version again that was current before. Nothing is removed; once more goes back one more."""
    from expert_kit.registry import Registry

    registry = Registry.default()
    before = registry.get(name)
    now = registry.rollback(name, force=force)
    if json:
        emit_json(expert_json(now))
        return
    emit(str(now.ref))
    note(f"current instead of {before.ref}, which is still installed; to go forward again: expert-kit use {before.ref}")
