"""Slips of the keyboard between words: how many there are, and which words of a list are few slips away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def slips_between(one: str, other: str, most: int) -> int | None:
    """Letters lost, added, replaced, or swapped with their neighbour; None if more than ``most``.

    The restricted Damerau-Levenshtein distance.
    """
    if abs(len(one) - len(other)) > most:
        return None
    earlier, last = list(range(len(other) + 1)), list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, wanted in enumerate(other, 1):
            best = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != wanted))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == wanted:
                best = min(best, earlier[column - 2] + 1)
            now.append(best)
        if min(now) > most:
            return None
        earlier, last = last, now
    return last[-1] if last[-1] <= most else None


class WordList:
    """Words among which those that look like another one are found fast."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._bags = _bags(self._words)

    def maybe_near(self, word: str, most: int) -> Iterator[str]:
        """All words of at most ``most`` slips to this one, and some of more."""
        # A slip changes at most two counts of letters by one.
        close = np.flatnonzero(np.abs(self._bags - _bags([word])).sum(axis=1) <= 2 * most)
        return (self._words[place] for place in close)

    def near(self, word: str, most: int) -> dict[str, int]:
        """The other words of at most ``most`` slips to this one, and how many; in the order of the list."""
        found = ((one, slips_between(word, one, most)) for one in self.maybe_near(word, most) if one != word)
        return {one: slips for one, slips in found if slips is not None}


def _bags(words: Sequence[str]) -> NDArray[np.int16]:
    """(n, 27): how often each letter a to z, and any other, is in a word."""
    letters = np.zeros((len(words), 27), np.int16)
    for at, word in enumerate(words):
        for letter in word:
            letters[at, ord(letter) - 97 if "a" <= letter <= "z" else 26] += 1
    return letters
