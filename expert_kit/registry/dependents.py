"""Which installed experts need what, and which of them stand there without it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from expert_kit import __version__
from expert_kit.errors import UnknownNameError
from expert_kit.names import ExpertRef
from expert_kit.registry import rows
from expert_kit.registry.ranges import in_range
from expert_kit.registry.records import TOOL, InstalledExpert, Standing

_NEEDING = "WHERE expert.id IN (SELECT expert FROM label WHERE kind = 'requires' AND value = ?)"


@dataclass(frozen=True)
class Unmet:
    """A current version whose manifest says something that does not hold."""

    expert: str
    """``ns/name@version``."""
    other: str
    """Full name of another expert, or ``expert-kit``."""
    wanted: str
    """The range as it is written."""
    found: str | None
    """The version that ``other`` means now; None if it is not installed."""
    code: str
    """``expert_requires_unmet``, ``expert_conflict``, or ``expert_range_invalid``: nobody can read the range."""


def dependents(connection: sqlite3.Connection, ref: ExpertRef) -> list[InstalledExpert]:
    """The experts that say they need this name, in whatever version."""
    return rows.experts(connection, _NEEDING, (ref.full_name,))


def left_without(connection: sqlite3.Connection, ref: ExpertRef) -> list[InstalledExpert]:
    """The experts that this version satisfies, and no other installed version of its name does."""
    others = [expert.ref.version or "" for expert in rows.versions(connection, ref) if expert.ref != ref]
    needing = [(expert, expert.requires[ref.full_name]) for expert in dependents(connection, ref)]
    return [
        expert
        for expert, wanted in needing
        if expert.ref.full_name != ref.full_name
        and _may_be_in(ref.version or "", wanted)
        and not any(_may_be_in(version, wanted) for version in others)
    ]


def unmet(connection: sqlite3.Connection) -> list[Unmet]:
    """Everything that current versions require or exclude, and that is otherwise; by expert."""
    ones = rows.demanding(connection)
    versions = {TOOL: __version__, **rows.current_versions(connection)} if ones else {}
    return sorted((found for one in ones for found in _unmet(one, versions)), key=str)


def _unmet(one: Standing, versions: Mapping[str, str]) -> Iterator[Unmet]:
    for name, wanted in one.requires.items():
        found = versions.get(name)
        fits = _is_in(found, wanted)
        if fits is None or not fits:
            yield Unmet(str(one.ref), name, wanted, found, "expert_range_invalid" if fits is None else "expert_requires_unmet")
    for name, wanted in one.conflicts.items():
        found = versions.get(name)
        fits = _is_in(found, wanted)
        if fits is None or fits:
            yield Unmet(str(one.ref), name, wanted, found, "expert_range_invalid" if fits is None else "expert_conflict")


def _is_in(version: str | None, wanted: str) -> bool | None:
    """None if the range cannot be read."""
    try:
        return in_range(version or "0.0.0", wanted, pre=True) and version is not None
    except UnknownNameError:
        return None


def _may_be_in(version: str, wanted: str) -> bool:
    return _is_in(version, wanted) is not False  # a range that cannot be read could mean any version
