"""From what the user asked for to a set of versions that fit together, by resolvelib.

One version of a name counts at a time: the current one. Everything that is installed stays installed, and it is changed
only where the wish leaves no other way. expert-kit itself and the base models that are here take part as packages with
one candidate each, so that a conflict with them has two sides like any other. An expert that excludes another one is a
demand that a version outside the range meets, or no version at all.

What resolvelib finds is checked again here; ``backtrack.py`` says why, and has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from resolvelib import AbstractProvider, ResolutionImpossible, ResolutionTooDeep
from resolvelib.resolvers import Resolution
from resolvelib.structs import RequirementInformation

from expert_kit.errors import ResolutionError
from expert_kit.names import version_key
from expert_kit.registry.backtrack import GaveUp, holds, search
from expert_kit.registry.candidates import Candidate
from expert_kit.registry.explain import explain, say
from expert_kit.registry.needs import BASE, Fixed, Need, Node, Trace
from expert_kit.registry.pool import Here, Pool, Wanted
from expert_kit.registry.ranges import VersionRange
from expert_kit.registry.records import TOOL

MAX_ROUNDS = 2_000


@dataclass(frozen=True)
class Step:
    """One expert of a plan."""

    candidate: Candidate
    previous: str | None
    """The version that the name means now; None if it is not installed."""
    because: tuple[str, ...]
    """Who wants it, in words."""

    @property
    def action(self) -> str:
        """``keep``, ``install``, ``update`` or ``downgrade``; ``replace`` for other content of the same precedence."""
        if self.candidate.installed:
            return "keep"
        if self.previous is None:
            return "install"
        before, after = version_key(self.previous), version_key(self.candidate.version)
        return "update" if after > before else "downgrade" if after < before else "replace"


@dataclass(frozen=True)
class Plan:
    """Versions that fit together, those first that others require: what was asked for, and what changes."""

    steps: tuple[Step, ...]

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that change what is installed."""
        return tuple(step for step in self.steps if step.action != "keep")


def resolve(wanted: Sequence[Wanted], offered: Iterable[Candidate], here: Here) -> Plan:
    """Choose a version of everything that is wanted and of everything that takes.

    Args:
        wanted: all of it, or an error.
        offered: what archives are there to choose from; a wanted file need not be among them.
        here: what is installed and the rules.

    Raises:
        ResolutionError: no set of versions fits; the message says who wants what, and the hint what to do.
    """
    pool = Pool(wanted, offered, here)
    # resolvelib looks at every open name in every round: a thousand names that have nothing to do with each other are
    # a thousand small problems, not a large one.
    return Plan(tuple(step for group in pool.groups() for step in _steps(pool, group)))


