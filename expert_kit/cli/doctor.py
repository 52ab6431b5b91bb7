"""``expert-kit doctor``: is the registry sound?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from expert_kit.cli.exits import UNSOUND
from expert_kit.cli.options import Json
from expert_kit.cli.output import counted, emit, emit_json, note
from expert_kit.names import printable


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what follows from what is still sound, and remove garbage.")] = False,
    json: Json = False,
) -> None:
    """Check the registry: every file's bytes, rows, search, permissions, trust. Exit code 9 if anything is wrong."""
    from expert_kit.base_models import BaseStore
    from expert_kit.registry import Registry, bases_dir
    from expert_kit.registry.doctor import examine
    from expert_kit.registry.repair import repair as mend

    registry = Registry.default()
    if repair:
        mend(registry)
    findings = examine(registry, BaseStore(bases_dir()).records())
    if json:
        emit_json({"sound": not findings, "findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            emit(f"{one.code}  {printable(one.where)}: {printable(one.message)}")
            emit(f"  fix: {printable(one.fix)}")
        note(counted(len(findings), "finding") if findings else "the registry is sound")
    if findings:
        raise typer.Exit(UNSOUND)
