"""From the words of a command to what the resolver takes: files, names, ranges, and what is here."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from expert_kit import __version__
from expert_kit.errors import ExpertNotFoundError, ResolutionError
from expert_kit.names import ExpertRef
from expert_kit.registry.batch import Terms
from expert_kit.registry.candidates import Candidate, read_candidate
from expert_kit.registry.index import SUFFIX
from expert_kit.registry.pool import Here, Wanted
from expert_kit.registry.ranges import ANY, VersionRange
from expert_kit.registry.store import Registry


@dataclass(frozen=True)
class NameWish:
    """``ns/name`` or ``ns/name@RANGE``, as a user writes it."""

    name: str
    range: VersionRange = ANY

    @classmethod
    def parse(cls, text: str) -> NameWish:
        """Take the written form.

        Raises:
            UnknownNameError: ``name_invalid`` or ``range_invalid``.
        """
        name, at, range_ = text.partition("@")
        return cls(ExpertRef.parse(name).full_name, VersionRange.parse(range_) if at else ANY)


def is_file(text: str) -> bool:
    """Whether a word means a file rather than a name."""
    return text.endswith(SUFFIX) or text.startswith(("/", "./", "../", "~")) or text.count("/") != 1 or Path(text).is_file()


def read_files(words: Iterable[str]) -> list[Candidate]:
    """What these archives say, each content once, in the order given.

    Raises:
        ResolutionError: ``resolution_two_contents``, two archives of one version differ. Else what ``read_candidate`` raises.
    """
    found: dict[ExpertRef, Candidate] = {}
    for word in words:
        candidate = read_candidate(Path(word).expanduser())
        known = found.setdefault(candidate.ref, candidate)
        if known.identity != candidate.identity:
            raise ResolutionError(
                f"two archives of {candidate.ref} with different content: {known.path} and {candidate.path}",
                hint="ask the publisher which of them is the right one, and name only that",
                code="resolution_two_contents",
            )
    return list(found.values())


def update_wishes(here: Here, words: Sequence[str], offered: Container[str]) -> list[Wanted]:
    """The newest allowed version of these installed experts, or of all of which there is an archive.

    Args:
        here: what is installed.
        words: ``ns/name`` or ``ns/name@RANGE``; may be empty.
        offered: full names of the archives' experts.

    Raises:
        ExpertNotFoundError: one of the names is not installed. UnknownNameError: see ``NameWish.parse``.
    """
    current = {one.ref.full_name: None for one in here.installed if one.current}
    wishes = [NameWish.parse(word) for word in words] or [NameWish(name) for name in current if name in offered]
    for wish in wishes:
        if wish.name not in current:
            raise ExpertNotFoundError(f"{wish.name} is not installed", hint=f"expert-kit install {wish.name} --index DIR")
    return [Wanted(wish.name, wish.range, newest=True) for wish in wishes]


def look_around(registry: Registry, terms: Terms, *, pre: bool = False) -> Here:
    """What is here now, as the resolver takes it."""
    installed, highest = registry.standings()
    return Here(
        tool=__version__,
        bases=terms.bases,
        installed=installed,
        highest=highest,
        yanked=registry.yanks(),
        revoked=registry.revoked(),
        allow_missing_base=terms.allow_missing_base,
        allow_downgrade=terms.allow_downgrade,
        pre=pre,
    )
