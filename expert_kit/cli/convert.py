"""``expert-kit convert``: an adapter from elsewhere -> an unsigned archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expert_kit.cli.options import Json, PassphraseFile
from expert_kit.cli.output import emit_json, emit_path, note
from expert_kit.cli.probing import Probing
from expert_kit.cli.progress import megabytes
from expert_kit.errors import UsageError
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.archive.importer import Converted, Material
    from expert_kit.signing import PrivateKey


def convert(
    source: Annotated[Path, typer.Argument(help="A folder saved by PEFT, or a .tar.gz of one.", show_default=False)],
    out: Annotated[Path, typer.Option(help="An .expert file, or a folder for a file with the standard name.")] = Path(),
    name: Annotated[str | None, typer.Option(help="Its name, namespace/name; the namespace is the publisher.", show_default=False)] = None,
    version: Annotated[str | None, typer.Option(help="Its version, such as 1.0.0.", show_default=False)] = None,
    license: Annotated[str | None, typer.Option(help="SPDX licence expression, such as Apache-2.0.", show_default=False)] = None,
    summary: Annotated[str | None, typer.Option(help="One line that says what it is for.", show_default=False)] = None,
    base: Annotated[
        str | None, typer.Option(help="The base model that it was trained on, of `expert-kit base list`.", show_default=False)
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.", show_default=False)] = None,
    no_probe: Annotated[bool, typer.Option("--no-probe", help="Leave out the logits by which installers check what it does.")] = False,
    key: Annotated[
        str | None,
        typer.Option("--key", help="Own key for the attestation; without it a key that exists for this one alone.", show_default=False),
    ] = None,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Convert an adapter from elsewhere into an unsigned archive. No trust comes with it: review it, then sign it."""
    from expert_kit.archive.importer import Description
    from expert_kit.archive.importer import convert as import_adapter
    from expert_kit.base_models import BaseStore
    from expert_kit.cli.package import FOLDER_OR_ARCHIVE, make_folder
    from expert_kit.registry import bases_dir

    fields = {"name": name, "version": version, "license": license, "summary": summary}
    _refuse_missing(source, {**fields, "base": base})
    description = Description.of({**fields, "tags": tuple(tag or ())})
    signer = _attester(key, passphrase_file)
    if out.suffix != ".expert":
        make_folder(out, hint=FOLDER_OR_ARCHIVE)
    record = BaseStore(bases_dir()).get(str(base)).record
    done = import_adapter(source, out, description, record, probes=None if no_probe else Probing())
    identity = _attest(done, signer)
    _report(done, str(description.name), identity, as_json=json)


def _refuse_missing(source: Path, fields: dict[str, str | None]) -> None:
    missing = [f"--{field}" for field, value in fields.items() if value is None]
    if not missing:
        return
    known = " ".join(f"--{field} {_EXAMPLES[field]}" for field, value in fields.items() if value is None)
    raise UsageError(
        f"an adapter does not say what an expert must; missing: {', '.join(missing)}",
        hint=f"expert-kit convert {printable(str(source))} ... {known}; base models here: expert-kit base list",
        code="convert_options_missing",
    )


_EXAMPLES = {"name": "me/poems", "version": "0.1.0", "license": "Apache-2.0", "summary": "'Writes poems.'", "base": "smollm2-135m"}


def _attester(key: str | None, passphrase_file: Path | None) -> PrivateKey:
    from expert_kit.cli.secrets import load_key
    from expert_kit.signing import KEY_TYPES

    # Nobody can trust a key that is forgotten at once: what it signs is a record, not a claim.
    return KEY_TYPES["ed25519"]() if key is None else load_key(key, passphrase_file)


def _attest(done: Converted, key: PrivateKey) -> str:
    from expert_kit import __version__
    from expert_kit.registry.archives import attest_archive

    report = attest_archive(done.archive, "import", {"source": done.material.to_json(), "importer": f"expert-kit {__version__}"}, key)
    return str(report.identity)


def _report(done: Converted, name: str, identity: str, *, as_json: bool) -> None:
    material: Material = done.material
    if as_json:
        found: dict[str, Any] = {"archive": str(done.archive), "expert": name, "identity": identity}
        emit_json({**found, "source": {"kind": material.kind, "digest": material.digest, "left_out": list(material.left_out)}})
        return
    emit_path(done.archive)
    note(f"{name}, {megabytes(done.archive.stat().st_size)}, {identity}")
    note(f"from {material.kind} {material.digest}")
    if material.left_out:
        note(f"left out: {', '.join(map(printable, material.left_out))}")
    shown = printable(str(done.archive))
    note(f"not signed; look at it with `expert-kit validate {shown}`, then: expert-kit sign {shown} --key NAME")
