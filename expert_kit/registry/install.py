"""From an archive to an installed expert: what is checked, and in which order.

One open file: framing > manifest > signature > policy > semantics > staging > store > one transaction. Nothing in the
manifest is acted on before the policy holds; a failure leaves the rows as they were.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from expert_kit.archive import ArchiveReader, Problem, Severity, check_adapter, validate_reader
from expert_kit.bases import BaseRecord
from expert_kit.errors import (
    ArchiveError,
    DigestMismatchError,
    ExpertKitError,
    IncompatibleAdapterError,
)
from expert_kit.manifest import Manifest
from expert_kit.names import sha256_digest
from expert_kit.registry.admission import Admitted, admit
from expert_kit.registry.base_choice import BaseChoice, choose_base
from expert_kit.registry.blobs import Stage
from expert_kit.registry.confusable import mistakable
from expert_kit.registry.probes import ProbeRunner, check_has_probe, probe_on
from expert_kit.registry.records import FileEntry, InstalledExpert, relations_of
from expert_kit.registry.refusals import check_conflict, check_downgrade
from expert_kit.registry.rows import now
from expert_kit.registry.store import Registry
from expert_kit.signing import FirstUse, Policy, TrustStore

Ask = Callable[[FirstUse], bool]

_log = logging.getLogger(__name__)
_LISTED = 10


@dataclass(frozen=True)
class Judged:
    """An archive that may be installed, while its reader is open."""

    reader: ArchiveReader
    expert: InstalledExpert
    admitted: Admitted
    old: InstalledExpert | None
    """The row of that version, if there is one."""


def install(
    registry: Registry,
    archive: Path,
    bases: Sequence[BaseRecord],
    *,
    allow_missing_base: bool,
    ask: Ask | None,
    unsafe_allow_unsigned: bool,
    allow_downgrade: bool,
    probe: ProbeRunner | None = None,
    detached: bytes = b"",
) -> InstalledExpert:
    """See ``Registry.install``."""
    with ArchiveReader.open(archive) as reader:
        judged = judge(
            registry,
            reader,
            bases,
            allow_missing_base=allow_missing_base,
            ask=ask,
            unsafe_allow_unsigned=unsafe_allow_unsigned,
            allow_downgrade=allow_downgrade,
            probe=probe,
            detached=detached,
        )
        store_all(registry, [judged], allow_downgrade=allow_downgrade)
    return registry.get(judged.expert.ref)


def judge(
    registry: Registry,
    reader: ArchiveReader,
    bases: Sequence[BaseRecord],
    *,
    allow_missing_base: bool,
    ask: Ask | None,
    unsafe_allow_unsigned: bool,
    allow_downgrade: bool,
    probe: ProbeRunner | None = None,
    detached: bytes = b"",
) -> Judged:
    """Every check of an install, and nothing written; arguments and errors as for ``Registry.install``."""
    trust = TrustStore(registry.trust_home)
    manifest = reader.manifest
    versions = registry.versions(manifest.ref)
    known = sorted({signer for version in versions for signer in version.signers})
    admitted = admit(reader, trust, known, ask=ask, unsafe_allow_unsigned=unsafe_allow_unsigned, detached=detached)
    choice = choose_base(manifest, bases, admitted.admission.policy, allow_missing=allow_missing_base)
    warnings = _check_content(reader, bases) + (() if versions else _check_name(registry, manifest))
    expert = _describe(reader, admitted, choice, warnings)
    old = next((version for version in versions if version.ref == expert.ref), None)
    check_conflict(expert, old)
    if old is None:
        check_downgrade(expert.ref, registry.highest_trusted(expert.ref), allow_downgrade=allow_downgrade)
    _probe(manifest, choice, reader.read, probe, admitted.admission.policy)
    return Judged(reader, expert, admitted, old)


def check_fit(
    reader: ArchiveReader, bases: Sequence[BaseRecord], policy: Policy, *, allow_missing_base: bool, probe: ProbeRunner | None = None
) -> None:
    """Those of these checks that look at what is in the archive, with the base models here; who signed it is not asked.

    Raises:
        ArchiveError, ManifestError, IncompatibleAdapterError, BaseMismatchError: as for ``Registry.install``.
    """
    choice = choose_base(reader.manifest, bases, policy, allow_missing=allow_missing_base)
    _check_content(reader, bases)
    _probe(reader.manifest, choice, reader.read, probe, policy)


def store_all(registry: Registry, items: Sequence[Judged], *, allow_downgrade: bool, planned: bool = False) -> None:
    """Install what was judged, in this order and in one transaction: all of it, or nothing. See ``Registry.record_all``."""
    trust = TrustStore(registry.trust_home)

    def remember() -> None:
        for item in items:
            trust.remember(item.admitted.admission, item.expert.ref.full_name, item.expert.identity)

    registry.blobs.clear_stages()
    try:
        with registry.blobs.stage() as stage:
            for item in items:
                _stage(stage, item.reader, item.expert, item.admitted.lines)
            changed = stage.link_all()
            records = [(item.expert, item.old is not None and bool(changed & item.expert.digests())) for item in items]
            registry.record_all(records, stage, allow_downgrade=allow_downgrade, planned=planned, then=remember)
    except BaseException:
        registry.discard(digest for item in items for digest in item.expert.digests())
        raise
    for item in items:
        if item.old is not None:
            registry.discard(item.old.digests() | item.expert.digests())  # signature lines that the other ones replaced
        _log.info("installed %s, %s, base %s", item.expert.ref, item.expert.trust, item.expert.base_match)


def settle(registry: Registry, expert: InstalledExpert, bases: Sequence[BaseRecord], probe: ProbeRunner | None = None) -> InstalledExpert:
    """See ``Registry.settle``."""
    manifest = Manifest.parse(registry.read(expert.identity))
    policy = TrustStore(registry.trust_home).policy_for(expert.ref.full_name)
    choice = choose_base(manifest, bases, policy, allow_missing=False)
    weights = _entry(manifest, choice)
    problems = check_adapter(manifest.adapter_spec(choice.entry), registry.read(weights.sha256), choice.record, weights.path)
    _raise_refused(str(expert.ref), problems)
    _probe(manifest, choice, lambda path: registry.read(manifest.file(path).sha256), probe, policy)
    registry.record(
        replace(
            expert,
            base=choice.entry.fingerprint,
            base_match=choice.match,
            adapter=manifest.adapter_spec(choice.entry),
            weights=weights,
            warnings=_codes(expert.warnings, choice),
        ),
        healed=True,  # two processes may settle at once
    )
    return registry.get(expert.ref)


def _check_content(reader: ArchiveReader, bases: Sequence[BaseRecord]) -> tuple[str, ...]:
    """Refuse bad content; the codes of what is merely odd. The base models are for :func:`choose_base` to judge."""
    problems = validate_reader(reader, bases)
    _raise_refused(str(reader.manifest.ref), problems)
    odd = {item.code for item in problems if item.severity is Severity.WARNING and not item.code.startswith("base_")}
    return tuple(sorted(odd))


def _raise_refused(label: str, problems: Sequence[Problem]) -> None:
    refused = [item for item in problems if item.severity is Severity.REFUSED]
    if not refused:
        return
    code = refused[0].code
    kind: type[ExpertKitError] = (
        IncompatibleAdapterError if code.startswith(("adapter_", "probe_", "tensor_set", "tensor_shape")) else ArchiveError
    )
    if code == DigestMismatchError.code:
        kind = DigestMismatchError
    listed = "; ".join(f"{item.where}: {item.message}" for item in refused[:_LISTED])
    raise kind(f"{label}: {listed}", hint="ask the publisher for a new archive; `expert-kit validate FILE` lists every problem", code=code)


def _describe(reader: ArchiveReader, admitted: Admitted, choice: BaseChoice, warnings: tuple[str, ...]) -> InstalledExpert:
    manifest, admission = reader.manifest, admitted.admission
    return InstalledExpert(
        ref=manifest.ref,
        identity=sha256_digest(reader.manifest_bytes),
        publisher=manifest.publisher,
        summary=manifest.summary,
        license=manifest.license,
        tags=manifest.tags,
        installed_at=now(),
        trust=admission.origin,
        signers=admission.signers,
        warnings=_codes((*admission.warnings, *warnings), choice),
        base=choice.entry.fingerprint,
        base_match=choice.match,
        adapter=manifest.adapter_spec(choice.entry),
        weights=_entry(manifest, choice),
        files=(*admitted.entries, *(FileEntry(entry.path, entry.size, entry.sha256, entry.role) for entry in manifest.files)),
        signatures=sha256_digest(admitted.lines) if admitted.lines else None,
        current=True,
        **relations_of(manifest.model_dump(mode="json", by_alias=True, exclude_none=True)),
    )


def _entry(manifest: Manifest, choice: BaseChoice) -> FileEntry:
    entry = manifest.weights_of(choice.entry)
    return FileEntry(entry.path, entry.size, entry.sha256, entry.role)


def _check_name(registry: Registry, manifest: Manifest) -> tuple[str, ...]:
    """Warn of a new name that looks like one of another publisher."""
    other = mistakable(manifest.ref, registry.names())
    if other is None:
        return ()
    _log.warning("%s is not %s, which is installed: look twice whose it is", manifest.ref.full_name, other)
    return ("name_confusable",)


def _probe(manifest: Manifest, choice: BaseChoice, read: Callable[[str], bytes], runner: ProbeRunner | None, policy: Policy) -> None:
    if choice.record is not None:
        check_has_probe(manifest, choice.entry, policy)
        probe_on(manifest, choice.entry, choice.record, read, runner)


def _codes(warnings: Sequence[str], choice: BaseChoice) -> tuple[str, ...]:
    of_base = {"family": "base_family", "pending": "base_pending"}
    kept = {code for code in warnings if not code.startswith("base_")}
    if choice.record is not None and choice.entry.probe is None:
        kept.add("probe_missing")
    return tuple(sorted(kept | ({of_base[choice.match]} if choice.match in of_base else set())))


def _stage(stage: Stage, reader: ArchiveReader, expert: InstalledExpert, lines: bytes) -> None:
    with stage.open(expert.identity, len(reader.manifest_bytes)) as sink:
        sink.write(reader.manifest_bytes)
    if lines:
        with stage.open(sha256_digest(lines), len(lines)) as sink:
            sink.write(lines)
    for entry in expert.files:
        with stage.open(entry.sha256, entry.size) as sink:
            reader.stream(entry.path, sink)
