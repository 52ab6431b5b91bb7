"""Which versions may be chosen, in which order, and why the others may not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from expert_kit.bases import BaseMatch, BaseRecord, compare
from expert_kit.names import Digest, ExpertRef, version_key
from expert_kit.registry.candidates import Candidate, installed_candidate
from expert_kit.registry.index import unique_candidates
from expert_kit.registry.ranges import ANY, VersionRange, in_range
from expert_kit.registry.records import TOOL, Standing


@dataclass(frozen=True)
class Wanted:
    """What the user asked for: a name with a range, or one archive."""

    name: str
    range: VersionRange = ANY
    archive: Candidate | None = None
    newest: bool = False
    """Prefer the newest version to the installed one, and never go below that one."""


@dataclass(frozen=True)
class Here:
    """What a choice has to fit."""

    tool: str
    """Version of this expert-kit."""
    bases: Sequence[BaseRecord] = ()
    installed: Sequence[Standing] = ()
    """Every version."""
    highest: Mapping[str, str] = field(default_factory=dict)
    """Full name -> highest version that was ever trusted here."""
    yanked: Mapping[ExpertRef, str] = field(default_factory=dict)
    """Withdrawn versions and the reason."""
    revoked: Collection[Digest] = ()
    """Identities of what is installed and must not be used any more."""
    allow_missing_base: bool = False
    allow_downgrade: bool = False
    pre: bool = False
    """Let in pre-releases where no range asks for them."""

    def fits(self, candidate: Candidate) -> bool:
        """Whether a base model is here that this candidate was made for."""
        if self.allow_missing_base or not candidate.bases:
            return True
        pairs = ((entry, record.fingerprint) for entry in candidate.bases for record in self.bases)
        return any(compare(entry, record).match is not BaseMatch.INCOMPATIBLE for entry, record in pairs)


class Pool:
    """The candidates of every name, the most preferred first."""

    def __init__(self, wanted: Sequence[Wanted], offered: Iterable[Candidate], here: Here) -> None:
        self.here, self.wanted = here, tuple(wanted)
        self.current = {expert.ref.full_name: installed_candidate(expert) for expert in here.installed if expert.current}
        """What each name means now."""
        self.barred: dict[str, list[tuple[Candidate, str]]] = defaultdict(list)
        """Versions that are out of the question, and why."""
        self._candidates: dict[str, list[Candidate]] = defaultdict(list)
        self._users: dict[str, set[str]] = defaultdict(set)
        for name, candidate in self.current.items():
            for other in _related(candidate):
                self._users[other].add(name)
        self._fill(_offer(self.wanted, offered))

    def candidates(self, name: str) -> Sequence[Candidate]:
        """Versions of this name that may be chosen, the most preferred first."""
        return self._candidates.get(name, ())

    def affected(self, wanted: Iterable[Wanted]) -> frozenset[str]:
        """Every name that these wishes may touch.

        What is wanted; what that may require or exclude; and what is installed and requires or excludes one of these.
        """
        found: set[str] = set()
        ahead = {want.name for want in wanted}
        while ahead:
            name = ahead.pop()
            found.add(name)
            ahead |= self._neighbours(name) - found
        return frozenset(found)

    def groups(self) -> list[tuple[Wanted, ...]]:
        """The wishes, those together that may touch a common name: each group can be met for itself."""
        leader: dict[str, str] = {}

        def lead(name: str) -> str:
            while (ahead := leader.setdefault(name, name)) != name:
                leader[name] = leader[ahead]  # halves the way for the next one
                name = ahead
            return name

        for name in self.affected(self.wanted):
            for other in self._neighbours(name):
                leader[lead(other)] = lead(name)
        groups: dict[str, list[Wanted]] = defaultdict(list)
        for want in self.wanted:
            groups[lead(want.name)].append(want)
        return [tuple(group) for group in groups.values()]

    def _neighbours(self, name: str) -> set[str]:
        return self._users.get(name, set()).union(*map(_related, self.candidates(name)))

    def _fill(self, offered: Mapping[Digest, Candidate]) -> None:
        identities: dict[ExpertRef, set[Digest]] = defaultdict(set)
        for candidate in offered.values():
            identities[candidate.ref].add(candidate.identity)
        known = {expert.ref: expert.identity for expert in self.here.installed}
        for candidate in self._merge(offered):
            reason = None if candidate.installed else _self_contradiction(candidate)
            if reason is None and not (candidate.installed or candidate.asked):
                reason = _clash(candidate, known.get(candidate.ref), identities[candidate.ref]) or self._downgrade(candidate)
            if reason is None:
                self._candidates[candidate.name].append(candidate)
            else:
                self.barred[candidate.name].append((candidate, reason))
        newest = {want.name for want in self.wanted if want.newest}
        for name, candidates in self._candidates.items():
            candidates.sort(key=lambda candidate: (version_key(candidate.version), candidate.installed, candidate.version), reverse=True)
            candidates.sort(key=_by_version_only if name in newest else self._keep_what_is_here)

    def _merge(self, offered: Mapping[Digest, Candidate]) -> Iterable[Candidate]:
        """What is offered and what is installed, each content once."""
        installed = {candidate.identity: candidate for candidate in self.current.values()}
        exact = {(want.name, want.range.exact) for want in self.wanted}
        for identity, candidate in {**installed, **offered}.items():
            if identity in installed:
                candidate = replace(installed[identity], path=candidate.path if candidate.asked else None, asked=candidate.asked)
            asked = candidate.asked or (candidate.name, candidate.version) in exact
            yield replace(candidate, asked=asked, yanked=candidate.yanked or self.here.yanked.get(candidate.ref))

    def _keep_what_is_here(self, candidate: Candidate) -> tuple[bool, ...]:
        return not candidate.asked, candidate.identity in self.here.revoked, not candidate.installed, candidate.yanked is not None

    def _downgrade(self, candidate: Candidate) -> str | None:
        highest = self.here.highest.get(candidate.name)
        if highest is None or self.here.allow_downgrade or version_key(candidate.version) >= version_key(highest):
            return None
        return f"older than {highest}, which was installed here before"


def _offer(wanted: Sequence[Wanted], offered: Iterable[Candidate]) -> dict[Digest, Candidate]:
    """One archive per content; the user's own file if there is one."""
    files = {want.archive.identity: replace(want.archive, asked=True) for want in wanted if want.archive is not None}
    return {**{candidate.identity: candidate for candidate in unique_candidates(offered)}, **files}


def _related(candidate: Candidate) -> set[str]:
    return {*candidate.requires, *candidate.conflicts} - {TOOL}


def _by_version_only(candidate: Candidate) -> tuple[bool, ...]:
    return not candidate.asked, candidate.yanked is not None


def _self_contradiction(candidate: Candidate) -> str | None:
    wants, refuses = candidate.requires.get(candidate.name), candidate.conflicts.get(candidate.name)
    if wants is not None and not in_range(candidate.version, wants, pre=True):
        return f"requires {wants} of itself"
    if refuses is not None and in_range(candidate.version, refuses, pre=True):
        return f"conflicts with {refuses} of itself"
    return None


def _clash(candidate: Candidate, installed: Digest | None, offered: set[Digest]) -> str | None:
    if installed is not None:
        return "other content than what is installed as that version" if installed != candidate.identity else "installed, but not current"
    return "several archives of that version, each with other content" if len(offered) > 1 else None
