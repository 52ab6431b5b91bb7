"""The user's own routing rules: a small TOML file, never part of a package.

.. code-block:: toml

    [[rule]]
    name = "sql files go to the sql experts"
    priority = 10                        # higher first; 0 if not given; equal ones in the order of the file
    when = { format = "sql", language = ["en", "de"] }
    then = { expert = "expert-kit/sql*" }

All conditions of ``when`` must hold; a list holds if one of its entries does. Of all rules that fire, the first with
``expert`` or ``base`` decides who answers; ``forbid`` and ``prefer`` of every rule that fires add up.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from expert_kit.routing.conditions import CONDITIONS, Given
from expert_kit.routing.rules_file import Problems, RawRule, read_rules_file
from expert_kit.routing.signals import Signals

PREFER_GAP: Final = 0.02
"""``prefer`` breaks ties that are closer than this, in probability, and nothing else."""

_ACTIONS: Final = ("expert", "base", "forbid", "prefer")
_PATTERN: Final = re.compile(r"[a-z0-9*][a-z0-9*-]{0,62}/[a-z0-9*][a-z0-9*-]{0,62}")
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Rule:
    """One checked rule."""

    name: str
    priority: int
    line: int
    """Where it starts in its file, 1-based."""
    when: tuple[tuple[str, tuple[str, ...]], ...]
    """(condition, values), each a row of ``CONDITIONS``."""
    action: str
    """``expert``, ``base``, ``forbid`` or ``prefer``."""
    patterns: tuple[str, ...]
    """Names of experts, ``*`` for any letters; empty for ``base``."""


class FiredRule(NamedTuple):
    """A rule whose conditions hold for a prompt."""

    name: str
    line: int
    action: str
    patterns: tuple[str, ...]
    because: tuple[str, ...]
    """One text for each condition: what it found."""
    effect: str
    """``decides``, ``applies``, ``outranked`` (a rule above it decided) or ``no_such_expert`` (no candidate has such a name)."""


@dataclass(frozen=True)
class RuleOutcome:
    """What the rules say about one prompt."""

    fired: tuple[FiredRule, ...] = ()
    """Highest priority first."""
    forced: tuple[str, ...] | None = None
    """Full names that answer, sorted; empty: the base model alone; None: no rule decides."""
    forbidden: frozenset[str] = frozenset()
    preferred: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    """Conditions that could not be checked, and rules for experts that are not there, for a person."""

    def lines(self) -> list[str]:
        """The rules that fired, for an explanation; a prompt's or a user's text in it is not escaped."""
        done = [
            f"rule {one.name!r} (line {one.line}): {one.action} {', '.join(one.patterns)}".rstrip()
            + f"; {one.effect.replace('_', ' ')}; because {' and '.join(one.because)}"
            for one in self.fired
        ]
        return [*done, *self.notes]


def load_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, highest priority first; no file is no rules.

    Raises:
        DataError: ``rules_invalid``, unreadable, not TOML, or any number of bad rules; the message has one line for each
            problem, ``file:line: key: problem``.
    """
    problems = Problems(path)
    rules = [_rule(raw, problems) for raw in read_rules_file(path, problems)]
    seen: dict[str, int] = {}
    for rule in rules:
        if rule is not None and seen.setdefault(rule.name, rule.line) != rule.line:
            problems.add(rule.line, "name", f"{rule.name!r} is also the name of the rule in line {seen[rule.name]}")
    problems.stop()
    return tuple(sorted((rule for rule in rules if rule is not None), key=lambda rule: (-rule.priority, rule.line)))


