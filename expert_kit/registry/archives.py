"""What an author does with an archive before anyone installs it: sign it, and have everything about it checked.

Apart from the room's ``__init__``, because it imports pydantic and cryptography.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expert_kit.archive import SIGNATURES, ArchiveReader, Problem, Severity, replace_meta, validate_reader
from expert_kit.bases import BaseRecord
from expert_kit.errors import ArchiveError, ManifestError, SignatureError, UnsignedError
from expert_kit.manifest import statement_bytes
from expert_kit.names import Digest, ExpertRef, printable, sha256_digest
from expert_kit.signing import PrivateKey, add_line, sign, verified_signers


@dataclass(frozen=True)
class ArchiveReport:
    """All that can be said about an archive without installing it."""

    ref: ExpertRef | None
    """None if the archive could not be opened; so is ``identity``."""
    identity: Digest | None
    signers: tuple[str, ...]
    """Key ids whose signatures verify; trust is another question."""
    problems: tuple[Problem, ...]

    @property
    def refused(self) -> bool:
        """Whether no installation would take it."""
        return any(problem.severity is Severity.REFUSED for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        problems = [{"code": one.code, "severity": one.severity.value, "where": one.where, "message": one.message} for one in self.problems]
        ref = None if self.ref is None else str(self.ref)
        return {"refused": self.refused, "expert": ref, "identity": self.identity, "signers": list(self.signers), "problems": problems}


def check_archive(archive: Path, bases: Sequence[BaseRecord] = ()) -> ArchiveReport:
    """Every problem of content and signatures; ``bases`` are the base models that are here."""
    try:
        with ArchiveReader.open(archive) as reader:
            problems = validate_reader(reader, bases)
            signers, findings = _signers(reader)
            return ArchiveReport(reader.manifest.ref, sha256_digest(reader.manifest_bytes), signers, (*problems, *findings))
    except (ArchiveError, ManifestError) as error:
        problem = Problem(error.code, Severity.REFUSED, printable(archive.name), printable(error.message))
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
        ArchiveError, ManifestError: not a sound archive. SignatureError: it has a signature that does not verify.
        CapacityError: the file cannot be written.
    """
    with ArchiveReader.open(archive) as reader:
        statement, lines, meta = statement_bytes(reader.manifest), reader.signatures_bytes, reader.meta
        ref, identity = reader.manifest.ref, sha256_digest(reader.manifest_bytes)
    if lines:
        # An archive is refused for one bad line: better now than at every user.
        verified_signers(lines, statement)
    lines = add_line(lines, sign(statement, key))
    replace_meta(archive, out or archive, {**meta, SIGNATURES: lines})
    return ArchiveReport(ref, identity, verified_signers(lines, statement), ())


def _signers(reader: ArchiveReader) -> tuple[tuple[str, ...], list[Problem]]:
    try:
        return verified_signers(reader.signatures_bytes, statement_bytes(reader.manifest)), []
    except UnsignedError as error:
        return (), [Problem(error.code, Severity.WARNING, SIGNATURES, "the archive is not signed")]
    except SignatureError as error:
        return (), [Problem(error.code, Severity.REFUSED, SIGNATURES, printable(error.message))]
