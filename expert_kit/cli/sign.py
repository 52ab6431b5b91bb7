"""``expert-kit sign``: a signature into an archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.options import Json, PassphraseFile, read_signature
from expert_kit.cli.output import emit_json, emit_path, note, write_whole
from expert_kit.cli.secrets import load_key
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.registry.archives import ArchiveReport
    from expert_kit.signing import PrivateKey


def sign(
    archive: Annotated[Path, typer.Argument(help="An .expert file.", show_default=False)],
    key: Annotated[str, typer.Option("--key", help="Name of an own key, see `expert-kit keys list`.")],
    out: Annotated[Path | None, typer.Option(help="File to write; without it the archive is replaced.")] = None,
    detached: Annotated[
        bool, typer.Option("--detached", help="Write ARCHIVE.sig, where install looks for it; the archive stays as it is.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Sign an archive. Only its signatures change, and its identity stays."""
    from expert_kit.registry.archives import sign_archive

    private = load_key(key, passphrase_file)
    if detached:
        written, report = _sign_detached(archive, private, out)
    else:
        written, report = out or archive, sign_archive(archive, private, out)
    if json:
        emit_json({"signature" if detached else "archive": str(written), **report.to_json()})
        return
    emit_path(written)
    note(f"{report.ref} signed by {', '.join(report.signers)}")
    note(f"next: expert-kit install {printable(str(archive if detached else written))}")


def _sign_detached(archive: Path, key: PrivateKey, out: Path | None) -> tuple[Path, ArchiveReport]:
    from expert_kit.registry.archives import sign_detached

    out = out or archive.with_name(f"{archive.name}.sig")
    lines, report = sign_detached(archive, key, read_signature(out) if out.exists() else b"")
    write_whole(out, lines.decode())
    return out, report
