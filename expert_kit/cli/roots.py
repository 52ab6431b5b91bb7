"""``expert-kit keys root|rotate|cosign``: a publisher's root, which names the keys that may sign, and its next versions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expert_kit.cli.options import MOST_SIGNERS, Json, PassphraseFile
from expert_kit.cli.output import emit, emit_json, note, write_whole
from expert_kit.cli.secrets import load_key, load_own_keys
from expert_kit.errors import ExpertKitError, UsageError
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.signing import PrivateKey, PublicKey

_Days = Annotated[int, typer.Option("--days", min=1, max=3650, help="Days until it expires and the next version is due.")]
_Some = list[str] | None


def root(
    publisher: Annotated[str, typer.Argument(help="The namespace it is about.", show_default=False)],
    key: Annotated[list[str], typer.Option("--key", help="May sign packages: an own key's name or a public key file; may repeat.")],
    root_key: Annotated[
        _Some, typer.Option("--root-key", help="May sign the next root and revocation lists; those of --key if none.", show_default=False)
    ] = None,
    threshold: Annotated[int, typer.Option("--threshold", min=1, max=MOST_SIGNERS, help="How many keys must sign a package.")] = 1,
    root_threshold: Annotated[
        int, typer.Option("--root-threshold", min=1, max=MOST_SIGNERS, help="How many root keys must sign a root or a list.")
    ] = 1,
    days: _Days = 365,
    out: Annotated[Path, typer.Option(help="File to write; an existing one is never replaced.")] = Path("root.json"),
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Make a publisher's first root, signed by those of its root keys that are here."""
    from expert_kit.signing.rotation import new_root

    keys, root_keys = _public(key), _public(root_key or key)
    data = new_root(publisher, root_keys=root_keys, keys=keys, root_threshold=root_threshold, threshold=threshold, expires=_in(days))
    _sign_and_write(data, None, root_keys, out, passphrase_file, as_json=json)


