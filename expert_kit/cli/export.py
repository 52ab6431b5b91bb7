"""``expert-kit export``: an installed expert -> plain files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from expert_kit.cli.options import Json
from expert_kit.cli.output import emit_json, emit_path, note
from expert_kit.names import printable


def export(
    name: Annotated[str, typer.Argument(help="ns/name, or ns/name@version.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.", show_default=False)],
    json: Json = False,
) -> None:
    """Write an installed expert as plain files. Its signatures become .sig files beside the folder."""
    from expert_kit.registry import Registry
    from expert_kit.registry.export import export as write

    registry = Registry.default()
    expert = registry.get(name)
    signatures = write(registry, expert, folder)
    if json:
        emit_json({"expert": str(expert.ref), "folder": str(folder), "signatures": [str(path) for path in signatures]})
        return
    emit_path(folder)
    for path in signatures:
        note(f"signature: {printable(str(path))}")