def apply_rules(rules: Sequence[Rule], text: str, signals: Signals, candidates: Collection[str]) -> RuleOutcome:
    """What the rules say about a prompt.

    Args:
        rules: as :func:`load_rules` gives them.
        text: the prompt; only its first 20,000 characters are looked at.
        signals: of the same prompt.
        candidates: full names of the experts that could answer.
    """
    given, notes = Given.of(text, signals), list[str]()
    fired: list[FiredRule] = []
    forced: tuple[str, ...] | None = None
    for rule in rules:
        because = _holds(rule, given, notes)
        if because is None:
            continue
        named = tuple(sorted(name for name in candidates if matches(rule.patterns, name)))
        deciding = rule.action in ("expert", "base")
        if rule.patterns and not named:
            effect = "no_such_expert"
            patterns = " or ".join(rule.patterns)
            notes.append(f"rule {rule.name!r} (line {rule.line}) does nothing: no installed expert for this base is called {patterns}")
        elif deciding and forced is not None:
            effect = "outranked"
        else:
            effect = "decides" if deciding else "applies"
        if effect == "decides":
            forced = named
        fired.append(FiredRule(rule.name, rule.line, rule.action, rule.patterns, because, effect))
    return RuleOutcome(
        tuple(fired), forced, _named(fired, "forbid", candidates), _named(fired, "prefer", candidates), tuple(dict.fromkeys(notes))
    )


def break_ties(ranked: Sequence[tuple[_Key, float]], preferred: Collection[_Key]) -> list[tuple[_Key, float]]:
    """Move what is preferred ahead of what is closer than ``PREFER_GAP`` above it; scores stay as they are.

    Args:
        ranked: (expert, probability), best first.
        preferred: some of these experts.
    """
    order = sorted(
        range(len(ranked)),
        key=lambda at: (-(ranked[at][1] + (PREFER_GAP - 1e-9 if ranked[at][0] in preferred else 0.0)), at),
    )
    return [ranked[at] for at in order]


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether an expert's full name fits one of the patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _named(fired: Sequence[FiredRule], action: str, candidates: Collection[str]) -> frozenset[str]:
    return frozenset(name for one in fired if one.action == action for name in candidates if matches(one.patterns, name))


def _holds(rule: Rule, given: Given, notes: list[str]) -> tuple[str, ...] | None:
    because = []
    for condition, values in rule.when:
        try:
            found = CONDITIONS[condition].find(given, values)
        except TimeoutError:
            notes.append(f"rule {rule.name!r}: {condition} took too long and counts as not met")
            return None
        if found is None:
            return None
        because.append(found)
    return tuple(because)


def _rule(raw: RawRule, problems: Problems) -> Rule | None:
    """The checked rule; None if it has problems, which are then listed."""
    before = len(problems.lines)
    for key in raw.unknown({"name", "priority", "when", "then"}):
        problems.unknown(raw.line_of(key), key, ("name", "priority", "when", "then"))
    name = raw.text("name", problems)
    priority = raw.integer("priority", -1000, 1000, problems)
    when = tuple(_condition(raw, key, problems) for key in raw.table("when", problems))
    action, patterns = _action(raw, problems)
    if len(problems.lines) > before:
        return None
    return Rule(name, priority, raw.line, when, action, patterns)


def _condition(raw: RawRule, key: str, problems: Problems) -> tuple[str, tuple[str, ...]]:
    line = raw.line_of(key, "when")
    if key not in CONDITIONS:
        problems.unknown(line, f"when.{key}", CONDITIONS)
        return key, ()
    values = raw.texts("when", key, problems)
    for value in values:
        if problem := CONDITIONS[key].problem(value):
            problems.add(line, f"when.{key}", problem)
    return key, values


def _action(raw: RawRule, problems: Problems) -> tuple[str, tuple[str, ...]]:
    then = raw.table("then", problems)
    for key in then:
        if key not in _ACTIONS:
            problems.unknown(raw.line_of(key, "then"), f"then.{key}", _ACTIONS)
    named = [key for key in _ACTIONS if key in then]
    if len(named) != 1:
        problems.add(raw.line_of("then"), "then", f"needs exactly one of {', '.join(_ACTIONS)}")
        return "", ()
    action = named[0]
    line = raw.line_of(action, "then")
    if action == "base":
        if then["base"] is not True:
            problems.add(line, "then.base", "write base = true")
        return action, ()
    patterns = raw.texts("then", action, problems)
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            problems.add(line, f"then.{action}", f"{pattern!r} is no namespace/name; * stands for any letters")
    return action, patterns
