"""What the registry hands out: plain frozen data, made from its rows without opening any file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from expert_kit.bases import AdapterSpec, BaseFingerprint
from expert_kit.errors import RegistryError
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
    requires: dict[str, str] = field(default_factory=dict, hash=False)
    """Version ranges of what it needs: ``expert-kit`` for the tool itself, full names for other experts."""
    conflicts: dict[str, str] = field(default_factory=dict, hash=False)
    """Version ranges of the experts, by full name, that it must not be installed beside."""
    capabilities: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    """Ids of all base models that the manifest supports; ``base`` is the one that was chosen."""
    yanked: str | None = None
    """Why this version was withdrawn; None if it was not. It loads with a warning, and nothing picks it by itself."""

    def to_row(self) -> dict[str, Any]:
        """Columns of the ``expert`` table."""
        row = {name: getattr(self, name) for name in _PLAIN}
        row |= {name: json.dumps(getattr(self, name)) for name in _LISTS}
        row |= {"namespace": self.ref.namespace, "name": self.ref.name, "version": self.ref.version}
        row |= {"relations": json.dumps({name: getattr(self, name) for name in RELATIONS})}
        return row | {"base": json.dumps(asdict(self.base)), "adapter": json.dumps(asdict(self.adapter)), "weights": self.weights.path}

    @classmethod
    def from_rows(cls, row: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> Self:
        """The reverse of :meth:`to_row`; ``files`` are the rows of the ``file`` table."""
        entries = tuple(FileEntry(file["path"], file["size"], file["sha256"], file["role"]) for file in files)
        stored = json.loads(row["adapter"])
        adapter: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
        plain: dict[str, Any] = {name: row[name] for name in _PLAIN}
        lists: dict[str, Any] = {name: tuple(json.loads(row[name])) for name in _LISTS}
        relations = json.loads(row["relations"] or "{}")
        return cls(
            **plain,
            **lists,
            requires=relations.get("requires", {}),
            conflicts=relations.get("conflicts", {}),
            capabilities=tuple(relations.get("capabilities", ())),
            bases=tuple(relations.get("bases", ())),
            yanked=row["yanked"],
            ref=ExpertRef(row["namespace"], row["name"], row["version"]),
            base=BaseFingerprint(**json.loads(row["base"])),
            adapter=AdapterSpec(**adapter),
            weights=_weights(row, entries),
            files=entries,
            current=bool(row["current"]),
        )

    def after(self, old: Self) -> Self:
        """This record for content that is installed as ``old``: what was known stays known.

        So an archive without signatures or attestations, or an install without the base model, takes nothing away.
        """
        kept = {entry.path: entry for entry in old.files if entry.role == "attestation"}
        merged = {**kept, **{entry.path: entry for entry in self.files}}
        new = replace(self, files=tuple(merged[path] for path in sorted(merged)))
        if old.trust == "signed" and new.trust != "signed":
            new = replace(new, trust=old.trust, signers=old.signers, signatures=old.signatures, warnings=old.warnings)
        if old.base_match != "pending" and new.base_match == "pending":
            new = replace(new, base=old.base, base_match=old.base_match, adapter=old.adapter, weights=old.weights, warnings=old.warnings)
        return new

    def digests(self) -> frozenset[Digest]:
        """Every blob that this expert needs."""
        own = {self.identity, *(entry.sha256 for entry in self.files)}
        return frozenset(own | {self.signatures} if self.signatures else own)


@dataclass(frozen=True)
class Standing:
    """An installed version as others depend on it: a small part of :class:`InstalledExpert`, for all experts at once."""

    ref: ExpertRef
    """With the version."""
    identity: Digest
    current: bool
    requires: Mapping[str, str] = field(default_factory=dict, hash=False)
    conflicts: Mapping[str, str] = field(default_factory=dict, hash=False)
    yanked: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """From the columns of ``expert``, ``current`` and ``yank`` that are named like the fields."""
        relations = json.loads(row["relations"] or "{}")
        ref = ExpertRef(row["namespace"], row["name"], row["version"])
        known = relations.get("requires", {}), relations.get("conflicts", {})
        return cls(ref, row["identity"], bool(row["current"]), *known, yanked=row["yanked"])


def _weights(row: Mapping[str, Any], entries: Sequence[FileEntry]) -> FileEntry:
    for entry in entries:
        if entry.path == row["weights"]:
            return entry
    label = f"{row['namespace']}/{row['name']}@{row['version']}"
    raise RegistryError(f"the rows of {label} do not name its weights", hint="expert-kit doctor --repair", code="registry_rows")


def relations_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in :data:`RELATIONS`, from a checked manifest as JSON has it."""
    requires = manifest.get("requires", {})
    tool = {name: value for name, value in requires.items() if name != "experts"}
    return {
        "requires": {**tool, **requires.get("experts", {})},
        "conflicts": manifest.get("conflicts", {}),
        "capabilities": tuple(manifest.get("capabilities", ())),
        "bases": tuple(base["id"] for base in manifest["bases"]),
    }


TOOL = "expert-kit"
"""What a manifest calls expert-kit itself in ``requires``; it has no slash, so it is no expert's name."""

RELATIONS = ("requires", "conflicts", "capabilities", "bases")
"""What the column ``relations`` holds as JSON; it is NULL where the manifest was damaged when the column was added."""

_PLAIN = ("identity", "publisher", "summary", "license", "installed_at", "trust", "base_match", "signatures")
_LISTS = ("tags", "signers", "warnings")
