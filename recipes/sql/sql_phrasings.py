"""Ways to ask: question frames per intent and modifiers per column flavor, read from phrasings/*.txt, one a line under ``[SECTION]``.

Placeholders: {P} plural noun, {S} singular noun, {M} modifiers after the noun (with a leading space, or empty), {V} the same as a
predicate ("cost more than 5"), {C} column words, {Cs} the same in the plural, {W} one column's words, {Ws} its plural, {X} a
second column's words, {L} the word for the naming column, {n} a number, {hi} a superlative, {v} {u} values, {ed} a participle.
A modifier that ends with # goes with counted things ("3 seats").
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

Frames = tuple[list[str], list[str]]
"""Those of the training questions, and those held out for validation and test."""

Mods = dict[str, Frames]

HELD_SHARE = 20
"""Percent of each section that is never trained on; one at least."""


def _read(folder: Path) -> dict[tuple[str, ...], list[str]]:
    sections: dict[tuple[str, ...], list[str]] = {}
    for path in sorted(folder.glob("*.txt")):
        lines: list[str] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if header := re.fullmatch(r"\[([A-Z_]+( / .+)?)\]", line):
                lines = sections.setdefault(tuple(header[1].split(" / ")), [])
            elif line:
                lines.append(line.replace("\\n", "\n"))
    return sections


_SECTIONS = _read(Path(__file__).resolve().parent / "phrasings")


def hold_out(every: list[str]) -> Frames:
    """Decide by the text alone which phrasings are held out, so that both sides are of the same style."""
    ordered = sorted(dict.fromkeys(every), key=lambda text: hashlib.sha256(text.encode()).digest())
    held = max(1, len(ordered) * HELD_SHARE // 100)
    return ordered[held:], ordered[:held]


@cache
def frames(name: str) -> Frames:
    """The frames of one intent."""
    return hold_out(_SECTIONS[(name,)])


def only(frames: Frames, keep: Callable[[str], bool]) -> Frames:
    """The frames that fit; a side may be left with none."""
    return [f for f in frames[0] if keep(f)], [f for f in frames[1] if keep(f)]


def _words(name: str) -> dict[str, list[str]]:
    return {key[1]: lines for key, lines in _SECTIONS.items() if key[0] == name}


def _mods(*names: str) -> Mods:
    return {key[-1]: hold_out(lines) for key, lines in _SECTIONS.items() if key[:-1] == names}


def _by_flavor(name: str) -> dict[str, Mods]:
    flavors = dict.fromkeys(key[1] for key in _SECTIONS if key[0] == name)
    return {flavor: _mods(name, flavor) for flavor in flavors}


GENERIC = _mods("GENERIC")
TIME = _mods("TIME")
DAY = _mods("DAY")
FLAVOR_MODS = _by_flavor("FLAVOR_MODS") | {"year": TIME, "birth": TIME, "date": DAY}
COMPARISONS = _mods("COMPARISONS")
DIRECTIONS = _mods("DIRECTIONS")
AGGREGATES = _words("AGGREGATES")
SUPER_BY_FLAVOR = _by_flavor("SUPER_BY_FLAVOR")
AGG_BY_FLAVOR = _by_flavor("AGG_BY_FLAVOR")
LOOKUP_BY_FLAVOR = _mods("LOOKUP_BY_FLAVOR")
SUPERLATIVES = {
    key[1]: (lines, _SECTIONS[("SUPERLATIVES", key[1], "lo")])
    for key, lines in _SECTIONS.items()
    if key[0] == "SUPERLATIVES" and key[2] == "hi"
}
