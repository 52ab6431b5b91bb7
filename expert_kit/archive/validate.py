"""All checks of an archive that need neither keys nor a model, with every problem in one list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from expert_kit.archive.adapter_check import check_adapter, check_config, targets_digest
from expert_kit.archive.members import check_member
from expert_kit.archive.problems import Problem, Severity, refused
from expert_kit.archive.reader import ArchiveReader
from expert_kit.bases import AdapterSpec, BaseMatch, BaseRecord, Linear, compare
from expert_kit.errors import ArchiveError, ManifestError
from expert_kit.manifest import BaseEntry, Manifest
from expert_kit.names import printable


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
        return [refused(error.code, printable(path.name), error.message)]


def validate_reader(reader: ArchiveReader, bases: Sequence[BaseRecord] = ()) -> list[Problem]:
    """The same for an archive that is open already."""
    bodies, problems = _read_bodies(reader)
    manifest = reader.manifest
    for entry in manifest.files:
        if entry.path in bodies:
            problems += check_member(entry.path, entry.role, bodies[entry.path])
    for base in manifest.bases:
        problems += _check_base(manifest, base, bodies, bases)
    return list(dict.fromkeys(problems))


def _read_bodies(reader: ArchiveReader) -> tuple[dict[str, bytes], list[Problem]]:
    bodies, problems = {}, []
    for entry in reader.entries:
        try:
            bodies[entry.name] = reader.read(entry.name)
        except ArchiveError as error:
            problems.append(refused(error.code, entry.name, error.message))
    return bodies, problems


def _check_base(manifest: Manifest, base: BaseEntry, bodies: dict[str, bytes], bases: Sequence[BaseRecord]) -> Iterator[Problem]:
    spec = manifest.adapter_spec(base)
    linears, findings = _find_linears(base, bases)
    yield from findings
    weights = manifest.weights_of(base).path
    if weights in bodies:
        yield from check_adapter(spec, bodies[weights], linears, weights)
    folder = weights.rpartition("/")[0]
    config = f"{folder}/adapter_config.json" if folder else "adapter_config.json"
    if config in bodies:
        yield from check_config(bodies[config], spec, config)
    if linears is not None:
        yield from _check_variant(base, spec, linears)


def _check_variant(base: BaseEntry, spec: AdapterSpec, linears: Sequence[Linear]) -> Iterator[Problem]:
    if base.variant is not None and base.variant.targets_sha256 != targets_digest(spec, linears):
        yield refused("adapter_variant_targets", f"bases.{base.id}", "the variant changes other modules than it says")


def _find_linears(base: BaseEntry, bases: Sequence[BaseRecord]) -> tuple[tuple[Linear, ...] | None, list[Problem]]:
    where, findings = f"bases.{base.id}", []
    results = [(compare(base.fingerprint, record.fingerprint), record) for record in bases]
    for wanted in (BaseMatch.EXACT, BaseMatch.FAMILY):
        for (match, differing), record in results:
            if match is wanted:
                if differing:
                    message = f"the base model here is of the same family, but differs in {', '.join(differing)}"
                    findings.append(Problem("base_family", Severity.WARNING, where, message))
                return record.linears, findings
    for (_, differing), record in results:
        if record.fingerprint.id == base.id:
            message = f"the base model of that id here differs in {', '.join(differing)}"
            findings.append(Problem("base_mismatch", Severity.WARNING, where, message))
    return None, findings
