"""Prompts that nobody covers: kept if the user wants it, put into groups, named by their words."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from expert_kit.routing.background import BACKGROUND
from expert_kit.routing.encoder import Vectors, clean_text
from expert_kit.routing.journal import LONGEST_TEXT, Journal
from expert_kit.routing.keywords import words_and_pairs

MOST_ROWS: Final = 2_000
FEWEST: Final = 10
"""Prompts of a group from which on it is proposed as an expert."""
CLOSE: Final = 0.5
"""Cosine from which on two prompts are neighbours."""
DENSE: Final = 3
"""Neighbours, itself included, that make a prompt part of a group's core."""
_SHORTEST_WORD: Final = 3
_STOP: Final = frozenset(
    re.findall(
        r"\w+",
        "the and for you your can what how who why when where which with from this that are was were will would could should please me my "
        "mine its into out about some any all one two get give tell need want have has had does did not but there here just like",
    )
)


@dataclass(frozen=True)
class Gap:
    """A group of prompts that no expert covers."""

    name: str
    """Its most telling words, joined by ``-``; a slug."""
    prompts: tuple[str, ...]
    """The most typical first."""
    count: int
    """Times they were asked; a prompt may come several times."""
    days: int
    """Different days on which they were asked."""


class GapLog:
    """The log of uncovered prompts; off until the user switches it on."""

    def __init__(self, folder: Path) -> None:
        self._switch = folder / "gaps.on"
        self._journal = Journal(folder / "gaps.jsonl", MOST_ROWS)

    @property
    def is_on(self) -> bool:
        """Whether uncovered prompts are kept."""
        return self._switch.is_file()

    def switch(self, *, on: bool) -> None:
        """Keep them from now on, or no longer; what is there stays, see :meth:`clear`."""
        self._switch.parent.mkdir(parents=True, exist_ok=True)
        if on:
            self._switch.touch()
        else:
            self._switch.unlink(missing_ok=True)

    def clear(self) -> int:
        """Forget all prompts; how many there were."""
        count = len(self._journal.rows())
        self._journal.path.unlink(missing_ok=True)
        return count

    def note(self, text: str) -> None:
        """Keep one prompt, its first 500 characters, if the log is on.

        Raises:
            CapacityError: ``journal_unwritable``.
        """
        if self.is_on and (cleaned := clean_text(text)[:LONGEST_TEXT].rstrip()):
            self._journal.add({"text": cleaned, "day": time.strftime("%Y-%m-%d", time.gmtime())})

    def rows(self) -> list[tuple[str, str]]:
        """(prompt, day), oldest first."""
        return [
            (row["text"], row["day"])
            for row in self._journal.rows()
            if isinstance(row.get("text"), str) and isinstance(row.get("day"), str) and row["text"]
        ]


def find_gaps(rows: Sequence[tuple[str, str]], vectors: Vectors, fewest: int = FEWEST) -> list[Gap]:
    """Groups of at least ``fewest`` prompts, the largest first.

    Args:
        rows: (prompt, day).
        vectors: (n, d) unit sentence vectors of the same prompts.
        fewest: prompts of a group, repetitions included.

    Source: DBSCAN (Ester et al., 1996) with cosines.
    """
    found = []
    for members in _groups(vectors):
        texts = Counter(rows[at][0] for at in members)
        if len(members) < fewest:
            continue
        middle = vectors[members].mean(axis=0)
        typical = sorted(texts, key=lambda text: (-max(float(vectors[at] @ middle) for at in members if rows[at][0] == text), text))
        outside = [text for at, (text, _) in enumerate(rows) if at not in set(members)]
        days = len({rows[at][1] for at in members})
        found.append(Gap(_name(typical, outside), tuple(typical), len(members), days))
    return sorted(found, key=lambda gap: (-gap.count, gap.name))


def _groups(vectors: Vectors) -> list[list[int]]:
    if not len(vectors):
        return []
    near = vectors @ vectors.T >= CLOSE
    core = near.sum(axis=1) >= DENSE
    owner = np.full(len(vectors), -1)
    count = 0
    for seed in np.flatnonzero(core):
        if owner[seed] >= 0:
            continue
        open_ends = [int(seed)]
        while open_ends:
            at = open_ends.pop()
            if owner[at] < 0:
                owner[at] = count
                open_ends += np.flatnonzero(near[at] & (owner < 0)).tolist() if core[at] else []
        count += 1
    return [np.flatnonzero(owner == number).tolist() for number in range(count)]


def _name(texts: Sequence[str], outside: Sequence[str]) -> str:
    """The two words that most of the group use and others do not."""
    inside = Counter(word for text in texts for word in set(_words(text)))
    elsewhere = Counter(word for text in (*outside, *BACKGROUND) for word in set(_words(text)))
    total = len(outside) + len(BACKGROUND)

    def telling(word: str) -> float:
        return inside[word] / len(texts) * math.log((1 + total) / (1 + elsewhere[word]))

    best = sorted(inside, key=lambda word: (-telling(word), word))[:2]
    return "-".join(best) or "unnamed"


def _words(text: str) -> list[str]:
    plain = [word for word in words_and_pairs(text) if " " not in word]
    return [word for word in plain if word.isascii() and word.isalnum() and len(word) >= _SHORTEST_WORD and word not in _STOP]
