"""``expert-kit lock``: what is installed, written down."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from expert_kit.cli.options import Json
from expert_kit.cli.output import counted, emit_json, emit_path, note, write_whole
from expert_kit.errors import UsageError
from expert_kit.names import printable


def lock(
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("expert.lock"),
    json: Json = False,
) -> None:
    """Write what is installed into a lock file: versions, digests, keys and base models. `install --frozen` reads it."""
    from expert_kit.registry import Registry
    from expert_kit.registry.lock import lock as content
    from expert_kit.registry.lock import read_lock

    if not out.parent.is_dir():
        message = f"the folder {printable(str(out.parent))} is not there"
        raise UsageError(message, hint=f"mkdir -p {shlex.quote(printable(str(out.parent)))}", code="lock_folder")
    write_whole(out, content(Registry.default()).decode())
    entries = read_lock(out)
    if json:
        emit_json({"lock": str(out), "experts": [str(entry.ref) for entry in entries]})
        return
    emit_path(out)
    note(counted(len(entries), "expert"))