def rotate(
    file: Annotated[Path, typer.Argument(help="The publisher's present root.json.", show_default=False)],
    add: Annotated[_Some, typer.Option("--add", help="A key that may sign packages from now on; may repeat.", show_default=False)] = None,
    drop: Annotated[_Some, typer.Option("--drop", help="A key that may not any more.", show_default=False)] = None,
    add_root: Annotated[_Some, typer.Option("--add-root", help="A further root key.", show_default=False)] = None,
    drop_root: Annotated[_Some, typer.Option("--drop-root", help="A root key that is none any more.", show_default=False)] = None,
    threshold: Annotated[
        int | None, typer.Option("--threshold", min=1, max=MOST_SIGNERS, help="As before if not given.", show_default=False)
    ] = None,
    root_threshold: Annotated[
        int | None, typer.Option("--root-threshold", min=1, max=MOST_SIGNERS, help="As before if not given.", show_default=False)
    ] = None,
    days: _Days = 365,
    out: Annotated[
        Path | None, typer.Option(help="File to write, <version>.root.json beside FILE if not given; never replaced.", show_default=False)
    ] = None,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Make the next version of a root: other keys, other thresholds, or only a later end.

    Users follow it once enough root keys of the present version and of the next one have signed it.
    """
    from expert_kit.signing.roots import TrustedRoot
    from expert_kit.signing.rotation import new_root, root_keys_of

    old = _read(file)
    old_root_keys, old_keys = root_keys_of(old)
    before = TrustedRoot.read(old)
    root_keys = _changed(old_root_keys, add_root, drop_root)
    data = new_root(
        before.publisher,
        root_keys=root_keys,
        keys=_changed(old_keys, add, drop),
        root_threshold=root_threshold or before.root.threshold,
        threshold=threshold or before.targets.threshold,
        expires=_in(days),
        previous=old,
    )
    written = out or file.with_name(f"{before.version + 1}.root.json")
    _sign_and_write(data, old, [*old_root_keys, *root_keys], written, passphrase_file, as_json=json)


def cosign(
    file: Annotated[Path, typer.Argument(help="A root.json or a revocation list; it is replaced.", show_default=False)],
    key: Annotated[str, typer.Option("--key", help="Name of an own key, see `expert-kit keys list`.")],
    previous: Annotated[
        Path | None,
        typer.Option(help="Of a root: the version before, if it is not beside FILE as root.json or N.root.json.", show_default=False),
    ] = None,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Add a signature to a root or a revocation list. For keys on different machines.

    Of a root its new digest is printed, and how many signatures are still missing.
    """
    data = _read(file)
    if data.startswith(b'{"signatures":'):
        _cosign_root(file, data, previous, load_key(key, passphrase_file), as_json=json)
    elif previous is None:
        _cosign_list(file, data, load_key(key, passphrase_file), as_json=json)
    else:
        raise UsageError("--previous is for a root.json", hint="leave it out", code="root_previous")


def _cosign_list(file: Path, data: bytes, private: PrivateKey, *, as_json: bool) -> None:
    from expert_kit.signing import key_id
    from expert_kit.signing.revocations import cosign_list

    write_whole(file, cosign_list(data, private).decode())
    fingerprint = key_id(private.public_key())
    if as_json:
        emit_json({"file": str(file), "kind": "revocations", "signer": fingerprint})
        return
    emit(fingerprint)
    note(f"signed {printable(str(file))}")


def _cosign_root(file: Path, data: bytes, named: Path | None, private: PrivateKey, *, as_json: bool) -> None:
    from expert_kit.signing import key_id
    from expert_kit.signing.rotation import root_keys_of, sign_root

    allowed, _ = root_keys_of(data)
    previous = _previous(file, data, named)
    if previous is not None:
        allowed = [*allowed, *root_keys_of(previous)[0]]
    fingerprint = key_id(private.public_key())
    if fingerprint not in {key_id(one) for one in allowed}:
        hint = "sign with one of its root keys"
        if previous is None and _about(data)[1] > 1:
            hint += ", or name the version before with --previous if it is one of that"
        raise UsageError(f"{fingerprint} is no root key of {file}", hint=hint, code="root_key_unknown")
    data = sign_root(data, private)
    write_whole(file, data.decode())
    _tell(data, previous, file, {"kind": "root", "signer": fingerprint}, as_json=as_json)


def _previous(file: Path, data: bytes, named: Path | None) -> bytes | None:
    """The version before, named or beside the file; None if there is none, or it is elsewhere."""
    from expert_kit.signing.rotation import publisher_of

    publisher, version = _about(data)
    wanted = (publisher, version - 1)
    if named is not None:
        found = _read(named)
        publisher_of(found)
        if _about(found) != wanted:
            message = f"{named} is not version {version - 1} of {publisher}" if version > 1 else "there is no version before version 1"
            raise UsageError(message, hint="name the version before with --previous, or leave it out", code="root_previous")
        return found
    for path in (file.with_name(f"{version - 1}.root.json"), file.with_name("root.json")):
        if version > 1 and path.is_file() and (beside := _root_of(path)) is not None and _about(beside) == wanted:
            return beside
    return None


def _root_of(path: Path) -> bytes | None:
    from expert_kit.signing.rotation import publisher_of

    try:
        publisher_of(data := _read(path))
    except ExpertKitError:
        return None
    return data


def _about(data: bytes) -> tuple[str, int]:
    from expert_kit.signing.roots import TrustedRoot

    made = TrustedRoot.read(data)
    return made.publisher, made.version


def _sign_and_write(
    data: bytes, previous: bytes | None, signers: Iterable[PublicKey], out: Path, passphrase_file: Path | None, *, as_json: bool
) -> None:
    from expert_kit.signing.rotation import sign_root

    if out.exists():
        raise UsageError(f"{out} exists", hint="name another file with --out; users need every version", code="root_exists")
    for private in load_own_keys(signers, passphrase_file):
        data = sign_root(data, private)
    write_whole(out, data.decode())
    _tell(data, previous, out, {}, as_json=as_json)


def _tell(data: bytes, previous: bytes | None, file: Path, facts: dict[str, Any], *, as_json: bool) -> None:
    """The digest as it is now, who is still missing, and what comes next."""
    from expert_kit.signing.roots import root_digest
    from expert_kit.signing.rotation import missing_signatures

    publisher, version = _about(data)
    by_old, by_own = missing_signatures(data, previous)
    unknown = version > 1 and previous is None
    if as_json:
        facts = {"file": str(file), **facts, "digest": root_digest(data), "publisher": publisher, "version": version}
        emit_json({**facts, "missing_by_previous": None if unknown else by_old, "missing": by_own})
        return
    emit(root_digest(data))
    note(f"root version {version} of {publisher} in {printable(str(file))}")
    if by_old or by_own or unknown:
        note("missing signatures: " + _missing(version, None if unknown else by_old, by_own))
        note("this digest is not final: publish the one that the last `keys cosign` prints")
        note(f"next: expert-kit keys cosign {printable(str(file))} --key NAME")
    else:
        note("no signature is missing; this digest is the one to publish")
        note("next: give it to your users, who run: expert-kit trust " + ("update" if previous else "add") + f" {file.name}")


def _missing(version: int, by_old: int | None, by_own: int) -> str:
    if version == 1:
        return f"{by_own} by its root keys"
    if by_old is None:
        return f"{by_own} by its own root keys; those of version {version - 1} cannot be counted without that file, see --previous"
    return f"{by_old} by root keys of the version before, {by_own} by its own"


def _public(names: Iterable[str]) -> list[PublicKey]:
    from expert_kit.registry import keys_dir
    from expert_kit.signing import find_public_key, key_id

    found = [find_public_key(name, keys_dir()) for name in names]
    return list({key_id(key): key for key in found}.values())


def _changed(keys: list[PublicKey], added: _Some, dropped: _Some) -> list[PublicKey]:
    from expert_kit.registry import keys_dir
    from expert_kit.signing import identify, key_id

    gone = {identify(name, keys_dir()) for name in dropped or ()}
    if unknown := sorted(gone - {key_id(key) for key in keys}):
        raise UsageError(f"{unknown[0]} is not in this root", hint="expert-kit keys list", code="root_key_unknown")
    kept = [key for key in keys if key_id(key) not in gone]
    new = [key for key in _public(added or ()) if key_id(key) not in {key_id(one) for one in kept}]
    return [*kept, *new]


def _in(days: int) -> datetime:
    from expert_kit.signing.dates import utc_now

    return utc_now() + timedelta(days=days)


def _read(path: Path) -> bytes:
    from expert_kit.registry.plain_file import read_plain

    try:
        return read_plain(path)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", hint="name a root.json or a revocation list", code="trust_file"
        ) from error
