"""What an install or an update would do, worked out before anything is done; and then all of it, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from expert_kit.errors import AlreadyInstalledError
from expert_kit.registry.batch import Batch, Terms
from expert_kit.registry.candidates import Candidate
from expert_kit.registry.index import Index
from expert_kit.registry.pool import Here, Wanted
from expert_kit.registry.records import InstalledExpert
from expert_kit.registry.resolve import Plan, Step, resolve
from expert_kit.registry.screening import PassedOver, choose_admitted
from expert_kit.registry.store import Registry
from expert_kit.registry.wishes import NameWish, is_file, look_around, read_files, update_wishes

Check = Callable[[InstalledExpert], None]


@dataclass(frozen=True)
class Proposal:
    """A set of versions that fit together, and the archives that make it so."""

    plan: Plan
    archives: tuple[Candidate, ...] = ()
    """What has to be installed, in this order: of several versions of a name the last one becomes current."""
    passed_over: tuple[PassedOver, ...] = ()
    """What the index offers and would have been chosen, but for its signatures or a revocation."""

    @property
    def kept(self) -> tuple[Step, ...]:
        """What was asked for by its name and is installed already."""
        put_in = {archive.ref for archive in self.archives}
        return tuple(step for step in self.plan.steps if step.action == "keep" and step.candidate.ref not in put_in)

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data, a row for each step of the plan."""
        return [
            {
                "expert": str(step.candidate.ref),
                "action": step.action,
                "previous": step.previous,
                "archive": None if step.candidate.path is None else str(step.candidate.path),
                "because": list(step.because),
            }
            for step in self.plan.steps
        ]


def propose_install(registry: Registry, words: Sequence[str], terms: Terms, index: Index, *, pre: bool = False) -> Proposal:
    """The archives for these files and names, and for all that they require.

    Args:
        registry: where they would be installed.
        words: files, ``ns/name``, ``ns/name@RANGE``. Of several versions of a name among the files, the last one counts.
        terms: the base models that are here, and what may be let in.
        index: archives to choose from.
        pre: let in pre-releases where no range asks for them.

    Raises:
        ResolutionError: nothing fits; also ``resolution_two_contents``.
        SignatureError, CheckUnavailableError: nothing fits without an archive of the index that is refused.
        AlreadyInstalledError: ``expert_not_current``.
        ArchiveError, ManifestError, UnknownNameError: a file or a name is none.
    """
    here = look_around(registry, terms, pre=pre)
    files = read_files(word for word in words if is_file(word))
    names = [NameWish.parse(word) for word in words if not is_file(word)]
    present = {one.identity for one in here.installed}
    # Content that is installed already changes no version: it is only looked at for what it can heal or add.
    again = [file for file in files if file.identity in present]
    last = {file.name: file for file in files if file.identity not in present}
    older = [file for file in files if file.identity not in present and file is not last[file.name]]
    wanted = [Wanted(file.name, archive=file) for file in last.values()] + [Wanted(name.name, name.range) for name in names]
    plan, passed_over = _plan(registry, terms, index, wanted, here)
    return Proposal(plan, (*again, *older, *_archives(plan)), passed_over)


def propose_update(registry: Registry, names: Sequence[str], terms: Terms, index: Index, *, pre: bool = False) -> Proposal:
    """The newest versions of these installed experts, or of all, that fit together.

    Args:
        registry: where they are installed.
        names: ``ns/name`` or ``ns/name@RANGE``; all if there are none.
        terms: see :func:`propose_install`, and so for the rest.
        index: archives to choose from.
        pre: let in pre-releases.

    Raises:
        ExpertNotFoundError: a name is not installed. ResolutionError, AlreadyInstalledError: see :func:`propose_install`.
    """
    here = look_around(registry, terms, pre=pre)
    offered = {candidate.name for candidate in index.candidates}
    plan, passed_over = _plan(registry, terms, index, update_wishes(here, names, offered), here)
    return Proposal(plan, _archives(plan), passed_over)


def carry_out(registry: Registry, proposal: Proposal, terms: Terms, check: Check | None = None) -> list[InstalledExpert]:
    """Check every archive of a proposal, then install all of them in one transaction.

    Args:
        registry: where the proposal was made for.
        proposal: it holds as long as nobody else installs or removes something; each archive is checked as any other.
        terms: those of the proposal.
        check: called for each expert before anything is written; what it raises stops everything.

    Returns:
        What is installed now, an item for each archive. Nothing, if there was nothing to do.

    Raises:
        ExpertKitError: as ``Registry.install``; nothing has been changed then.
    """
    if not proposal.archives:
        return []
    with Batch(registry, terms) as batch:
        for archive in proposal.archives:
            assert archive.path is not None
            expert = batch.judge(archive.path, archive.identity)
            if check is not None:
                check(expert)
        return batch.commit()


def _plan(registry: Registry, terms: Terms, index: Index, wanted: Sequence[Wanted], here: Here) -> tuple[Plan, tuple[PassedOver, ...]]:
    if not wanted:
        return Plan(()), ()
    plan, passed_over = choose_admitted(registry, terms, index.candidates, lambda offered: resolve(wanted, offered, here))
    _check_current(plan, here)
    return plan, passed_over


def _archives(plan: Plan) -> tuple[Candidate, ...]:
    return tuple(step.candidate for step in plan.changes)


def _check_current(plan: Plan, here: Here) -> None:
    """An archive of a version that is installed adds nothing: going back to it is another wish."""
    present = {one.ref for one in here.installed}
    for step in plan.changes:
        if step.candidate.ref in present:
            raise AlreadyInstalledError(
                f"{step.candidate.ref} is installed, but {step.candidate.name} means {step.previous} now",
                hint=f"use it by its full name, {step.candidate.ref}; or for good: expert-kit use {step.candidate.ref}",
                code="expert_not_current",
            )


def bad_archives(index: Index, limit: int = 5) -> Iterable[str]:
    """Lines about the files of an index that were left out."""
    for bad in index.bad[:limit]:
        yield f"left out {bad.path}: {bad.code}, {bad.message}"
    if len(index.bad) > limit:
        yield f"left out {len(index.bad) - limit} more"
