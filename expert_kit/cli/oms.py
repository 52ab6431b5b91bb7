"""``expert-kit oms``: OpenSSF Model Signing for folders that are no experts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from expert_kit.cli.coercion import LeanTyper
from expert_kit.cli.options import Json, PassphraseFile
from expert_kit.cli.output import emit, emit_json, emit_path, note, write_whole
from expert_kit.cli.secrets import load_key
from expert_kit.errors import UsageError
from expert_kit.names import printable

oms = LeanTyper(help="Sign and verify model folders as OpenSSF Model Signing does; experts need neither.", no_args_is_help=True)

_Folder = Annotated[Path, typer.Argument(help="A folder with a model.", show_default=False)]


@oms.command(epilog="Example: expert-kit oms sign models/tiny --key interop")
def sign(
    folder: _Folder,
    key: Annotated[str, typer.Option("--key", help="Own key; P-256, if the tool model_signing is to verify it.")],
    out: Annotated[Path | None, typer.Option(help="File to write, FOLDER.sig beside the folder if not given.", show_default=False)] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", help="File or folder to leave out, relative to FOLDER; may repeat.", show_default=False)
    ] = None,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Sign all files of a folder."""
    from expert_kit.registry.export import parent_of
    from expert_kit.signing.oms import sign_folder

    real = folder.resolve()
    written = out or parent_of(folder) / f"{real.name}.sig"
    if written.resolve().is_relative_to(real):
        message = f"{written} lies in the folder that it signs"
        raise UsageError(message, hint="name a file elsewhere with --out", code="oms_out")
    private = load_key(key, passphrase_file)
    try:
        bundle = sign_folder(folder, private, ignore or ())
    except ValueError as error:
        raise UsageError(f"--ignore: {error}", hint="name paths relative to the folder", code="oms_ignore") from error
    write_whole(written, bundle.decode())
    if json:
        emit_json({"folder": str(folder), "signature": str(written)})
        return
    emit_path(written)
    note(f"signed {printable(str(folder))}")


@oms.command(epilog="Example: expert-kit oms verify models/tiny --signature tiny.sig --public-key interop.pub.pem")
def verify(
    folder: _Folder,
    signature: Annotated[Path, typer.Option("--signature", help="The signature, a Sigstore bundle.")],
    public_key: Annotated[str, typer.Option("--public-key", help="Whom to believe: a public key file, or the name of an own key.")],
    json: Json = False,
) -> None:
    """Check that a key signed exactly what a folder holds."""
    from expert_kit.registry import keys_dir
    from expert_kit.signing import find_public_key
    from expert_kit.signing.oms import verify_folder

    key = find_public_key(public_key, keys_dir())
    from expert_kit.registry.plain_file import read_plain

    try:
        bundle = read_plain(signature)
    except OSError as error:
        message = f"cannot read the signature in {signature}: {error.strerror}"
        raise UsageError(message, hint="name a signature file", code="signature_file") from error
    signed = verify_folder(folder, bundle, key)
    if json:
        emit_json({"model": signed.name, "files": dict(signed.files), "ignored": list(signed.ignored)})
        return
    emit(printable(signed.name))
    note(f"{len(signed.files)} files are as they were signed")