class _Problem(AbstractProvider[Need, Node, str]):
    """What resolvelib asks while it searches."""

    def __init__(self, pool: Pool, wanted: Sequence[Wanted], *, lenient: bool) -> None:
        self.pool, self.here, self.wanted = pool, pool.here, wanted
        self._lenient = lenient
        self._needs: dict[Candidate, tuple[Need, ...]] = {}

    def solve(self) -> dict[str, Candidate]:
        """The chosen version of each name; others may be among them. Raises ``ResolutionError``."""
        trace = Trace()
        causes: Sequence[RequirementInformation[Need, Node]] = ()
        found: Mapping[str, Node] | None = None
        try:
            # Not ``Resolver``: on its way to the result graph it recurses without end where names that nobody wants any
            # more require each other (resolvelib 1.2.1). ``_wanted`` leaves those names out.
            found = self._wanted(Resolution(self, trace).resolve(self.roots(), max_rounds=MAX_ROUNDS).mapping)
        except ResolutionTooDeep:
            pass
        except ResolutionImpossible as error:
            causes = tuple(error.causes)
        if found is None or not holds(self, found):
            found = self._search(causes)
        if found is None:
            raise explain(self.pool, causes, trace)
        return {name: node for name, node in found.items() if isinstance(node, Candidate)}

    def _search(self, causes: Sequence[RequirementInformation[Need, Node]]) -> dict[str, Node] | None:
        try:
            return search(self)
        except GaveUp:
            if causes:
                return None
            raise ResolutionError(
                "no answer in a sensible time: too many versions exclude each other",
                hint="name versions, as in NAME@1.2.0, so that there is less to choose from",
                code="resolution_too_deep",
            ) from None

    def _wanted(self, chosen: Mapping[str, Node]) -> dict[str, Node]:
        """Leave out what resolvelib chose on its way and nobody requires any more."""
        reached: dict[str, Node] = {}
        ahead = self.roots()
        while ahead:
            name = ahead.pop().name
            if name in chosen and name not in reached:
                reached[name] = chosen[name]
                ahead += (need for need in self.get_dependencies(chosen[name]) if not need.forbids)
        return reached

    def roots(self) -> list[Need]:
        """What holds whatever is chosen."""
        current, asked = self.pool.current, {want.name for want in self.wanted}
        needs = [
            Need(
                want.name,
                "asked",
                want.range,
                identity=want.archive.identity if want.archive else None,
                at_least=current[want.name].version if want.newest and want.name in current else None,
                pre=self.here.pre,
            )
            for want in self.wanted
        ]
        return needs + [Need(name, "kept") for name in sorted(self.pool.affected(self.wanted) & current.keys() - asked)]

    def identify(self, requirement_or_candidate: Need | Node) -> str:
        """The name."""
        return requirement_or_candidate.name

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Node],
        candidates: Mapping[str, Iterator[Node]],
        information: Mapping[str, Iterator[RequirementInformation[Need, Node]]],
        backtrack_causes: Sequence[RequirementInformation[Need, Node]],
    ) -> tuple[bool, bool, str]:
        """What has one candidate first, then what the last conflict was about, then by name."""
        involved = any(identifier in (cause.requirement.name, cause.parent and cause.parent.name) for cause in backtrack_causes)
        return identifier not in (TOOL, BASE), not involved, identifier

    def find_matches(
        self, identifier: str, requirements: Mapping[str, Iterator[Need]], incompatibilities: Mapping[str, Iterator[Node]]
    ) -> list[Node]:
        """The candidates that meet all demands, the most preferred first."""
        needs, refused = list(requirements[identifier]), set(incompatibilities[identifier])
        return [node for node in self.nodes(identifier) if node not in refused and all(need.allows(node) for need in needs)]

    def is_satisfied_by(self, requirement: Need, candidate: Node) -> bool:
        """See ``Need.allows``."""
        return requirement.allows(candidate)

    def get_dependencies(self, candidate: Node) -> tuple[Need, ...]:
        """The demands of what is chosen."""
        if isinstance(candidate, Fixed):
            return ()
        if candidate not in self._needs:
            needs = needs_of(candidate, self.here)
            forgiving = self._lenient and candidate.installed
            self._needs[candidate] = tuple(need for need in needs if not forgiving or self._holds_now(need))
        return self._needs[candidate]

    def nodes(self, name: str) -> list[Node]:
        """Every candidate of a name, its absence included."""
        if name in (TOOL, BASE):
            return [Fixed(name, self.here.tool)]
        return [Fixed(name, absent=True), *self.pool.candidates(name)]

    def _holds_now(self, need: Need) -> bool:
        if need.name == TOOL:
            return need.allows(Fixed(TOOL, self.here.tool))
        return need.allows(self.pool.current.get(need.name) or Fixed(need.name, absent=True))


def needs_of(candidate: Candidate, here: Here) -> Iterator[Need]:
    """The demands of an expert. The base model of a file that the user named is judged when it is installed."""
    for name, text in sorted(candidate.requires.items()):
        if name != candidate.name:
            yield Need(name, "requires", VersionRange.parse(text), pre=here.pre)
    for name, text in sorted(candidate.conflicts.items()):
        if name != candidate.name:
            yield Need(name, "conflicts", VersionRange.parse(text))
    if candidate.bases and not (candidate.asked and candidate.path):
        yield Need(BASE, "requires", base=here.fits(candidate))


def _steps(pool: Pool, wanted: Sequence[Wanted]) -> list[Step]:
    try:
        return _plan(_Problem(pool, wanted, lenient=False))
    except ResolutionError:
        # What is broken already shall not stop what does not depend on it.
        return _plan(_Problem(pool, wanted, lenient=True))


def _plan(problem: _Problem) -> list[Step]:
    """The chosen versions in the order of their requirements; a cycle is entered at the name that comes first."""
    chosen, roots = problem.solve(), problem.roots()
    reasons: dict[str, list[str]] = {}
    order: list[str] = []
    for need in roots:
        if need.kind == "asked":
            reasons.setdefault(need.name, []).append(say(need, None))
        _visit(need.name, problem, chosen, reasons, order)
    asked = {need.name for need in roots if need.kind == "asked"}
    steps = (_step(problem.pool, chosen[name], reasons.get(name, [])) for name in order)
    return [step for step in steps if step.action != "keep" or step.candidate.name in asked]


def _visit(name: str, problem: _Problem, chosen: Mapping[str, Candidate], reasons: dict[str, list[str]], order: list[str]) -> None:
    """Depth first, without recursion: what is required comes before what requires it."""
    seen, stack = set(order), [(name, False)]
    while stack:
        at, done = stack.pop()
        if done:
            order.append(at)
            continue
        if at in seen:
            continue
        seen.add(at)
        stack.append((at, True))
        for need in reversed(problem.get_dependencies(chosen[at])):
            if need.name in chosen and not need.forbids:
                reasons.setdefault(need.name, []).append(say(need, chosen[at]))
                stack.append((need.name, False))


def _step(pool: Pool, candidate: Candidate, because: Sequence[str]) -> Step:
    current = pool.current.get(candidate.name)
    return Step(candidate, current.version if current else None, tuple(dict.fromkeys(because)))
