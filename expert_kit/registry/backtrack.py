"""A plain search that has the last word where resolvelib finds nothing or goes wrong.

resolvelib takes back choices as it goes, and so it may call a solvable set impossible (sarugaku/resolvelib#134), or
forget the demands of a choice that it kept. This search never takes back anything but its last choice: slower in the
worst case, but what it finds holds, and what it does not find is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from expert_kit.registry.needs import Need, Node

MAX_CHOICES = 20_000
MAX_NAMES = 400
"""Depth of the recursion."""

Demands = dict[str, tuple[Need, ...]]


class Problem(Protocol):
    """The part of resolvelib's provider that a search needs."""

    def roots(self) -> list[Need]:
        """What holds whatever is chosen."""

    def nodes(self, name: str) -> list[Node]:
        """Every candidate of a name, the most preferred first."""

    def get_dependencies(self, candidate: Node) -> Iterable[Need]:
        """The demands of a choice."""


class GaveUp(Exception):  # noqa: N818 - not an error of a user
    """The search is larger than it may be."""


def search(problem: Problem) -> dict[str, Node] | None:
    """A choice for every name that is wanted, or None if there is none.

    Raises:
        GaveUp: after ``MAX_CHOICES`` choices, or with more than ``MAX_NAMES`` names at once.
    """
    demands = _add({}, problem.roots())
    return _extend(problem, {}, demands, iter(range(MAX_CHOICES)))


def holds(problem: Problem, chosen: Mapping[str, Node]) -> bool:
    """Whether these choices meet the roots' demands and each other's."""
    needs = [*problem.roots(), *(need for node in chosen.values() for need in problem.get_dependencies(node))]
    return all(need.allows(chosen[need.name]) if need.name in chosen else need.forbids for need in needs)


def _extend(problem: Problem, chosen: dict[str, Node], demands: Demands, budget: Iterator[int]) -> dict[str, Node] | None:
    # A name that is only excluded needs no choice: it stays away.
    ahead = {name: _left(problem, name, demands) for name, needs in demands.items() if name not in chosen and _is_wanted(needs)}
    if not ahead:
        return chosen
    if next(budget, None) is None or len(chosen) > MAX_NAMES:
        raise GaveUp
    name = min(ahead, key=lambda name: (len(ahead[name]), name))
    for node in ahead[name]:
        more = tuple(problem.get_dependencies(node))
        if all(need.name not in chosen or need.allows(chosen[need.name]) for need in more if need.name != name):
            found = _extend(problem, {**chosen, name: node}, _add(demands, more), budget)
            if found is not None:
                return found
    return None


def _is_wanted(needs: Iterable[Need]) -> bool:
    return not all(need.forbids for need in needs)


def _left(problem: Problem, name: str, demands: Demands) -> list[Node]:
    return [node for node in problem.nodes(name) if all(need.allows(node) for need in demands[name])]


def _add(demands: Demands, more: Iterable[Need]) -> Demands:
    added = dict(demands)
    for need in more:
        added[need.name] = (*added.get(need.name, ()), need)
    return added
