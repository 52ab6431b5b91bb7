"""``expert.lock``: what is installed, written down so that it can be installed again exactly so, or not at all.

The file is JSON in the one spelling of RFC 8785 and a line end::

    {"experts":[{"base":{...},"base_match":"exact","identity":"sha256:...","name":"ns/name","signers":[...],"version":"1.0.0",
    "yanked":false}],"schema":"expert-lock/1"}

Only what names mean now is in it; other installed versions are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import rfc8785

from expert_kit.errors import ExpertKitError, LockError, ResolutionError
from expert_kit.names import Digest, ExpertRef, parse_digest, printable
from expert_kit.registry.batch import Terms
from expert_kit.registry.candidates import Candidate
from expert_kit.registry.index import Index, unique_candidates
from expert_kit.registry.plain_file import read_plain
from expert_kit.registry.pool import Wanted
from expert_kit.registry.proposal import Proposal
from expert_kit.registry.records import InstalledExpert
from expert_kit.registry.resolve import Plan, resolve
from expert_kit.registry.screening import choose_admitted
from expert_kit.registry.store import Registry
from expert_kit.registry.verify import REFUSED, verify_installed
from expert_kit.registry.wishes import look_around, read_files

SCHEMA = "expert-lock/1"
MAX_SIZE = 64 << 20
_LISTED = 20
BASE_FIELDS = ("id", "config_sha256", "structure_sha256", "weights_root_sha256", "tokenizer_sha256", "chat_template_sha256")
_FIELDS = {"name": str, "version": str, "identity": str, "signers": list, "base": dict, "base_match": str, "yanked": bool}


@dataclass(frozen=True)
class Locked:
    """One entry."""

    name: str
    version: str
    identity: Digest
    signers: tuple[str, ...]
    base: Mapping[str, str]
    """Id and digests of the base model that was chosen."""
    base_match: str
    yanked: bool

    @property
    def ref(self) -> ExpertRef:
        """With the version."""
        name = ExpertRef.parse(self.name)
        return ExpertRef(name.namespace, name.name, self.version)

    @classmethod
    def of(cls, expert: InstalledExpert) -> Self:
        """The entry of an installed expert."""
        ref, base = expert.ref, {name: str(value) for name, value in asdict(expert.base).items() if name in BASE_FIELDS}
        signers = tuple(sorted(expert.signers))
        return cls(ref.full_name, ref.version or "", expert.identity, signers, base, expert.base_match, expert.yanked is not None)

    @classmethod
    def from_json(cls, row: Any) -> Self:
        """Raises ValueError or ExpertKitError for anything but the fields above, each of its type."""
        if not isinstance(row, dict) or {name: type(value) for name, value in row.items()} != _FIELDS:
            raise ValueError("an entry does not have exactly the fields of this format")
        texts = [*row["signers"], *row["base"].values()]
        if sorted(row["base"]) != sorted(BASE_FIELDS) or not all(isinstance(text, str) for text in texts):
            raise ValueError("an entry does not have exactly the fields of this format")
        entry = cls(**{**row, "identity": parse_digest(row["identity"]), "signers": tuple(row["signers"])})
        if entry.ref.full_name != entry.name:
            raise ValueError("a name has a version")
        return entry


def lock(registry: Registry) -> bytes:
    """The content of a lock file for what names mean now."""
    entries = [Locked.of(expert) for expert in registry.list() if expert.current]
    entries.sort(key=lambda entry: entry.name)
    rows: list[Any] = [{**asdict(entry), "signers": list(entry.signers), "base": dict(entry.base)} for entry in entries]
    return rfc8785.dumps({"schema": SCHEMA, "experts": rows}) + b"\n"


def read_lock(path: Path) -> tuple[Locked, ...]:
    """The entries of a lock file, by name.

    Raises:
        LockError: ``lock_missing``, there is none, or no plain file that could be one; ``lock_invalid``.
    """
    try:
        data = read_plain(path, MAX_SIZE)
    except OSError as error:
        message = f"cannot read the lock file {printable(str(path))}: {error.strerror}"
        raise LockError(message, hint="make one where the experts are installed: expert-kit lock", code="lock_missing") from error
    try:
        return parse_lock(data)
    except (ValueError, RecursionError, ExpertKitError) as error:
        message = f"{printable(str(path))} is no lock file of this format: {printable(str(error))[:200]}"
        raise LockError(message, hint="lock files are not edited by hand; make it again: expert-kit lock") from error


def propose_frozen(registry: Registry, locked: Sequence[Locked], files: Sequence[str], terms: Terms, index: Index) -> Proposal:
    """What has to be installed so that exactly the locked experts are there.

    Args:
        registry: experts that are in the lock may be installed already; others may not.
        locked: see :func:`read_lock`.
        files: archives, each of them in the lock.
        terms: see ``proposal.propose_install``.
        index: more archives to choose from.

    Raises:
        LockError: ``lock_drift``; the message lists every difference. ResolutionError: the locked experts do not fit
            together here, with this expert-kit and these base models.
        ExpertKitError: of a locked expert there are only archives in the index that are refused, for this reason.
    """
    given, entries = read_files(files), {entry.name: entry for entry in locked}
    offered = {candidate.identity: candidate for candidate in unique_candidates((*given, *index.candidates))}
    versions = {expert.ref: expert for expert in registry.list()}
    yanked = registry.yanks()
    identities = {entry.identity for entry in locked}
    problems = [f"{one.path} is not in the lock file" for one in given if one.identity not in identities]
    strangers = (ref for ref, one in versions.items() if one.current and ref.full_name not in entries)
    problems += [f"{ref} is installed and not in the lock file" for ref in strangers]
    missing: list[Locked] = []
    for entry in locked:
        present = versions.get(entry.ref)
        problems += _differences(entry, present, yanked, terms) if present is not None else _yanked(entry, yanked)
        problems += _refused(registry, present) if present is not None else ()
        if present is None and entry.identity not in offered:
            problems.append(f"{entry.ref}: no archive with the identity {entry.identity} was offered")
        elif present is None:
            missing.append(entry)
    _raise_drift(problems)
    here = look_around(registry, terms, pre=True)

    def choose(left: Sequence[Candidate]) -> Plan:
        archives = {one.identity: one for one in unique_candidates((*given, *left))}
        return resolve([Wanted(entry.name, archive=_archive_of(entry, archives)) for entry in missing], (), here)

    plan, passed_over = choose_admitted(registry, terms, index.candidates, choose)
    return Proposal(plan, tuple(step.candidate for step in plan.changes), passed_over)


def _archive_of(entry: Locked, archives: Mapping[Digest, Candidate]) -> Candidate:
    if entry.identity not in archives:  # all were passed over, and why is what the user will read
        raise ResolutionError(f"no archive of {entry.ref} would be let in", code="resolution_not_found")
    return archives[entry.identity]


def _refused(registry: Registry, present: InstalledExpert) -> list[str]:
    """What is here already has to pass today's policy and revocations, as what is installed now has to."""
    verdict = verify_installed(registry, present)
    return [f"{present.ref} is refused today: {verdict.message} ({verdict.next})"] if verdict.state == REFUSED else []


