"""The resolver against a search over every combination, which knows neither resolvelib nor the parser of ranges."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.errors import ResolutionError
from expert_kit.registry.candidates import Candidate
from expert_kit.registry.pool import Here, Wanted
from expert_kit.registry.ranges import VersionRange
from expert_kit.registry.resolve import resolve
from tests.support.builders import tiny_base
from tests.support.candidates import candidate, installed

VERSIONS = ("1.0.0", "1.1.0", "2.0.0")
MEANING = {
    "*": set(VERSIONS), "^1": {"1.0.0", "1.1.0"}, "1.0.0": {"1.0.0"}, ">=1.1": {"1.1.0", "2.0.0"}, "^2": {"2.0.0"}, ">2": set(),
    "1.0.0 || 2.0.0": {"1.0.0", "2.0.0"}, "<2": {"1.0.0", "1.1.0"},
}  # fmt: skip
NAMES = ("x/a", "x/b", "x/c", "x/d")
RANGES = st.sampled_from(sorted(MEANING))
EDGES = st.dictionaries(st.sampled_from(NAMES), RANGES, max_size=2)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Candidate], list[Candidate], list[tuple[str, str]]]:
    """What is offered, what is installed, and what is asked for."""
    offered = [
        candidate(f"{name}@{version}", draw(EDGES), draw(EDGES) if draw(st.booleans()) else {})
        for name in NAMES
        for version in draw(st.lists(st.sampled_from(VERSIONS), unique=True))
    ]
    here = draw(st.lists(st.sampled_from(offered), unique_by=lambda one: one.name, max_size=2)) if offered else []
    wishes = draw(st.lists(st.tuples(st.sampled_from(NAMES), RANGES), min_size=1, max_size=2))
    return offered, here, wishes


def consistent(chosen: dict[str, Candidate]) -> bool:
    """Every requirement of what is chosen is met and nothing that it excludes is there, itself included."""
    for one in chosen.values():
        if any(name not in chosen or chosen[name].version not in MEANING[text] for name, text in one.requires.items()):
            return False
        if any(name in chosen and chosen[name].version in MEANING[text] for name, text in one.conflicts.items()):
            return False
    return True


def answers(offered: list[Candidate], here: list[Candidate], wishes: list[tuple[str, str]]) -> Iterator[dict[str, Candidate]]:
    """Every consistent set that has what is asked for and some version of what is installed."""
    choices = [[None, *(one for one in offered if one.name == name)] for name in NAMES]
    for row in product(*choices):
        chosen = {one.name: one for one in row if one is not None}
        kept = all(one.name in chosen for one in here)
        if kept and consistent(chosen) and all(name in chosen and chosen[name].version in MEANING[text] for name, text in wishes):
            yield chosen


def ask(offered: list[Candidate], here: list[Candidate], wishes: list[tuple[str, str]]) -> dict[str, Candidate] | None:
    """What the resolver leaves installed, or None if it finds nothing."""
    wanted = [Wanted(name, VersionRange.parse(text)) for name, text in wishes]
    rows = [installed(str(one.ref), one.requires, one.conflicts) for one in here]
    try:
        plan = resolve(wanted, offered, Here("0.1.0", [tiny_base()], rows))
    except ResolutionError as error:
        if not (error.message and error.hint):
            raise
        return None
    names = [step.candidate.name for step in plan.steps]
    assert len(set(names)) == len(names)
    return {**{one.name: one for one in here}, **{step.candidate.name: step.candidate for step in plan.steps}}


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_an_answer_is_found_if_there_is_one_and_it_holds(world) -> None:
    offered, here, wishes = world
    sound = consistent({one.name: one for one in here})
    expected = list(answers(offered, here, wishes)) if sound else None
    found = ask(offered, here, wishes)
    if expected is not None:
        assert (found is not None) == bool(expected)
    if found is not None:
        assert all(found[name].version in MEANING[text] for name, text in wishes)
        if sound:
            assert consistent(found)


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_the_answer_does_not_depend_on_the_order_of_the_archives(world) -> None:
    offered, here, wishes = world
    assert ask(offered, here, wishes) == ask(offered[::-1], here[::-1], wishes[::-1])
