"""Adapter folders and source in, ``.expert`` file out. Needs no torch; the same input gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from expert_kit.archive.adapter_check import targets_digest
from expert_kit.archive.conversion import BFLOAT16, logit_changes
from expert_kit.archive.examples import parse_examples
from expert_kit.archive.grammar import lark_problems
from expert_kit.archive.members import check_member
from expert_kit.archive.packed import PackedAdapter, fit_problems, read_adapter, read_member, shared_adapter
from expert_kit.archive.probe import MeasuredPrompt, Probe
from expert_kit.archive.problems import Problem, Severity
from expert_kit.archive.source import ManifestSource, load_source
from expert_kit.archive.writer import write_archive
from expert_kit.bases import IA3, LORA, PREFIX_TUNING, PROMPT_TUNING, AdapterSpec, BaseRecord
from expert_kit.errors import ArchiveError, BaseModelError, IncompatibleAdapterError, ManifestError, UsageError
from expert_kit.manifest import (
    ROLES,
    WEIGHTS_NAME,
    BaseEntry,
    EvalResult,
    FileEntry,
    Grammar,
    Lineage,
    Manifest,
    Requires,
    Routing,
    Variant,
    describe_problems,
    role_of,
)
from expert_kit.names import ExpertRef, printable, sha256_digest

EXAMPLES_NAME = "routing/examples.jsonl"
GRAMMAR_NAME = "grammar/answer.lark"
CARD_NAME = "README.md"
SUFFIX = ".expert"
_LEGAL = ("LICENSE", "NOTICE")


class ProbeMaker(Protocol):
    """Runs the base models for packing; ``inference`` has one."""

    def make(self, record: BaseRecord, spec: AdapterSpec, weights: bytes, texts: Sequence[str]) -> Probe:
        """The probe of an adapter, at prompts from these texts."""

    def measure(self, probe: Probe, record: BaseRecord, spec: AdapterSpec, weights: bytes) -> Sequence[MeasuredPrompt]:
        """Another adapter at the prompts and tokens of a probe."""


def package(
    source_path: Path,
    out: Path,
    bases: Sequence[BaseRecord],
    *,
    probes: ProbeMaker | None = None,
    dtype: str | None = None,
    results: Sequence[EvalResult] = (),
) -> Path:
    """Pack an expert; returns the path of the archive. ``LICENSE`` and ``NOTICE`` beside the source go in too.

    Args:
        source_path: an ``expert.yaml``, or its folder.
        out: the file to write, or an existing folder for a file named ``<ns>.<name>-<version>.expert``.
        bases: the base models known here; the ones that the source names must be among them.
        probes: makes a probe for each base; without it the archive has none, and installers cannot check what the
            adapter does.
        dtype: ``BF16`` rounds float32 weights; what that did to the probe's logits goes into the manifest.
        results: to add to those of the source.

    Raises:
        ManifestError: the source has problems.
        BaseModelError: a base model of the source is not known here.
        UnsupportedMemberError: the adapter is of a kind that is not supported.
        IncompatibleAdapterError: the adapter does not fit a base model, or has no effect; the message lists all problems.
        ArchiveError: a member is refused.
        UsageError: ``conversion_unmeasured``, a ``dtype`` without ``probes``; ``conversion_source``; ``dtype_unknown``.
        CapacityError: the file cannot be written.
    """
    return pack(load_source(source_path), out, bases, probes=probes, dtype=dtype, results=results)


def pack(
    source: ManifestSource,
    out: Path,
    bases: Sequence[BaseRecord],
    *,
    probes: ProbeMaker | None = None,
    dtype: str | None = None,
    results: Sequence[EvalResult] = (),
) -> Path:
    """The same for a source that is loaded already."""
    _check_dtype(dtype, probes)
    records = _records(source, bases)
    adapters = {record.fingerprint.id: read_adapter(source, record.fingerprint.id, dtype) for record in records}
    members, shared = _members(source), shared_adapter(adapters)
    for adapter in adapters.values():
        members |= adapter.members
    _check_members(members, [problem for record in records for problem in fit_problems(adapters[record.fingerprint.id], record)])
    if probes is not None:
        made, changes = _probe_all(probes, records, adapters, members)
        members |= made
        results = (*results, *changes)
        _raise_problems([problem for path, body in made.items() for problem in check_member(path, "probe", body)])
    source = replace(source, eval=(*source.eval, *results))
    manifest = build_manifest(source, shared.spec, members, records, adapters)
    stem = ExpertRef.parse(f"{source.name}@{source.version}").file_stem
    return write_archive(out / f"{stem}{SUFFIX}" if out.is_dir() else out, manifest, members)


def check_without_adapter(source: ManifestSource, bases: Sequence[BaseRecord]) -> None:
    """Everything that :func:`pack` would refuse about a source whose adapter is not trained yet.

    Raises:
        see :func:`package`.
    """
    _records(source, bases)
    _check_members(_members(source), [])


def _check_members(members: Mapping[str, bytes], problems: Sequence[Problem]) -> None:
    _raise_problems([*problems, *(found for path in sorted(members) for found in check_member(path, role_of(path) or "", members[path]))])
    if GRAMMAR_NAME in members:
        _raise_problems(lark_problems(members[GRAMMAR_NAME], GRAMMAR_NAME))


def build_manifest(
    source: ManifestSource,
    spec: AdapterSpec,
    members: Mapping[str, bytes],
    records: Sequence[BaseRecord],
    adapters: Mapping[str, PackedAdapter] | None = None,
) -> Manifest:
    """The manifest of these members; ``adapters`` by the id of the base, where there is more than ``spec``.

    Raises:
        ManifestError: ``manifest_invalid``, the message lists all problems.
    """
    examples = EXAMPLES_NAME if EXAMPLES_NAME in members else None
    parameters = dict(source.routing_parameters) or None
    try:
        manifest = Manifest(
            schema="expert/1",
            name=source.name,
            version=source.version,
            publisher=source.publisher,
            license=source.license,
            summary=source.summary,
            tags=source.tags,
            files=tuple(_file_entry(path, members[path]) for path in sorted(members)),
            bases=tuple(_base_entry(at, record, members, (adapters or {}).get(record.fingerprint.id)) for at, record in enumerate(records)),
            adapter=_block(spec),
            routing=Routing(examples=examples, parameters=parameters) if examples or parameters else None,
            grammar=Grammar(path=GRAMMAR_NAME, kind="lark") if GRAMMAR_NAME in members else None,
            card=CARD_NAME if CARD_NAME in members else None,
            requires=Requires.model_validate(source.requires) if source.requires else None,
            conflicts=dict(source.conflicts) or None,
            capabilities=source.capabilities or None,
            eval=source.eval or None,
            lineage=Lineage.model_validate_json(json.dumps(source.lineage)) if source.lineage else None,
        )
    except ValidationError as error:
        raise ManifestError("; ".join(map(printable, describe_problems(error))), hint="correct what is listed and pack again") from error
    return Manifest.parse(manifest.to_bytes())


def _check_dtype(dtype: str | None, probes: ProbeMaker | None) -> None:
    if dtype is None:
        return
    if dtype != BFLOAT16:
        raise UsageError(f"unknown dtype {dtype!r}", hint="weights are converted to bf16 only", code="dtype_unknown")
    if probes is None:
        raise UsageError(
            "converting weights without a probe would hide what it changes", hint="leave out --no-probe", code="conversion_unmeasured"
        )


def _base_entry(at: int, record: BaseRecord, members: Mapping[str, bytes], adapter: PackedAdapter | None) -> BaseEntry:
    entry, probe, variant = BaseEntry.of(record.fingerprint), _probe_path(at), None
    if adapter is not None and adapter.folder:
        variant = Variant(
            weights=adapter.folder + WEIGHTS_NAME,
            rank=adapter.spec.r or None,
            alpha=adapter.spec.lora_alpha or None,
            targets_sha256=targets_digest(adapter.spec, record.linears),
        )
    return entry.model_copy(update={"probe": probe if probe in members else None, "variant": variant})


def _probe_path(at: int) -> str:
    return f"probe/{at}.json"


def _probe_all(
    probes: ProbeMaker, records: Sequence[BaseRecord], adapters: Mapping[str, PackedAdapter], members: Mapping[str, bytes]
) -> tuple[dict[str, bytes], list[EvalResult]]:
    """A probe for each base, and what a conversion did to its logits."""
    texts = [example.text for example in parse_examples(members.get(EXAMPLES_NAME, b"")) if example.split == "fit"]
    made: dict[str, bytes] = {}
    changes: list[EvalResult] = []
    for at, record in enumerate(records):
        adapter = adapters[record.fingerprint.id]
        probe = probes.make(record, adapter.spec, adapter.weights, texts)
        made[_probe_path(at)] = probe.to_bytes()
        if adapter.before is not None:
            spec, weights = adapter.before
            changes += logit_changes(probe, probes.measure(probe, record, spec, weights), record.fingerprint.id)
    return made, changes


_FIELDS = {
    LORA: ("r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "modules_to_save"),
    IA3: ("target_modules", "feedforward_modules"),
    PROMPT_TUNING: ("num_virtual_tokens",),
    PREFIX_TUNING: ("num_virtual_tokens",),
}
"""What the manifest says about an adapter of each kind, beside kind and dtype."""


def _block(spec: AdapterSpec) -> Any:
    """Fields of the block for this kind, which the manifest checks."""
    values = {name: getattr(spec, name) for name in ("peft_type", "dtype", *_FIELDS[spec.peft_type])}
    if not spec.modules_to_save:
        values.pop("modules_to_save", None)
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}


def _file_entry(path: str, data: bytes) -> FileEntry:
    role = role_of(path)
    if role is None:
        hint = "rename the file in the source; docs/format.md lists the names that an archive has"
        raise ArchiveError(f"no member may be named {printable(path)!r}", hint=hint, code="archive_member_refused")
    return FileEntry(path=path, size=len(data), sha256=sha256_digest(data), role=role, media_type=ROLES[role][1])


def _records(source: ManifestSource, bases: Sequence[BaseRecord]) -> list[BaseRecord]:
    known = {record.fingerprint.id: record for record in bases}
    missing = [base for base in source.bases if base not in known]
    if missing:
        raise BaseModelError(
            f"{source.name} is for {', '.join(missing)}, which is not recorded here (known: {', '.join(sorted(known)) or 'none'})",
            hint=f"expert-kit base pull {missing[0]}",
        )
    return [known[base] for base in source.bases]


def _members(source: ManifestSource) -> dict[str, bytes]:
    members = {}
    if source.examples is not None:
        members[EXAMPLES_NAME] = read_member(source.folder, source.examples.relative_to(source.folder).as_posix())
    if source.card is not None:
        inside = source.card.is_relative_to(source.folder)  # one that came with a report is not
        folder = source.folder if inside else source.card.parent
        members[CARD_NAME] = read_member(folder, source.card.relative_to(folder).as_posix())
    if source.grammar is not None:
        members[GRAMMAR_NAME] = read_member(source.folder, source.grammar.relative_to(source.folder).as_posix())
    members.update({name: read_member(source.folder, name) for name in _LEGAL if (source.folder / name).is_file()})
    return members


def _raise_problems(problems: Sequence[Problem]) -> None:
    bad = [problem for problem in problems if problem.severity is Severity.REFUSED]
    if not bad:
        return
    message = "; ".join(f"{problem.where}: {problem.message}" for problem in dict.fromkeys(bad))
    kind = IncompatibleAdapterError if bad[0].code.startswith(("adapter_", "tensor_", "probe_")) else ArchiveError
    raise kind(message, hint="correct what is listed and pack again", code=bad[0].code)
