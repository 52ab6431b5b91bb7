"""``expert-kit validate``: everything that is wrong with an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from expert_kit.cli.exits import REFUSED
from expert_kit.cli.options import Json, Signature, read_signature
from expert_kit.cli.output import emit, emit_json, note
from expert_kit.names import printable


def validate(
    archive: Annotated[Path, typer.Argument(help="An .expert file.", show_default=False)],
    signature: Signature = None,
    probe: Annotated[bool, typer.Option("--probe", help="Measure what it does on the base models here, as an install would.")] = False,
    json: Json = False,
) -> None:
    """List every problem of an archive. Exit code 4 if no installation would take it; trust is not asked."""
    from expert_kit.base_models import BaseStore
    from expert_kit.cli.probing import Probing
    from expert_kit.registry import bases_dir
    from expert_kit.registry.archives import check_archive

    runner = Probing().run if probe else None
    report = check_archive(archive, BaseStore(bases_dir()).records(), read_signature(signature), runner)
    if json:
        emit_json(report.to_json())
    else:
        for problem in report.problems:
            emit(f"{problem.severity}[{problem.code}] {printable(problem.where)}: {printable(problem.message)}")
        verdict = "refused" if report.refused else "sound"
        for one in report.attestations:
            note(f"attested: {printable(one.kind)} by {one.signer}")
        note(f"{report.ref or printable(archive.name)}: {verdict}; signed by {', '.join(report.signers) or 'nobody'}")
    if report.refused:
        raise typer.Exit(REFUSED)
