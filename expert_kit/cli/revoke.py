"""``expert-kit revoke``: a publisher takes back packages and keys, in a signed list to give to its users."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.options import Json, PassphraseFile
from expert_kit.cli.output import counted, emit_json, emit_path, note, write_whole
from expert_kit.cli.secrets import load_key
from expert_kit.errors import ExpertKitError, SignatureError, UsageError
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.signing.revocations import RevocationList, RevokedKey, RevokedPackage


def revoke(
    key: Annotated[list[str], typer.Option("--key", help="Own key that signs the list: a root key, if there is a root; may repeat.")],
    packages: Annotated[
        list[str] | None,
        typer.Argument(help="Packages to take back: .expert files, or ns/name@version of installed ones.", show_default=False),
    ] = None,
    lost_key: Annotated[
        list[str] | None,
        typer.Option("--lost-key", help="Key that others may have: fingerprint, own key's name, public key file.", show_default=False),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Shown to everyone who has it.")] = "",
    after: Annotated[
        str, typer.Option("--after", help="What a lost key signed before this day, YYYY-MM-DD, may stay where it was installed by then.")
    ] = "",
    publisher: Annotated[str, typer.Option("--publisher", help="Namespace; needed if neither a package nor a list says it.")] = "",
    list_file: Annotated[
        Path | None, typer.Option("--list", help="The list to extend, PUBLISHER.revocations.jsonl if not given.", show_default=False)
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Days until a newer list is due.")] = 30,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Write the next version of a revocation list: all it said before, and this.

    Without packages and lost keys only its dates are new.
    """
    from expert_kit.signing.dates import utc_now
    from expert_kit.signing.revocations import extended, sign_list

    named = [_package(text, reason) for text in packages or []]
    speaker = _speaker(named, publisher, list_file)
    path = list_file or Path(f"{speaker}.revocations.jsonl")
    old = _old_list(path)
    if not (named or lost_key or old):
        raise UsageError("nothing to revoke", hint="name a package, or a key with --lost-key", code="revoke_what")
    now = utc_now()
    try:
        revocations = extended(
            old, speaker, packages=named, keys=_lost(lost_key or [], after, reason), issued=now, expires=now + timedelta(days=days)
        )
    except ValueError as error:
        hint = "give a --reason; for another publisher name another file with --list"
        raise SignatureError(f"revocation list: {error}", hint=hint, code="revocation_invalid") from error
    write_whole(path, sign_list(revocations, [load_key(name, passphrase_file) for name in key]).decode())
    _tell(path, revocations, as_json=json)


def _tell(path: Path, revocations: RevocationList, *, as_json: bool) -> None:
    if as_json:
        counts = {"packages": len(revocations.packages), "keys": len(revocations.keys)}
        emit_json({"file": str(path), "publisher": revocations.publisher, "version": revocations.version, **counts})
        return
    emit_path(path)
    note(f"version {revocations.version}: {counted(len(revocations.packages), 'package')}, {counted(len(revocations.keys), 'key')}")
    note(f"next: give it to your users, who run: expert-kit trust update {printable(path.name)}")


def _package(text: str, reason: str) -> RevokedPackage:
    from expert_kit.archive import ArchiveReader
    from expert_kit.names import sha256_digest
    from expert_kit.registry import Registry
    from expert_kit.signing.revocations import RevokedPackage

    if text.endswith(".expert") or Path(text).is_file():
        with ArchiveReader.open(Path(text)) as reader:
            return RevokedPackage(sha256_digest(reader.manifest_bytes), str(reader.manifest.ref), reason)
    expert = Registry.default().get(text)
    return RevokedPackage(expert.identity, str(expert.ref), reason)


def _speaker(packages: Iterable[RevokedPackage], publisher: str, list_file: Path | None) -> str:
    """The one publisher that all of it is about."""
    named = {one.name.split("/")[0] for one in packages} | ({publisher} if publisher else set())
    if not named and list_file is not None and (old := _old_list(list_file)) is not None:
        named = {old.publisher}
    if len(named) != 1:
        found = f"packages of {', '.join(sorted(named))}" if named else "nothing says whose list it is"
        raise UsageError(f"{found}: a list speaks for one publisher", hint="name one with --publisher", code="revoke_publisher")
    return named.pop()


def _lost(keys: list[str], after: str, reason: str) -> list[RevokedKey]:
    from expert_kit.registry import keys_dir
    from expert_kit.signing import identify
    from expert_kit.signing.dates import ALWAYS
    from expert_kit.signing.revocations import RevokedKey

    since = _moment(after) if after else ALWAYS
    return [RevokedKey(identify(key, keys_dir()), since, reason) for key in keys]


def _moment(text: str) -> datetime:
    from expert_kit.signing.dates import parse_day_or_moment

    try:
        return parse_day_or_moment(text)
    except ValueError as error:
        raise UsageError(f"--after {text!r} is no day", hint="write it like 2026-01-31", code="revoke_after") from error


def _old_list(path: Path) -> RevocationList | None:
    from expert_kit.registry.plain_file import read_plain
    from expert_kit.signing.revocations import open_list

    try:
        data = read_plain(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="name a list with --list", code="trust_file") from error
    try:
        return open_list(data)[0]
    except ExpertKitError as error:
        hint = f"name another file with --list, or move {path} away"
        raise SignatureError(f"{path}: {error.message}", hint=hint, code="revocation_invalid") from error