def check_locked(locked: Sequence[Locked], expert: InstalledExpert, terms: Terms) -> None:
    """Refuse an expert that was judged otherwise than the lock says.

    Raises:
        LockError: ``lock_drift``.
    """
    _raise_drift([line for entry in locked if entry.ref == expert.ref for line in _differences(entry, expert, {}, terms)])


def _differences(entry: Locked, found: InstalledExpert, yanked: Mapping[ExpertRef, str], terms: Terms) -> Iterator[str]:
    if found.identity != entry.identity:
        yield f"{entry.ref} has other content: {found.identity}, the lock has {entry.identity}"
        return
    now = Locked.of(found)
    if not found.current:
        yield f"{entry.ref} is installed, but {entry.name} means another version"
    if now.signers != entry.signers:
        yield f"{entry.ref} is signed by {_keys(now.signers)}, the lock has {_keys(entry.signers)}"
    if now.base != entry.base:
        ours, theirs = printable(now.base["id"]), printable(entry.base["id"])
        yield f"{entry.ref} counts on the base model {ours}, the lock has {theirs} with other digests"
    elif now.base_match != entry.base_match and not (terms.allow_missing_base and now.base_match == "pending"):
        yield f"{entry.ref} has the base model {printable(now.base['id'])} here as {now.base_match}, the lock has {entry.base_match}"
    yield from _yanked(entry, yanked)


def _yanked(entry: Locked, yanked: Mapping[ExpertRef, str]) -> Iterator[str]:
    if entry.ref in yanked and not entry.yanked:
        yield f"{entry.ref} was withdrawn since: {printable(yanked[entry.ref])}"


def _keys(signers: Sequence[str]) -> str:
    return printable(", ".join(signers)) or "nobody"


def _raise_drift(problems: Sequence[str]) -> None:
    if not problems:
        return
    lines = ["what is here differs from the lock file:", *(f"  {problem}" for problem in problems[:_LISTED])]
    lines += [f"  and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
    hint = "undo the differences, or if they are wanted, write the lock file again: expert-kit lock"
    raise LockError("\n".join(lines), hint=hint, code="lock_drift")


def parse_lock(data: bytes) -> tuple[Locked, ...]:
    """The entries in the bytes of a lock file; ValueError, RecursionError or ExpertKitError if they are none."""
    content = json.loads(data)
    if not isinstance(content, dict) or content.keys() != {"schema", "experts"} or content["schema"] != SCHEMA:
        raise ValueError(f'the schema is not "{SCHEMA}"')
    if rfc8785.dumps(content) + b"\n" != data or not isinstance(content["experts"], list):
        raise ValueError("not the canonical spelling (RFC 8785)")
    entries = tuple(Locked.from_json(row) for row in content["experts"])
    names = [entry.name for entry in entries]
    if names != sorted(set(names)):
        raise ValueError("the names are not sorted, or one is there twice")
    return entries
