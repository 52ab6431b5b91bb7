"""What an index offers and an install would refuse is passed over, so that one bad archive stops no good one.

Only what would be chosen is looked at: whether the trust policies let it in, and with it the other archives of its name;
then what is in it. A file that the user named is not passed over: its install says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from expert_kit.archive import ArchiveReader
from expert_kit.errors import (
    ArchiveError,
    BaseMismatchError,
    CheckUnavailableError,
    ExpertKitError,
    IncompatibleAdapterError,
    ManifestError,
    RegistryError,
    ResolutionError,
    SignatureError,
)
from expert_kit.registry.admission import admit
from expert_kit.registry.batch import Terms, detached_lines
from expert_kit.registry.candidates import Candidate
from expert_kit.registry.install import check_fit
from expert_kit.registry.resolve import Plan
from expert_kit.registry.store import Registry
from expert_kit.signing import FirstUse, TrustStore

Choose = Callable[[Sequence[Candidate]], Plan]

_LISTED = 5
_CONTENT = (ArchiveError, ManifestError, IncompatibleAdapterError)


@dataclass(frozen=True)
class PassedOver:
    """An archive of an index that would not be let in."""

    expert: str
    path: Path
    code: str
    message: str
    damaged: bool = False
    """Its signatures are good and what it holds is not: it was damaged on its way, or made badly."""


def choose_admitted(registry: Registry, terms: Terms, offered: Iterable[Candidate], choose: Choose) -> tuple[Plan, tuple[PassedOver, ...]]:
    """A plan without the archives that would be refused, be it for their signatures or for what is in them.

    Args:
        registry: where the plan is for.
        terms: on which it is carried out. Where a person can be asked about a first use, that archive is not passed over.
        offered: the archives of an index.
        choose: makes a plan of those that are left.

    Raises:
        ExpertKitError: nothing fits without the archive that was refused for this reason.
        ResolutionError: nothing fits anyway.
    """
    screen = _Screen(registry, terms, offered)
    while True:
        try:
            plan = choose(screen.left())
        except ResolutionError as error:
            if screen.first is not None:
                raise screen.first from error
            raise
        if not screen.refuses(plan):
            return plan, tuple(screen.passed_over())


def lines_of(passed_over: Sequence[PassedOver]) -> Iterator[str]:
    """What was passed over, for people."""
    for one in passed_over[:_LISTED]:
        yield f"passed over {one.expert} ({one.path}): {one.code}, {one.message}"
    if len(passed_over) > _LISTED:
        yield f"passed over {len(passed_over) - _LISTED} more"


class _Screen:
    def __init__(self, registry: Registry, terms: Terms, offered: Iterable[Candidate]) -> None:
        self._registry, self._terms, self._trust = registry, terms, TrustStore(registry.trust_home)
        self._offered = {candidate.path: candidate for candidate in offered if candidate.path is not None}
        self._verdicts: dict[Path, ExpertKitError | None] = {}
        self._opened: set[Path] = set()
        self._would_ask: set[Path] = set()
        self.first: ExpertKitError | None = None
        """Why the first archive was passed over."""

    def left(self) -> list[Candidate]:
        """What may still be chosen."""
        return [candidate for path, candidate in self._offered.items() if self._verdicts.get(path) is None]

    def refuses(self, plan: Plan) -> bool:
        """Look at what the plan takes from the index, and at every other archive of a name that has a bad one."""
        chosen = [step.candidate for step in plan.changes if step.candidate.path in self._offered]
        bad = {candidate.name for candidate in chosen if self._is_new(candidate)}
        for candidate in self.left() if bad else ():
            if candidate.name in bad:
                self._is_new(candidate)
        return bool(bad) or not all([self._is_sound(candidate) for candidate in chosen])

    def passed_over(self) -> Iterator[PassedOver]:
        for path, error in self._verdicts.items():
            if error is not None:
                damaged = isinstance(error, _CONTENT) and not isinstance(error, BaseMismatchError)
                yield PassedOver(str(self._offered[path].ref), path, error.code, error.message, damaged)

    def _is_new(self, candidate: Candidate) -> bool:
        """Whether this archive is not let in, which was not known before."""
        if candidate.path is None or candidate.path in self._verdicts:
            return False
        error = self._verdicts[candidate.path] = self._refusal(candidate, candidate.path)
        self.first = self.first or error
        return error is not None

    def _is_sound(self, candidate: Candidate) -> bool:
        """Whether what is in an archive that may come in is as it has to be; all of it is read, so only once."""
        path = candidate.path
        if path is None or path in self._opened:
            return True
        self._opened.add(path)
        error = self._verdicts[path] = self._fault(candidate, path)
        self.first = self.first or error
        return error is None

    def _fault(self, candidate: Candidate, path: Path) -> ExpertKitError | None:
        if path in self._would_ask:
            return None  # nobody has vouched for it yet: the install looks at it after the answer
        policy, terms = self._trust.policy_for(candidate.name), self._terms
        try:
            with ArchiveReader.open(path) as reader:
                check_fit(reader, terms.bases, policy, allow_missing_base=terms.allow_missing_base, probe=terms.probe)
        except _CONTENT as error:
            return error
        except ExpertKitError:  # something else than this archive is at fault, and the install says so
            return None
        return None

    def _refusal(self, candidate: Candidate, path: Path) -> ExpertKitError | None:
        self._trust.policy_for(candidate.name)  # a broken trust.toml is no fault of the archive
        known = sorted({signer for version in self._registry.versions(candidate.ref) for signer in version.signers})
        terms = self._terms
        try:
            with ArchiveReader.open(path) as reader:
                admit(
                    reader,
                    self._trust,
                    known,
                    ask=_leave_it_to_the_install if terms.ask is not None else None,
                    unsafe_allow_unsigned=terms.unsafe_allow_unsigned,
                    detached=detached_lines(path),
                    trial=True,
                )
        except (SignatureError, CheckUnavailableError, RegistryError) as error:
            return error
        except _WouldAskError:
            self._would_ask.add(path)
        except ExpertKitError:  # the other errors are about content
            return None
        return None


class _WouldAskError(Exception):
    """A person will be asked at the install."""


def _leave_it_to_the_install(use: FirstUse) -> bool:
    raise _WouldAskError(use.key_id)
