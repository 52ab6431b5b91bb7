"""What an author does with an archive before anyone installs it: sign it, attest it, and have everything about it checked.

Apart from the room's ``__init__``, because it imports pydantic and cryptography.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from expert_kit import __version__
from expert_kit.archive import ATTESTATIONS, SIGNATURES, ArchiveReader, Problem, Severity, replace_meta, validate_reader
from expert_kit.bases import BaseMatch, BaseRecord, compare
from expert_kit.errors import ArchiveError, BaseModelError, IncompatibleAdapterError, ManifestError, SignatureError, UnsignedError
from expert_kit.manifest import Manifest, statement_bytes
from expert_kit.names import Digest, ExpertRef, printable, sha256_digest
from expert_kit.registry.admission import attestation_members
from expert_kit.registry.probes import ProbeRunner, probe_on
from expert_kit.registry.ranges import in_range, is_range
from expert_kit.registry.records import TOOL
from expert_kit.signing import (
    Attestation,
    PrivateKey,
    add_attestation,
    add_line,
    attest,
    merge_lines,
    open_attestations,
    sign,
    verified_signers,
)

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class ArchiveReport:
    """All that can be said about an archive without installing it."""

    ref: ExpertRef | None
    """None if the archive could not be opened; so is ``identity``."""
    identity: Digest | None
    signers: tuple[str, ...]
    """Key ids whose signatures verify; trust is another question."""
    problems: tuple[Problem, ...]
    attestations: tuple[Attestation, ...] = ()
    """Those whose signatures verify; whether their signers count is for a policy to say."""

    @property
    def refused(self) -> bool:
        """Whether no installation would take it."""
        return any(problem.severity is Severity.REFUSED for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        problems = [{"code": one.code, "severity": one.severity.value, "where": one.where, "message": one.message} for one in self.problems]
        ref = None if self.ref is None else str(self.ref)
        attestations = [{"type": one.kind, "signer": one.signer, "metrics": one.metrics} for one in self.attestations]
        signed = {"signers": list(self.signers), "attestations": attestations}
        return {"refused": self.refused, "expert": ref, "identity": self.identity, **signed, "problems": problems}


def check_archive(
    archive: Path, bases: Sequence[BaseRecord] = (), detached: bytes = b"", probe: ProbeRunner | None = None
) -> ArchiveReport:
    """Every problem of content, signatures and attestations.

    Args:
        archive: an ``.expert`` file.
        bases: the base models that are here.
        detached: lines of a ``.sig`` file, which count like those in the archive.
        probe: measures what the adapter does on the base models here; without it, only what was measured before is told.
    """
    try:
        with ArchiveReader.open(archive) as reader:
            problems, identity = validate_reader(reader, bases), sha256_digest(reader.manifest_bytes)
            signers, findings = _signers(reader, detached)
            attestations, more = _attestations(reader, identity)
            if not any(one.severity is Severity.REFUSED for one in problems):
                problems = [*problems, *_probe_problems(reader, bases, probe)]
            found = (*problems, *_range_problems(reader.manifest), *findings, *more)
            return ArchiveReport(reader.manifest.ref, identity, signers, found, attestations)
    except (ArchiveError, ManifestError) as error:
        label = printable(archive.name)
        problem = Problem(error.code, Severity.REFUSED, label, printable(error.message.removeprefix(f"{label}: ")))
        return ArchiveReport(None, None, (), (problem,))


def sign_archive(archive: Path, key: PrivateKey, out: Path | None = None) -> ArchiveReport:
    """Add a signature, in place of an earlier one by the same key. Nothing but the signatures changes.

    Args:
        archive: an ``.expert`` file; its bytes are checked while they are copied.
        key: see ``signing.load_private_key``.
        out: file to write, ``archive`` itself if not given; it is there whole or not at all.

    Returns:
        The state of the signed archive, with no check of its content beyond its digests.

    Raises:
        ArchiveError, ManifestError: not a sound archive. SignatureError: it has a signature that does not verify, or as many
            as it may have. CapacityError: the file cannot be written.
    """
    with ArchiveReader.open(archive) as reader:
        statement, lines, meta = statement_bytes(reader.manifest), reader.signatures_bytes, reader.meta
        ref, identity = reader.manifest.ref, sha256_digest(reader.manifest_bytes)
    if lines:
        # An archive is refused for one bad line: better now than at every user.
        verified_signers(lines, statement)
    lines = add_line(lines, sign(statement, key))
    # Read as every user will read it, before it is written: there may be one too many now.
    signers = _within_limits(lambda: verified_signers(lines, statement))
    replace_meta(archive, out or archive, {**meta, SIGNATURES: lines})
    return ArchiveReport(ref, identity, signers, ())


def sign_detached(archive: Path, key: PrivateKey, existing: bytes = b"") -> tuple[bytes, ArchiveReport]:
    """The content of a ``.sig`` file for an archive, which is not changed.

    Args:
        archive: an ``.expert`` file; its bytes are checked.
        key: see ``signing.load_private_key``.
        existing: lines to keep, by other keys.

    Raises:
        ArchiveError, ManifestError: not a sound archive. SignatureError: ``existing`` does not verify.
    """
    with ArchiveReader.open(archive) as reader:
        reader.check_bodies()
        statement, ref, identity = statement_bytes(reader.manifest), reader.manifest.ref, sha256_digest(reader.manifest_bytes)
    if existing:
        verified_signers(existing, statement)
    lines = add_line(existing, sign(statement, key))
    return lines, ArchiveReport(ref, identity, _within_limits(lambda: verified_signers(lines, statement)), ())


def attest_archive(archive: Path, kind: str, predicate: Mapping[str, Any], key: PrivateKey, out: Path | None = None) -> ArchiveReport:
    """Add an attestation to ``META/attestations/<kind>.jsonl``. The identity and all signatures stay.

    Args:
        archive: an ``.expert`` file; its bytes are checked while they are copied.
        kind: a key of ``signing.PREDICATES``.
        predicate: see ``signing.attestations``.
        key: see ``signing.load_private_key``.
        out: file to write, ``archive`` itself if not given.

    Raises:
        ArchiveError, ManifestError: not a sound archive. SignatureError: ``attestation_invalid``, or one in the archive is bad, or
            it has as many as it may have.
        CapacityError: the file cannot be written.
    """
    with ArchiveReader.open(archive) as reader:
        ref, identity, meta = reader.manifest.ref, sha256_digest(reader.manifest_bytes), reader.meta
        open_attestations(attestation_members(reader).values(), identity)
    name = f"{ATTESTATIONS}{kind}.jsonl"
    meta[name] = add_attestation(meta.get(name, b""), attest(identity, ref.file_stem, kind, predicate, key))
    members = [body for member, body in meta.items() if member.startswith(ATTESTATIONS)]
    attestations = _within_limits(lambda: open_attestations(members, identity))
    replace_meta(archive, out or archive, meta)
    return ArchiveReport(ref, identity, (), (), attestations)


def _within_limits(read: Callable[[], _Read]) -> _Read:
    """What the archive would hold, read back; all that can be wrong with it is that it is too much."""
    try:
        return read()
    except SignatureError as error:
        hint = "nothing was written; add it to a copy of the archive that has fewer, or to its next version"
        raise SignatureError(error.message, hint=hint, code=error.code) from error


def _range_problems(manifest: Manifest) -> Iterator[Problem]:
    requires, conflicts = manifest.requires, manifest.conflicts or {}
    tool = {"expert-kit": requires.expert_kit} if requires and requires.expert_kit else {}
    experts = (requires.experts if requires else None) or {}
    for label, ranges in (("requires", {**tool, **experts}), ("conflicts", conflicts)):
        for name, text in ranges.items():
            where = f"{label}.{name}"
            if not is_range(text):
                yield Problem("range_invalid", Severity.REFUSED, where, f"{text!r} is not a version range")
            elif name == manifest.ref.full_name and in_range(manifest.ref.version or "", text, pre=True) is (label == "conflicts"):
                yield Problem("resolution_impossible", Severity.REFUSED, where, f"{text} contradicts itself: this is {manifest.ref}")
            elif name == TOOL and not in_range(__version__, text, pre=True):
                yield Problem("resolution_tool", Severity.WARNING, where, f"{text} is not met here: this is expert-kit {__version__}")


def _probe_problems(reader: ArchiveReader, bases: Sequence[BaseRecord], runner: ProbeRunner | None) -> Iterator[Problem]:
    for entry, record in product(reader.manifest.bases, bases):
        if entry.probe is None or compare(entry.fingerprint, record.fingerprint).match is BaseMatch.INCOMPATIBLE:
            continue
        try:
            probe_on(reader.manifest, entry, record, reader.read, runner)
        except IncompatibleAdapterError as error:
            yield Problem(error.code, Severity.REFUSED, entry.probe, printable(error.message))
        except BaseModelError as error:
            yield Problem(error.code, Severity.UNCHECKED, entry.probe, printable(error.message))


def _attestations(reader: ArchiveReader, identity: Digest) -> tuple[tuple[Attestation, ...], list[Problem]]:
    try:
        return open_attestations(attestation_members(reader).values(), identity), []
    except SignatureError as error:
        return (), [Problem(error.code, Severity.REFUSED, ATTESTATIONS, printable(error.message))]
    except ArchiveError:  # a damaged body, which the check of the content has reported
        return (), []


def _signers(reader: ArchiveReader, detached: bytes) -> tuple[tuple[str, ...], list[Problem]]:
    try:
        return verified_signers(merge_lines(reader.signatures_bytes, detached), statement_bytes(reader.manifest)), []
    except UnsignedError as error:
        return (), [Problem(error.code, Severity.WARNING, SIGNATURES, "the archive is not signed")]
    except SignatureError as error:
        return (), [Problem(error.code, Severity.REFUSED, SIGNATURES, printable(error.message))]
