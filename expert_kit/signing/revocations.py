"""Revocation lists: a publisher takes back packages and keys.

A list is a file of bundle lines (``envelope.py``), one per signer, all over the same canonical JSON:

    {"schema": "revocations/1", "publisher": "acme", "version": 3,
     "issued": "2026-11-22T08:00:00Z", "expires": "2026-12-22T08:00:00Z",
     "packages": [{"identity": "sha256:...", "name": "acme/sql@1.0.0", "reason": "..."}],
     "keys": [{"key": "sha256:...", "compromised_after": "2026-11-01T00:00:00Z", "reason": "..."}]}

Its payload type is its own, so that no other signature of the publisher can be passed off as a list. A list speaks for
the publisher's own names only: nobody can take back what somebody else made. The higher version replaces the lower one
as a whole. After ``expires``, or ``max_stale_days`` after ``issued``, a list is stale: what it names stays revoked, but
whether anything else was revoked since could not be checked.

Signatures carry no trusted time. A package by a compromised key counts as older than ``compromised_after`` only if our
own log (``events.py``) saw it before; else it is taken for a forgery.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import rfc8785

from expert_kit.errors import SignatureError, UnsignedError
from expert_kit.signing.canonical import check_fields, parse_canonical
from expert_kit.signing.dates import moment_text, parse_moment
from expert_kit.signing.envelope import add_line, open_line, sign, split_lines
from expert_kit.signing.files import read_own_file, write_own_file
from expert_kit.signing.keys import PrivateKey
from expert_kit.signing.roots import NAMESPACE

PAYLOAD_TYPE: Final = "application/vnd.expert-kit.revocations+json"
MAX_ENTRIES: Final = 10_000
MAX_FILE: Final = 16 << 20
_SCHEMA = "revocations/1"
_BEGINNING = b'{"dsseEnvelope":'
"""Of a bundle line in its one form."""
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_FIELDS: dict[str, type] = {
    "schema": str, "publisher": str, "version": int, "issued": str, "expires": str, "packages": list, "keys": list,
}  # fmt: skip
_PACKAGE: dict[str, type] = {"identity": str, "name": str, "reason": str}
_KEY: dict[str, type] = {"key": str, "compromised_after": str, "reason": str}


@dataclass(frozen=True)
class RevokedPackage:
    """One package that nobody is to install or load any more."""

    identity: str
    name: str
    """``ns/name@version``, for people."""
    reason: str


@dataclass(frozen=True)
class RevokedKey:
    """One key whose signatures count no more, but on what is known to be older."""

    key: str
    compromised_after: datetime
    reason: str


@dataclass(frozen=True)
class RevocationList:
    """What one publisher has taken back; ``ValueError`` if the parts contradict each other."""

    publisher: str
    version: int
    issued: datetime
    expires: datetime
    packages: tuple[RevokedPackage, ...] = ()
    keys: tuple[RevokedKey, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no list may say."""
        if not NAMESPACE.fullmatch(self.publisher):
            raise ValueError(f"publisher {self.publisher!r} is no namespace")
        if not 1 <= self.version < 1 << 53:
            raise ValueError(f"version {self.version} is not a number from 1")
        if self.expires <= self.issued:
            raise ValueError("expires is not after issued")
        if len(self.packages) + len(self.keys) > MAX_ENTRIES:
            raise ValueError(f"more than {MAX_ENTRIES} entries")
        for fingerprints in ([one.identity for one in self.packages], [one.key for one in self.keys]):
            if not all(map(_FINGERPRINT.fullmatch, fingerprints)) or fingerprints != sorted(set(fingerprints)):
                raise ValueError("digests are not sha256:<64 hex>, sorted and different")
        texts = [text for one in self.packages for text in (one.name, one.reason)] + [one.reason for one in self.keys]
        for text in texts:
            if not text.isprintable() or not 1 <= len(text) <= 500:
                raise ValueError("a name or reason is empty, too long or not printable")

    def to_bytes(self) -> bytes:
        """The bytes to sign."""
        return rfc8785.dumps(
            {
                "schema": _SCHEMA,
                "publisher": self.publisher,
                "version": self.version,
                "issued": moment_text(self.issued),
                "expires": moment_text(self.expires),
                "packages": [{"identity": one.identity, "name": one.name, "reason": one.reason} for one in self.packages],
                "keys": [
                    {"key": one.key, "compromised_after": moment_text(one.compromised_after), "reason": one.reason} for one in self.keys
                ],
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read signed bytes; ``ValueError`` says what is wrong with them."""
        fields = check_fields(parse_canonical(data), _FIELDS)
        if fields["schema"] != _SCHEMA:
            raise ValueError(f"the schema is not {_SCHEMA}; a newer expert-kit may know it")
        packages = [check_fields(row, _PACKAGE) for row in fields["packages"]]
        keys = [check_fields(row, _KEY) for row in fields["keys"]]
        return cls(
            fields["publisher"],
            fields["version"],
            parse_moment(fields["issued"]),
            parse_moment(fields["expires"]),
            tuple(RevokedPackage(**row) for row in packages),
            tuple(RevokedKey(row["key"], parse_moment(row["compromised_after"]), row["reason"]) for row in keys),
        )

    def package(self, identity: str) -> RevokedPackage | None:
        """The entry of this package."""
        return next((one for one in self.packages if one.identity == identity), None)

    def revoked_signers(self, signers: Sequence[str], seen: Callable[[], datetime | None]) -> dict[str, RevokedKey]:
        """Those of ``signers`` whose signature on a package counts no more.

        Args:
            signers: key ids.
            seen: says when our own log first saw the package; asked only if a key is on the list.
        """
        listed = [one for one in self.keys if one.key in signers]
        first = seen() if listed else None
        return {one.key: one for one in listed if first is None or first >= one.compromised_after}

    def is_stale(self, now: datetime, max_days: int) -> bool:
        """Too old to say that nothing else was revoked."""
        return now > self.expires or now - self.issued > timedelta(days=max_days)


def sign_list(revocations: RevocationList, keys: Sequence[PrivateKey]) -> bytes:
    """The file to give away, signed by each of ``keys``."""
    return b"".join(sign(revocations.to_bytes(), key, PAYLOAD_TYPE) + b"\n" for key in keys)


def cosign_list(data: bytes, key: PrivateKey) -> bytes:
    """The file with a signature by ``key`` too, over the same list; in place of an earlier one by that key.

    Raises:
        SignatureError: see :func:`open_list`.
    """
    revocations, _ = open_list(data)
    return add_line(data, sign(revocations.to_bytes(), key, PAYLOAD_TYPE))


def open_list(data: bytes) -> tuple[RevocationList, tuple[str, ...]]:
    """The list in a file and who signed it, each signature checked. It says nothing about trust.

    Raises:
        SignatureError: a line is malformed or does not verify; ``revocation_invalid``, lines differ in what they sign, or
            it is no list; ``signature_duplicate_key``. UnsignedError: there is no line.
    """
    if not data:
        raise UnsignedError("the revocation list is not signed", hint="ask the publisher for the whole file")
    lines = _open_lines(data)
    payloads, signers = {payload for payload, _ in lines}, tuple(signer for _, signer in lines)
    if len(set(signers)) != len(signers):
        raise SignatureError("two signature lines by the same key", hint="ask the publisher for a new one", code="signature_duplicate_key")
    try:
        if len(payloads) != 1:
            raise ValueError("its lines sign different lists")
        return RevocationList.parse(payloads.pop()), signers
    except ValueError as error:
        raise SignatureError(f"revocation list: {error}", hint="ask the publisher for a new one", code="revocation_invalid") from error


def _open_lines(data: bytes) -> list[tuple[bytes, str]]:
    """Payload and signer of each line; what ``envelope`` says about archives is said about a list here."""
    if not data.startswith(_BEGINNING):
        hint = "name a file that `expert-kit keys root`, `keys rotate` or `revoke` wrote"
        raise SignatureError("neither a root.json nor a revocation list", hint=hint, code="signature_malformed")
    try:
        return [open_line(line, PAYLOAD_TYPE) for line in split_lines(data)]
    except SignatureError as error:
        hint = "it was damaged or changed: get the list again from its publisher"
        raise SignatureError(f"revocation list: {error.message}", hint=hint, code=error.code) from error


class RevocationStore:
    """The accepted list of each publisher, ``<folder>/<publisher>.jsonl``, as it was received."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, publisher: str) -> Path:
        """Where this publisher's list is."""
        return self.folder / f"{publisher}.jsonl"

    def read(self, publisher: str) -> tuple[RevocationList, tuple[str, ...]] | None:
        """The list and its signers, or None if this publisher never gave one.

        Raises:
            SignatureError: the file is damaged. It is not taken for a missing one.
        """
        if not NAMESPACE.fullmatch(publisher) or not self.path(publisher).exists():
            return None
        data = read_own_file(self.path(publisher), MAX_FILE)
        try:
            return open_list(data)
        except SignatureError as error:
            hint = f"get the list again from {publisher} and run `expert-kit trust update FILE` after removing {self.path(publisher)}"
            raise SignatureError(f"{self.path(publisher)}: {error.message}", hint=hint, code="trust_invalid") from error

    def get(self, publisher: str) -> RevocationList | None:
        """The list alone."""
        found = self.read(publisher)
        return None if found is None else found[0]

    def write(self, publisher: str, data: bytes) -> None:
        """Keep a list that was accepted."""
        write_own_file(self.path(publisher), data)

    def all(self) -> Iterator[RevocationList]:
        """Every list, by publisher."""
        for path in sorted(self.folder.glob("*.jsonl")):
            if (found := self.get(path.name.removesuffix(".jsonl"))) is not None:
                yield found


def extended(
    old: RevocationList | None,
    publisher: str,
    *,
    packages: Sequence[RevokedPackage] = (),
    keys: Sequence[RevokedKey] = (),
    issued: datetime,
    expires: datetime,
) -> RevocationList:
    """The next version of a list: everything that ``old`` says, and these entries, the newer one of two about the same thing.

    Raises:
        ValueError: see :class:`RevocationList`; or ``old`` is another publisher's.
    """
    if old is not None and old.publisher != publisher:
        raise ValueError(f"that is a list of {old.publisher}")
    all_packages: dict[str, Any] = {one.identity: one for one in (*(old.packages if old else ()), *packages)}
    all_keys: dict[str, Any] = {one.key: one for one in (*(old.keys if old else ()), *keys)}
    return RevocationList(
        publisher,
        old.version + 1 if old else 1,
        issued,
        expires,
        tuple(all_packages[digest] for digest in sorted(all_packages)),
        tuple(all_keys[key] for key in sorted(all_keys)),
    )
