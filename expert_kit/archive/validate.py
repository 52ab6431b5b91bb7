"""All checks of an archive that need neither keys nor a model, with every problem in one list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from expert_kit.archive.adapter_check import check_adapter, check_config, expected_tensors, targets_digest
from expert_kit.archive.members import check_member
from expert_kit.archive.probe import check_probe
from expert_kit.archive.problems import Problem, Severity, refused
from expert_kit.archive.reader import ArchiveReader
from expert_kit.archive.weight_norms import check_norms
from expert_kit.bases import AdapterSpec, BaseMatch, BaseRecord, compare
from expert_kit.errors import ArchiveError, ManifestError
from expert_kit.manifest import BaseEntry, Manifest
from expert_kit.names import printable

_ALWAYS_READ = 1 << 25
"""Bytes of weights that are read whatever they are, so that every problem is found at once."""


def validate(path: Path, bases: Sequence[BaseRecord] = ()) -> list[Problem]:
    """All problems of an archive: framing, manifest, digests, adapter, examples. Signatures are not looked at.

    Args:
        path: an ``.expert`` file.
        bases: the base models known here; without the right one the set of tensors stays unchecked, which is a problem
            of severity ``unchecked``.
    """
    try:
        with ArchiveReader.open(path) as reader:
            return validate_reader(reader, bases)
    except (ArchiveError, ManifestError) as error:
        label = printable(path.name)
        return [refused(error.code, label, error.message.removeprefix(f"{label}: "))]


def validate_reader(reader: ArchiveReader, bases: Sequence[BaseRecord] = ()) -> list[Problem]:
    """The same for an archive that is open already."""
    manifest = reader.manifest
    unfit = {problem.where: problem for base in manifest.bases for problem in _size_problems(reader, base, bases)}
    bodies, problems = _read_bodies(reader, unfit)
    for entry in manifest.files:
        if entry.path in bodies:
            problems += check_member(entry.path, entry.role, bodies[entry.path])
    for base in manifest.bases:
        problems += _check_base(manifest, base, bodies, bases)
    for path, spec in {manifest.weights_of(base).path: manifest.adapter_spec(base) for base in manifest.bases}.items():
        if path in bodies and not any(problem.code == "tensor_header" for problem in problems):
            problems += check_norms(spec, bodies[path], path)
    return list(dict.fromkeys(problems))


def _size_problems(reader: ArchiveReader, base: BaseEntry, bases: Sequence[BaseRecord]) -> Iterator[Problem]:
    """Weights so far from what they should be that reading them would only take memory; their headers say enough."""
    weights, spec = reader.manifest.weights_of(base), reader.manifest.adapter_spec(base)
    if weights.size <= _ALWAYS_READ:
        return
    try:
        tensors = reader.tensors(weights.path)
    except ArchiveError as error:
        yield refused(error.code, weights.path, error.message)
        return
    record, _ = _find_record(base, bases)
    if record is not None and {name: info.shape for name, info in tensors.items()} != expected_tensors(spec, record):
        message = f"{weights.size} bytes of tensors that configuration and base model do not imply"
        yield refused("tensor_set_mismatch", weights.path, message)


def _read_bodies(reader: ArchiveReader, unfit: Mapping[str, Problem]) -> tuple[dict[str, bytes], list[Problem]]:
    bodies, problems = {}, list(unfit.values())
    for entry in reader.entries:
        if entry.name in unfit:
            continue
        try:
            bodies[entry.name] = reader.read(entry.name)
        except ArchiveError as error:
            problems.append(refused(error.code, entry.name, error.message))
    return bodies, problems


def _check_base(manifest: Manifest, base: BaseEntry, bodies: dict[str, bytes], bases: Sequence[BaseRecord]) -> Iterator[Problem]:
    spec = manifest.adapter_spec(base)
    record, findings = _find_record(base, bases)
    yield from findings
    weights = manifest.weights_of(base).path
    if weights in bodies:
        yield from check_adapter(spec, bodies[weights], record, weights)
    if base.probe in bodies:
        yield from check_probe(bodies[base.probe], base.probe, base.vocab_size)
    folder = weights.rpartition("/")[0]
    config = f"{folder}/adapter_config.json" if folder else "adapter_config.json"
    if config in bodies:
        yield from check_config(bodies[config], spec, config)
    if record is not None:
        yield from _check_variant(base, spec, record)


def _check_variant(base: BaseEntry, spec: AdapterSpec, record: BaseRecord) -> Iterator[Problem]:
    if base.variant is not None and base.variant.targets_sha256 != targets_digest(spec, record.linears):
        yield refused("adapter_variant_targets", f"bases.{base.id}", "the variant changes other modules than it says")


def _find_record(base: BaseEntry, bases: Sequence[BaseRecord]) -> tuple[BaseRecord | None, list[Problem]]:
    where = f"bases.{base.id}"
    findings: list[Problem] = []
    results = [(compare(base.fingerprint, record.fingerprint), record) for record in bases]
    for wanted in (BaseMatch.EXACT, BaseMatch.FAMILY):
        for (match, differing), record in results:
            if match is wanted:
                findings += _differences(differing, where)
                return record, findings
    for (_, differing), record in results:
        if record.fingerprint.id == base.id:
            message = f"the base model of that id here differs in {', '.join(differing)}"
            findings.append(Problem("base_mismatch", Severity.WARNING, where, message))
            findings += _named_differences(differing, where)
    return None, findings


def _differences(differing: Sequence[str], where: str) -> Iterator[Problem]:
    if differing:
        message = f"the base model here is of the same family, but differs in {', '.join(differing)}"
        yield Problem("base_family", Severity.WARNING, where, message)
    yield from _named_differences(differing, where)


def _named_differences(differing: Sequence[str], where: str) -> Iterator[Problem]:
    """What a difference of the two text digests means, each under a code of its own."""
    if "tokenizer_sha256" in differing:
        message = "the tokenizer here is another one: the same text becomes other tokens than the adapter was trained on"
        yield Problem("base_tokenizer", Severity.WARNING, where, message)
    if "chat_template_sha256" in differing:
        message = "the chat template here is another one: conversations are written out in another way than in training"
        yield Problem("base_chat_template", Severity.WARNING, where, message)
