"""Adapter folder and source in, ``.expert`` file out. Needs no torch; the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from expert_kit.archive.adapter_check import check_adapter, config_of_spec, spec_of_config
from expert_kit.archive.members import check_member
from expert_kit.archive.problems import Problem, Severity
from expert_kit.archive.safetensors_header import parse_header
from expert_kit.archive.source import ManifestSource, load_source
from expert_kit.archive.writer import write_archive
from expert_kit.bases import AdapterSpec, BaseRecord
from expert_kit.errors import ArchiveError, BaseModelError, IncompatibleAdapterError, ManifestError, UnsupportedMemberError
from expert_kit.manifest import (
    ROLES,
    WEIGHTS_NAME,
    AdapterBlock,
    BaseEntry,
    FileEntry,
    Manifest,
    Requires,
    Routing,
    describe_problems,
    role_of,
)
from expert_kit.names import ExpertRef, printable, sha256_digest

CONFIG_NAME = "adapter_config.json"
EXAMPLES_NAME = "routing/examples.jsonl"
CARD_NAME = "README.md"
SUFFIX = ".expert"
_LEGAL = ("LICENSE", "NOTICE")


def package(source_path: Path, out: Path, bases: Sequence[BaseRecord]) -> Path:
    """Pack an expert; returns the path of the archive.

    The configuration that goes in is generated: the trainer's own may hold local paths. ``LICENSE`` and ``NOTICE``
    beside the source go in too.

    Args:
        source_path: an ``expert.yaml``, or its folder.
        out: the file to write, or an existing folder for a file named ``<ns>.<name>-<version>.expert``.
        bases: the base models known here; the ones that the source names must be among them.

    Raises:
        ManifestError: the source has problems.
        BaseModelError: a base model of the source is not known here.
        UnsupportedMemberError: the adapter is of a kind that is not supported.
        IncompatibleAdapterError: the adapter does not fit a base model, or has no effect; the message lists all problems.
        ArchiveError: a member is refused.
        CapacityError: the file cannot be written.
    """
    source = load_source(source_path)
    records = _records(source, bases)
    members = _members(source)
    spec = _spec(source.adapter, members[WEIGHTS_NAME])
    members[CONFIG_NAME] = config_of_spec(spec)
    manifest = build_manifest(source, spec, members, records)
    problems = [problem for record in records for problem in check_adapter(spec, members[WEIGHTS_NAME], record.linears)]
    problems += [problem for entry in manifest.files for problem in check_member(entry.path, entry.role, members[entry.path])]
    _raise_problems(problems)
    stem = ExpertRef.parse(f"{source.name}@{source.version}").file_stem
    return write_archive(out / f"{stem}{SUFFIX}" if out.is_dir() else out, manifest, members)


def build_manifest(source: ManifestSource, spec: AdapterSpec, members: Mapping[str, bytes], records: Sequence[BaseRecord]) -> Manifest:
    """The manifest of these members.

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
            bases=tuple(BaseEntry.of(record.fingerprint) for record in records),
            adapter=_block(spec),
            routing=Routing(examples=examples, parameters=parameters) if examples or parameters else None,
            card=CARD_NAME if CARD_NAME in members else None,
            requires=Requires.model_validate(source.requires) if source.requires else None,
            conflicts=dict(source.conflicts) or None,
            capabilities=source.capabilities or None,
            eval=source.eval or None,
        )
    except ValidationError as error:
        raise ManifestError("; ".join(map(printable, describe_problems(error))), hint="correct the expert.yaml") from error
    return Manifest.parse(manifest.to_bytes())


def _block(spec: AdapterSpec) -> AdapterBlock:
    flags = {"use_rslora": int(spec.use_rslora), "use_dora": int(spec.use_dora)}
    patterns = {"rank_pattern": dict(spec.rank_pattern), "alpha_pattern": dict(spec.alpha_pattern)}
    return AdapterBlock.model_validate({**asdict(spec), **patterns, **flags, "peft_type": "LORA"})


def _file_entry(path: str, data: bytes) -> FileEntry:
    role = role_of(path)
    if role is None:
        raise ArchiveError(f"no member may be named {printable(path)!r}", code="archive_member_refused")
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
    members = {WEIGHTS_NAME: _read(source.adapter, WEIGHTS_NAME)}
    if source.examples is not None:
        members[EXAMPLES_NAME] = _read(source.folder, source.examples.relative_to(source.folder).as_posix())
    if source.card is not None:
        members[CARD_NAME] = _read(source.folder, source.card.relative_to(source.folder).as_posix())
    members.update({name: _read(source.folder, name) for name in _LEGAL if (source.folder / name).is_file()})
    return members


def _spec(folder: Path, weights: bytes) -> AdapterSpec:
    config = _read(folder, CONFIG_NAME)
    dtypes = sorted({info.dtype for info in parse_header(weights).values()})
    if len(dtypes) != 1:
        raise IncompatibleAdapterError(
            f"{WEIGHTS_NAME} mixes {', '.join(dtypes)}", hint="save all tensors of the adapter in one dtype", code="tensor_dtype"
        )
    return spec_of_config(config, dtypes[0])


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink():
        raise ManifestError(f"{printable(str(path))} is a link", hint="put the file itself there", code="source_unreadable")
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(folder, name, error) from error


def _unreadable(folder: Path, name: str, error: OSError) -> ManifestError | UnsupportedMemberError:
    if name == WEIGHTS_NAME and (folder / "adapter_model.bin").exists():
        return UnsupportedMemberError(
            f"{printable(str(folder))} has adapter_model.bin, which is a pickle", hint="save the adapter as safetensors"
        )
    return ManifestError(
        f"cannot read {printable(str(folder / name))}: {error.strerror}",
        hint="point 'adapter' at a folder saved by PEFT",
        code="source_unreadable",
    )


def _raise_problems(problems: Sequence[Problem]) -> None:
    bad = [problem for problem in problems if problem.severity is Severity.REFUSED]
    if not bad:
        return
    message = "; ".join(f"{problem.where}: {problem.message}" for problem in dict.fromkeys(bad))
    kind = IncompatibleAdapterError if bad[0].code.startswith(("adapter_", "tensor_")) else ArchiveError
    raise kind(message, hint="correct what is listed and pack again", code=bad[0].code)
