"""Whether an expert acts on the base model here as on its publisher's: asked once per expert, base and runtime.

The forward passes need torch, which this room does not know: a caller hands in a :data:`ProbeRunner`. What was found is
kept as one small file under the cache folder, so that the next install or load need not ask again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expert_kit import __version__
from expert_kit.archive import MeasuredPrompt, Probe, ProbeResult, classify_probe, parse_probe
from expert_kit.bases import AdapterSpec, BaseMatch, BaseRecord, compare
from expert_kit.errors import BaseMismatchError, IncompatibleAdapterError
from expert_kit.manifest import BaseEntry, Manifest
from expert_kit.names import Digest
from expert_kit.registry.paths import cache_dir
from expert_kit.registry.records import FileEntry, InstalledExpert
from expert_kit.whole_file import replace_whole

if TYPE_CHECKING:
    from expert_kit.registry.store import Registry
    from expert_kit.signing import Policy

_SCHEMA = "probe-result/1"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProbeJob:
    """What a runner measures: this adapter on this base model, at the prompts of the probe."""

    label: str
    """For people: name and version of the expert."""
    probe: Probe
    record: BaseRecord
    spec: AdapterSpec
    weights: bytes


ProbeRunner = Callable[[ProbeJob], Sequence[MeasuredPrompt]]
"""Runs the forward passes in float32 on the CPU. Raises ``BaseModelError`` if the base's files are not here."""


def probe_on(manifest: Manifest, entry: BaseEntry, record: BaseRecord, read: Callable[[str], bytes], runner: ProbeRunner | None) -> None:
    """Refuse an expert that does not act here as it should; silent where it does, or where nobody can tell now.

    Args:
        manifest: of the expert; its members were checked against their digests.
        entry: the base of the manifest that ``record`` stands for. Without a probe there is nothing to ask.
        record: the base model that is here.
        read: bytes of a member.
        runner: None if this process must not load torch; the engine asks again before the first load.

    Raises:
        IncompatibleAdapterError: ``probe_no_effect``. BaseMismatchError: ``probe_mismatch``. BaseModelError: of the runner.
    """
    if entry.probe is None:
        return
    key = _key(manifest.identity, record)
    result = _recall(key)
    if result is None and runner is not None:
        probe = parse_probe(read(entry.probe), entry.vocab_size)
        weights = read(manifest.weights_of(entry).path)
        measured = runner(ProbeJob(str(manifest.ref), probe, record, manifest.adapter_spec(entry), weights))
        result = classify_probe(probe, measured, compare(entry.fingerprint, record.fingerprint).match)
        _remember(key, result)
        _log.info("%s on %s: %s, %s", manifest.ref, record.fingerprint.id, result.match, result.describe())
    if result is not None and result.match is BaseMatch.INCOMPATIBLE:
        raise _refusal(manifest, entry, record, result)


def check_has_probe(manifest: Manifest, entry: BaseEntry, policy: Policy) -> None:
    """Refuse an expert without a probe for this base model where a strict policy has ``probe`` in ``require``.

    Raises:
        IncompatibleAdapterError: ``probe_missing``.
    """
    if entry.probe is None and policy.wants_probe and policy.level == "strict":
        raise IncompatibleAdapterError(
            f"{manifest.ref} brings no probe for {entry.id}, and trust.toml requires one for {policy.scope or 'every name'}",
            hint="ask the publisher for an archive with a probe: `expert-kit package` makes one where the base model is",
            code="probe_missing",
        )


def probe_installed(registry: Registry, expert: InstalledExpert, record: BaseRecord, runner: ProbeRunner) -> None:
    """The same for an expert that is installed, before it is loaded on a base model of its manifest.

    Raises:
        see :func:`probe_on`; BlobDigestError.
    """
    manifest = Manifest.parse(registry.read(expert.identity))
    entry = _entry_for(manifest, record)
    if entry is not None:
        probe_on(manifest, entry, record, lambda path: registry.read(manifest.file(path).sha256), runner)


