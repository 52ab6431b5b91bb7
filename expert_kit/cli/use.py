"""``expert-kit use``: let a name mean a certain installed version."""

from __future__ import annotations

from typing import Annotated

import typer

from expert_kit.cli.experts import expert_json
from expert_kit.cli.options import Json
from expert_kit.cli.output import emit, emit_json, note
from expert_kit.names import printable


def use(
    name: Annotated[str, typer.Argument(help="ns/name@version, an installed version.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Although other experts do not fit it then.")] = False,
    json: Json = False,
) -> None:
    """Let the name mean this installed version from now on: back, or forward again after a rollback. Nothing is removed."""
    from expert_kit.registry import Registry

    before, now = Registry.default().use(name, force=force)
    if json:
        emit_json(expert_json(now))
        return
    emit(str(now.ref))
    if now.yanked is not None:
        note(f"warning: this version was withdrawn: {printable(now.yanked)}")
    note(f"{now.ref} was current already" if before == now.ref else f"current instead of {before}, which is still installed")
