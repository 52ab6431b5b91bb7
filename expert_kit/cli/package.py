"""``expert-kit package``: a source folder -> an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from expert_kit.cli.options import Json
from expert_kit.cli.output import emit_json, emit_path, note
from expert_kit.cli.progress import megabytes
from expert_kit.errors import UsageError
from expert_kit.names import printable


def package(
    source: Annotated[Path, typer.Argument(help="An expert.yaml, or its folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="An .expert file, or a folder for a file with the standard name.")] = Path(),
    json: Json = False,
) -> None:
    """Pack an adapter into an archive. An expert.yaml describes it."""
    from expert_kit.archive import ArchiveReader
    from expert_kit.archive import package as pack
    from expert_kit.base_models import BaseStore
    from expert_kit.registry import bases_dir

    if out.suffix != ".expert":
        _make_folder(out)
    archive = pack(source, out, BaseStore(bases_dir()).records())
    with ArchiveReader.open(archive) as reader:
        ref, identity = reader.manifest.ref, reader.manifest.identity
    size = archive.stat().st_size
    if json:
        emit_json({"archive": str(archive), "expert": str(ref), "identity": identity, "size": size})
        return
    emit_path(archive)
    note(f"{ref}, {megabytes(size)}, {identity}")
    note(f"next: expert-kit sign {printable(str(archive))} --key NAME")


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"--out {out} is neither a folder nor the name of an .expert file"
        raise UsageError(message, hint="end the name in .expert", code="out_invalid") from error
