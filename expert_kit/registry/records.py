"""What the registry hands out: plain frozen data, made from its rows without opening any file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from expert_kit.bases import AdapterSpec, BaseFingerprint
from expert_kit.names import Digest, ExpertRef


@dataclass(frozen=True)
class FileEntry:
    """One file of an installed expert; its bytes are ``Registry.read(entry.sha256)``."""

    path: str
    size: int
    """Bytes."""
    sha256: Digest
    role: str


@dataclass(frozen=True)
class RoutingExample:
    """A prompt that this expert should answer, as its publisher says."""

    text: str
    split: str
    """``fit`` or ``validate``."""


@dataclass(frozen=True)
class InstalledExpert:
    """One installed version of an expert."""

    ref: ExpertRef
    """With the version."""
    identity: Digest
    """Digest of ``expert.json``, which is installed under it."""
    publisher: str
    summary: str
    license: str
    tags: tuple[str, ...]
    installed_at: str
    """UTC, ``2026-01-31T12:00:00Z``."""
    trust: str
    """Why it was let in: ``signed``, ``unsigned`` (the unsafe option), ``audit`` or ``skip`` (the policy's level)."""
    signers: tuple[str, ...]
    """Key ids that were trusted for the name; empty unless ``trust`` is ``signed`` or ``audit``."""
    warnings: tuple[str, ...]
    """Codes of what was let through at install, such as ``base_family``."""
    base: BaseFingerprint
    """The base model that the publisher used."""
    base_match: str
    """``exact``, ``family``, or ``pending``: no such base here at install, see ``Registry.settle``."""
    adapter: AdapterSpec
    weights: FileEntry
    files: tuple[FileEntry, ...]
    """Every member but ``expert.json`` and the signatures, sorted by path."""
    signatures: Digest | None
    """Digest of the signature lines, if the archive had any."""
    current: bool
    """What the name without a version means."""

    def to_row(self) -> dict[str, Any]:
        """Columns of the ``expert`` table."""
        row = {name: getattr(self, name) for name in _PLAIN}
        row |= {name: json.dumps(getattr(self, name)) for name in _LISTS}
        row |= {"namespace": self.ref.namespace, "name": self.ref.name, "version": self.ref.version}
        return row | {"base": json.dumps(asdict(self.base)), "adapter": json.dumps(asdict(self.adapter)), "weights": self.weights.path}

    @classmethod
    def from_rows(cls, row: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> Self:
        """The reverse of :meth:`to_row`; ``files`` are the rows of the ``file`` table."""
        entries = tuple(FileEntry(file["path"], file["size"], file["sha256"], file["role"]) for file in files)
        adapter = json.loads(row["adapter"])
        plain: dict[str, Any] = {name: row[name] for name in _PLAIN}
        lists: dict[str, Any] = {name: tuple(json.loads(row[name])) for name in _LISTS}
        return cls(
            **plain,
            **lists,
            ref=ExpertRef(row["namespace"], row["name"], row["version"]),
            base=BaseFingerprint(**json.loads(row["base"])),
            adapter=AdapterSpec(**{**adapter, "target_modules": tuple(adapter["target_modules"])}),
            weights=next(entry for entry in entries if entry.path == row["weights"]),
            files=entries,
            current=bool(row["current"]),
        )

    def after(self, old: Self) -> Self:
        """This record for content that is installed as ``old``: what was known stays known.

        So an archive without signatures, or an install without the base model, takes nothing away.
        """
        new = self
        if old.trust == "signed" and new.trust != "signed":
            new = replace(new, trust=old.trust, signers=old.signers, signatures=old.signatures, warnings=old.warnings)
        if old.base_match != "pending" and new.base_match == "pending":
            new = replace(new, base=old.base, base_match=old.base_match, adapter=old.adapter, weights=old.weights, warnings=old.warnings)
        return new

    def digests(self) -> frozenset[Digest]:
        """Every blob that this expert needs."""
        own = {self.identity, *(entry.sha256 for entry in self.files)}
        return frozenset(own | {self.signatures} if self.signatures else own)


_PLAIN = ("identity", "publisher", "summary", "license", "installed_at", "trust", "base_match", "signatures")
_LISTS = ("tags", "signers", "warnings")