def choose_variant(registry: Registry, expert: InstalledExpert, record: BaseRecord) -> InstalledExpert:
    """The expert as it is on another base model of its manifest than the one that it was installed for.

    Nothing is written. An expert that is not for this base model is returned as it is.

    Raises:
        BlobDigestError: its manifest is damaged.
    """
    if compare(expert.base, record.fingerprint).match is not BaseMatch.INCOMPATIBLE:
        return expert
    manifest = Manifest.parse(registry.read(expert.identity))
    entry = _entry_for(manifest, record)
    if entry is None:
        return expert
    spec, weights = manifest.adapter_spec(entry), manifest.weights_of(entry)
    match = compare(entry.fingerprint, record.fingerprint).match.value
    stored = FileEntry(weights.path, weights.size, weights.sha256, weights.role)
    return replace(expert, base=entry.fingerprint, base_match=match, adapter=spec, weights=stored)


def _entry_for(manifest: Manifest, record: BaseRecord) -> BaseEntry | None:
    for wanted in (BaseMatch.EXACT, BaseMatch.FAMILY):
        for entry in manifest.bases:
            if compare(entry.fingerprint, record.fingerprint).match is wanted:
                return entry
    return None


def is_probed(identity: Digest, record: BaseRecord) -> bool:
    """Whether this expert passed on this base model already, by this runtime."""
    result = _recall(_key(identity, record))
    return result is not None and result.match is not BaseMatch.INCOMPATIBLE


def remember_made(manifest: Manifest, records: Sequence[BaseRecord], probes: Mapping[str, Probe]) -> None:
    """Spare this machine the measurement that packing has just made; ``probes`` are by the id of the base model."""
    for record in records:
        probe = probes[record.fingerprint.id]
        same = [MeasuredPrompt(min(prompt.top_tokens), prompt.logits) for prompt in probe.prompts]
        _remember(_key(manifest.identity, record), classify_probe(probe, same, BaseMatch.EXACT))


@cache
def runtime_version() -> str:
    """The libraries whose arithmetic the result depends on."""
    return " ".join(f"{name}-{_installed(name)}" for name in ("torch", "transformers")) + f" expert-kit-{__version__}"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _key(identity: Digest, record: BaseRecord) -> dict[str, str]:
    base = record.fingerprint
    return {
        "schema": _SCHEMA,
        "identity": identity,
        "weights_root_sha256": base.weights_root_sha256,
        # The same weights under another configuration are another function.
        "config_sha256": base.config_sha256,
        "runtime": runtime_version(),
    }


def _path(key: Mapping[str, str]) -> Path:
    return cache_dir() / "probes" / (sha256(json.dumps(key, sort_keys=True).encode()).hexdigest() + ".json")


def _recall(key: Mapping[str, str]) -> ProbeResult | None:
    try:
        value = json.loads(_path(key).read_bytes())
        fields = value["result"]
        if value["key"] != key:
            return None
        return ProbeResult(**{**fields, "match": BaseMatch(fields["match"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(key: Mapping[str, str], result: ProbeResult) -> None:
    value: dict[str, Any] = {"key": dict(key), "result": {**asdict(result), "match": result.match.value}}
    try:
        path = _path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path, (json.dumps(value, indent=1) + "\n").encode(), durable=False)
    except OSError as error:
        # Only a cache: without it the next install or load asks again.
        _log.warning("cannot keep the result of a probe: %s", error.strerror)


def _refusal(manifest: Manifest, entry: BaseEntry, record: BaseRecord, result: ProbeResult) -> IncompatibleAdapterError:
    here, made_for = record.fingerprint.id, entry.id
    if result.no_effect:
        return IncompatibleAdapterError(
            f"{manifest.ref} does not act on {here} as it should: {result.describe()}",
            hint="ask the publisher for a new archive",
            code="probe_no_effect",
        )
    if compare(entry.fingerprint, record.fingerprint).match is BaseMatch.EXACT:
        hint = f"ask the publisher for a new archive; to check the base model here: expert-kit base info {here} --verify"
    else:
        hint = f"it was made for another copy of this base model, get that one with: expert-kit base pull {made_for} --force"
    message = f"{manifest.ref} was not made for the base model {here}: {result.describe()}"
    return BaseMismatchError(message, hint=hint, code="probe_mismatch")
