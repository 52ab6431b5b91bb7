"""From an archive to an installed expert: what is checked, and in which order.

One open file: framing > manifest > signature > policy > semantics > staging > store > one transaction. Nothing in the
manifest is acted on before the policy holds; a failure leaves the rows as they were.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from expert_kit.archive import ArchiveReader, Problem, Severity, check_adapter, validate_reader
from expert_kit.bases import BaseComparison, BaseMatch, BaseRecord, compare
from expert_kit.errors import (
    ArchiveError,
    BaseMismatchError,
    DigestMismatchError,
    ExpertKitError,
    IncompatibleAdapterError,
    SignatureError,
    UnsignedError,
)
from expert_kit.manifest import BaseEntry, Manifest, statement_bytes
from expert_kit.names import sha256_digest
from expert_kit.registry.blobs import Stage
from expert_kit.registry.records import FileEntry, InstalledExpert
from expert_kit.registry.store import Registry, check_conflict, check_downgrade
from expert_kit.signing import Admission, FirstUse, Policy, TrustStore, verified_signers

Ask = Callable[[FirstUse], bool]

_log = logging.getLogger(__name__)
_LISTED = 10


@dataclass(frozen=True)
class BaseChoice:
    """The base model of the manifest that an install counts on."""

    entry: BaseEntry
    match: str
    """``exact``, ``family`` or ``pending``."""
    record: BaseRecord | None
    """The one that is here; None if pending."""


def install(
    registry: Registry,
    archive: Path,
    bases: Sequence[BaseRecord],
    *,
    allow_missing_base: bool,
    ask: Ask | None,
    unsafe_allow_unsigned: bool,
    allow_downgrade: bool,
) -> InstalledExpert:
    """See ``Registry.install``."""
    trust = TrustStore(registry.trust_home)
    with ArchiveReader.open(archive) as reader:
        manifest = reader.manifest
        versions = registry.versions(manifest.ref)
        known = sorted({signer for version in versions for signer in version.signers})
        admission, origin = _admit(reader, trust, known, ask=ask, unsafe_allow_unsigned=unsafe_allow_unsigned)
        choice = choose_base(manifest, bases, admission.policy, allow_missing=allow_missing_base)
        warnings = _check_content(reader, bases)
        expert = _describe(reader, admission, origin, choice, warnings)
        old = next((version for version in versions if version.ref == expert.ref), None)
        check_conflict(expert, old)
        if old is None:
            check_downgrade(expert.ref, registry.highest_trusted(expert.ref), allow_downgrade=allow_downgrade)
        _store(registry, reader, expert, trust, admission, heal=old is not None, allow_downgrade=allow_downgrade)
    if old is not None:
        registry.discard(old.digests() | expert.digests())  # signature lines that the other ones replaced
    _log.info("installed %s, %s, base %s", expert.ref, expert.trust, expert.base_match)
    return registry.get(expert.ref)


def settle(registry: Registry, expert: InstalledExpert, bases: Sequence[BaseRecord]) -> InstalledExpert:
    """See ``Registry.settle``."""
    manifest = Manifest.parse(registry.read(expert.identity))
    policy = TrustStore(registry.trust_home).policy_for(expert.ref.full_name)
    choice = choose_base(manifest, bases, policy, allow_missing=False)
    weights = _entry(manifest, choice)
    linears = choice.record.linears if choice.record else None
    problems = check_adapter(manifest.adapter_spec(choice.entry), registry.read(weights.sha256), linears, weights.path)
    _raise_refused(str(expert.ref), problems)
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


def choose_base(manifest: Manifest, bases: Sequence[BaseRecord], policy: Policy, *, allow_missing: bool) -> BaseChoice:
    """The best pair of a base model that the expert supports and one that is here.

    Raises:
        BaseMismatchError: ``base_mismatch``, the base of that name here is another one; ``base_not_exact``, only the
            same family and the policy wants more; ``base_missing``, no such base here.
    """
    pairs = [(compare(entry.fingerprint, record.fingerprint), entry, record) for entry, record in product(manifest.bases, bases)]
    for wanted in (BaseMatch.EXACT, BaseMatch.FAMILY):
        for result, entry, record in pairs:
            if result.match is not wanted:
                continue
            if wanted is BaseMatch.FAMILY and policy.base_match == "exact":
                raise _not_exact(manifest, entry, record, result, policy)
            return BaseChoice(entry, result.match.value, record)
    for result, entry, record in pairs:
        if _same_label(entry, record):
            raise _incompatible(manifest, entry, record, result)
    if allow_missing:
        return BaseChoice(manifest.bases[0], "pending", None)
    raise _missing(manifest, bases)


def _admit(
    reader: ArchiveReader, trust: TrustStore, known: Sequence[str], *, ask: Ask | None, unsafe_allow_unsigned: bool
) -> tuple[Admission, str]:
    """Signature and policy; also the value of ``InstalledExpert.trust``."""
    full_name = reader.manifest.ref.full_name
    policy = trust.policy_for(full_name)
    if policy.level == "skip":
        return trust.admit(full_name, ()), "skip"
    try:
        signers = verified_signers(reader.signatures_bytes, statement_bytes(reader.manifest))
    except SignatureError as error:
        if policy.level == "audit":
            _log.warning("%s: audit only, %s", full_name, error.code)
            return Admission(policy, (), warnings=(error.code,)), "audit"
        if not isinstance(error, UnsignedError):
            raise
        if not unsafe_allow_unsigned:
            raise _unsigned(str(reader.manifest.ref)) from error
        _log.warning("%s: installed without a signature", full_name)
        return Admission(policy, (), warnings=(error.code,)), "unsigned"
    admission = trust.admit(full_name, signers, known=known, ask=ask)
    return admission, "audit" if "signature_untrusted_key" in admission.warnings else "signed"


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
    kind: type[ExpertKitError] = IncompatibleAdapterError if code.startswith(("adapter_", "tensor_set", "tensor_shape")) else ArchiveError
    if code == DigestMismatchError.code:
        kind = DigestMismatchError
    listed = "; ".join(f"{item.where}: {item.message}" for item in refused[:_LISTED])
    raise kind(f"{label}: {listed}", hint="ask the publisher for a new archive; `expert-kit validate FILE` lists every problem", code=code)


def _describe(reader: ArchiveReader, admission: Admission, origin: str, choice: BaseChoice, warnings: tuple[str, ...]) -> InstalledExpert:
    manifest = reader.manifest
    return InstalledExpert(
        ref=manifest.ref,
        identity=sha256_digest(reader.manifest_bytes),
        publisher=manifest.publisher,
        summary=manifest.summary,
        license=manifest.license,
        tags=manifest.tags,
        installed_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        trust=origin,
        signers=admission.signers,
        warnings=_codes((*admission.warnings, *warnings), choice),
        base=choice.entry.fingerprint,
        base_match=choice.match,
        adapter=manifest.adapter_spec(choice.entry),
        weights=_entry(manifest, choice),
        files=tuple(FileEntry(entry.path, entry.size, entry.sha256, entry.role) for entry in manifest.files),
        signatures=sha256_digest(reader.signatures_bytes) if reader.signatures_bytes else None,
        current=True,
    )


def _entry(manifest: Manifest, choice: BaseChoice) -> FileEntry:
    entry = manifest.weights_of(choice.entry)
    return FileEntry(entry.path, entry.size, entry.sha256, entry.role)


def _codes(warnings: Sequence[str], choice: BaseChoice) -> tuple[str, ...]:
    of_base = {"family": "base_family", "pending": "base_pending"}
    kept = {code for code in warnings if not code.startswith("base_")}
    return tuple(sorted(kept | ({of_base[choice.match]} if choice.match in of_base else set())))


def _store(
    registry: Registry,
    reader: ArchiveReader,
    expert: InstalledExpert,
    trust: TrustStore,
    admission: Admission,
    *,
    heal: bool,
    allow_downgrade: bool,
) -> None:
    registry.blobs.remove_stale_stages()
    try:
        with registry.blobs.stage() as stage:
            _stage(stage, reader, expert)
            changed = stage.link_all()
            registry.record(
                expert,
                stage,
                healed=heal and bool(changed),
                allow_downgrade=allow_downgrade,
                then=lambda: trust.remember(admission),
            )
    except BaseException:
        registry.discard(expert.digests())
        raise


def _stage(stage: Stage, reader: ArchiveReader, expert: InstalledExpert) -> None:
    with stage.open(expert.identity, len(reader.manifest_bytes)) as sink:
        sink.write(reader.manifest_bytes)
    lines = reader.signatures_bytes
    if lines:
        with stage.open(sha256_digest(lines), len(lines)) as sink:
            sink.write(lines)
    for entry in expert.files:
        with stage.open(entry.sha256, entry.size) as sink:
            reader.stream(entry.path, sink)


def _same_label(entry: BaseEntry, record: BaseRecord) -> bool:
    ours, theirs = entry.fingerprint, record.fingerprint
    return ours.id == theirs.id or bool(ours.hf_repo and ours.hf_repo == theirs.hf_repo)


def _unsigned(label: str) -> UnsignedError:
    return UnsignedError(
        f"{label} has no signature",
        hint="ask the publisher for a signed archive; one that you made yourself: `expert-kit sign FILE --key NAME`;"
        " to install it all the same: --unsafe-allow-unsigned",
    )


def _not_exact(manifest: Manifest, entry: BaseEntry, record: BaseRecord, result: BaseComparison, policy: Policy) -> BaseMismatchError:
    return BaseMismatchError(
        f"{manifest.ref} was made for {_side(entry)}; the base here is {_label(record)} of the same family, different in "
        f'{", ".join(result.differing)}, and trust.toml wants base_match = "exact" for {policy.scope or "every name"}',
        hint=f"get the exact base with `expert-kit base pull {entry.id}`",
        code="base_not_exact",
    )


def _incompatible(manifest: Manifest, entry: BaseEntry, record: BaseRecord, result: BaseComparison) -> BaseMismatchError:
    return BaseMismatchError(
        f"{manifest.ref} was made for {_side(entry)}, but the base here is {_label(record)}: different in {', '.join(result.differing)}",
        hint=f"get the base that it was made for with `expert-kit base pull {entry.id}`, or ask the publisher for a version for yours",
    )


def _missing(manifest: Manifest, bases: Sequence[BaseRecord]) -> BaseMismatchError:
    wanted = " or ".join(_side(entry) for entry in manifest.bases)
    here = ", ".join(_label(record) for record in bases) or "none"
    return BaseMismatchError(
        f"{manifest.ref} was made for {wanted}; base models here: {here}",
        hint=f"expert-kit base pull {manifest.bases[0].id}, or install it before its base with --allow-missing-base",
        code="base_missing",
    )


def _side(entry: BaseEntry) -> str:
    return _names(entry.id, entry.fingerprint.hf_repo)


def _label(record: BaseRecord) -> str:
    return _names(record.fingerprint.id, record.fingerprint.hf_repo)


def _names(label: str, repository: str) -> str:
    return f"{label} ({repository})" if repository else label
