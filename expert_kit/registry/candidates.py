"""One version of an expert that could be installed, or is: what the resolver has to know about it, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from expert_kit.archive import SIGNATURES, ArchiveReader
from expert_kit.bases import BaseFingerprint
from expert_kit.names import Digest, ExpertRef, sha256_digest
from expert_kit.registry.ranges import VersionRange, is_range
from expert_kit.registry.records import Standing, relations_of


@dataclass(frozen=True)
class Candidate:
    """A version from an archive or from the registry. An archive's manifest is sound, but nobody has vouched for it yet."""

    ref: ExpertRef
    """With the version."""
    identity: Digest
    requires: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Ranges by full name, and by :data:`TOOL`."""
    conflicts: Mapping[str, str] = field(default_factory=dict, compare=False)
    bases: tuple[BaseFingerprint, ...] = field(default=(), compare=False)
    """Every base model that it supports; empty if it is installed, since that was settled then."""
    yanked: str | None = field(default=None, compare=False)
    """Why it was withdrawn, see ``InstalledExpert.yanked``."""
    path: Path | None = field(default=None, compare=False)
    """Its archive."""
    signed: bool = field(default=False, compare=False)
    """The archive has signatures; nobody has looked at them."""
    installed: bool = False
    """It is what its name means here."""
    asked: bool = field(default=False, compare=False)
    """The user named this very version or file."""

    @property
    def name(self) -> str:
        """Full name without the version."""
        return self.ref.full_name

    @property
    def version(self) -> str:
        """SemVer."""
        return self.ref.version or ""


def read_candidate(archive: Path) -> Candidate:
    """What the manifest of an archive says. Bodies and signatures are not read.

    Raises:
        ArchiveError, ManifestError: see ``ArchiveReader``. UnknownNameError: ``range_invalid``, in what it requires.
    """
    with ArchiveReader.open(archive) as reader:
        manifest = reader.manifest
        relations = relations_of(manifest.model_dump(mode="json", by_alias=True, exclude_none=True))
        signed = any(entry.name == SIGNATURES for entry in reader.entries)
        identity = sha256_digest(reader.manifest_bytes)
    for text in (*relations["requires"].values(), *relations["conflicts"].values()):
        VersionRange.parse(text)
    return Candidate(
        manifest.ref,
        identity,
        relations["requires"],
        relations["conflicts"],
        tuple(base.fingerprint for base in manifest.bases),
        path=archive,
        signed=signed,
    )


def installed_candidate(expert: Standing) -> Candidate:
    """What is installed, as a candidate to keep. A range that cannot be read binds nobody: ``doctor`` tells of it."""
    return Candidate(
        expert.ref, expert.identity, _readable(expert.requires), _readable(expert.conflicts), yanked=expert.yanked, installed=True
    )


def _readable(ranges: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in ranges.items() if is_range(text)}
