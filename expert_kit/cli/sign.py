"""``expert-kit sign``: a signature into an archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.keys import ask_passphrase
from expert_kit.cli.options import Json, PassphraseFile, read_passphrase
from expert_kit.cli.output import emit_json, emit_path, is_interactive, note
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.signing import PrivateKey


def sign(
    archive: Annotated[Path, typer.Argument(help="An .expert file.", show_default=False)],
    key: Annotated[str, typer.Option("--key", help="Name of an own key, see `expert-kit keys list`.")],
    out: Annotated[Path | None, typer.Option(help="File to write; without it the archive is replaced.")] = None,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Sign an archive. Only its signatures change, and its identity stays."""
    from expert_kit.registry.archives import sign_archive

    report = sign_archive(archive, _load(key, passphrase_file), out)
    written = out or archive
    if json:
        emit_json({"archive": str(written), **report.to_json()})
        return
    emit_path(written)
    note(f"{report.ref} signed by {', '.join(report.signers)}")
    note(f"next: expert-kit install {printable(str(written))}")


def _load(name: str, passphrase_file: Path | None) -> PrivateKey:
    from expert_kit.registry import keys_dir
    from expert_kit.signing import find_key, load_private_key

    info = find_key(keys_dir(), name)
    secret = read_passphrase(passphrase_file)
    if secret is None and info.encrypted and is_interactive():
        secret = ask_passphrase()
    return load_private_key(info.private_path, secret)
