"""Names that a person takes for each other. Names are ASCII, so what is left are digits like letters, and pairs like one letter."""

from __future__ import annotations

from collections.abc import Iterable

from expert_kit.names import ExpertRef

_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "2": "z", "5": "s", "8": "b", "-": None})
_PAIRS = {"rn": "m", "vv": "w"}


def skeleton(name: str) -> str:
    """The same for all spellings of a name that look alike."""
    # Hyphens go first, so that "r-n" is not taken for another pair than "rn".
    folded = name.translate(_ALIKE)
    for pair, letter in _PAIRS.items():
        folded = folded.replace(pair, letter)
    return folded


def alike(name: str, others: Iterable[str]) -> list[str]:
    """Those of the others that look like ``name`` and are spelled otherwise, sorted."""
    wanted = skeleton(name)
    return sorted({other for other in others if other != name and skeleton(other) == wanted})


def mistakable(ref: ExpertRef, installed: Iterable[ExpertRef]) -> str | None:
    """An installed expert of another publisher that this one may be taken for, since the publisher or the name looks alike."""
    foreign = sorted({other.full_name: other for other in installed if other.namespace != ref.namespace}.items())
    for full_name, other in foreign:
        if alike(ref.namespace, [other.namespace]) or alike(ref.name, [other.name]):
            return full_name
    return None
