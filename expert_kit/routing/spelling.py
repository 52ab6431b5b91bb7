"""Words that look mistyped -> the words that were probably meant: those of the examples, or others of the language."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from expert_kit.slips import WordList, slips_between

MOST_WORDS: Final = 20_000
"""Of the examples; the rarest go first."""
MOST_CORRECTED: Final = 8
"""A prompt with more such words, or with more than ``MOST_SHARE`` of them, is in another language or no prose."""
MOST_SHARE: Final = 0.6
SURELY_KNOWN_PAIR: Final = 10
"""A word of the language becomes another one only if the examples have that beside its neighbour so often."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_FARTHEST: Final = 2
_SHORTEST_FOR_TWO: Final = 5
_SHORTEST_ALONE: Final = 3
"""Letters from which on a word is corrected though the examples do not have its correction beside a neighbour."""
_UNSEEN: Final = 0.1
"""Occurrences that a word counts which only the language has."""
_PER_SLIP: Final = 4.0
_PER_PAIR: Final = 2.0


class Speller:
    """Knows the words of the examples and of the language, and which words the examples have side by side."""

    def __init__(self, texts: Sequence[str], language: Sequence[str]) -> None:
        """Count.

        Args:
            texts: examples.
            language: other words that are right, the commonest first; without them no word looks mistyped.
        """
        split = [_words(text) for text in texts]
        counts = Counter(word for words in split for word in words)
        self._counts = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_WORDS])
        self._language = {word: at for at, word in enumerate(language)}
        self._pairs = Counter(pair for words in split for pair in pairwise(["", *words, ""])) if language else Counter()
        self._most_after: dict[str, int] = {}
        self._most_before: dict[str, int] = {}
        for (first, second), count in self._pairs.items():
            self._most_after[first] = max(count, self._most_after.get(first, 0))
            self._most_before[second] = max(count, self._most_before.get(second, 0))
        self._known = WordList([*self._counts, *(word for word in self._language if word not in self._counts)])

    def corrected(self, text: str) -> str | None:
        """The text with other words in place of those that look mistyped; None if there are none, or too many."""
        found = list(_WORD.finditer(text))
        words = [one.group().lower() for one in found]
        doubtful = [at for at, word in enumerate(words) if word not in self._counts]
        if not self._language or not doubtful:
            return None
        unknown = sum(words[at] not in self._language for at in doubtful)
        if unknown > min(MOST_CORRECTED, max(MOST_SHARE * len(words), 2)):
            return None
        meant = {at: best for at in doubtful if (best := self._meant(words, at)) is not None}
        pieces, end = [], 0
        for at, best in meant.items():
            pieces += [text[end : found[at].start()], best]
            end = found[at].end()
        return "".join(pieces) + text[end:] if meant else None

    def _meant(self, words: Sequence[str], at: int) -> str | None:
        word, before, after = words[at], words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
        if word in self._language and self._most_after.get(before, 0) + self._most_before.get(after, 0) < SURELY_KNOWN_PAIR:
            return None
        near = self._near(word, _FARTHEST if len(word) >= _SHORTEST_FOR_TWO and word not in self._language else 1)
        beside = {one: (self._pairs[before, one], self._pairs[one, after]) for one in near}
        if word in self._language:
            near = {one: slips for one, slips in near.items() if sum(beside[one]) >= SURELY_KNOWN_PAIR}
        elif len(word) < _SHORTEST_ALONE:
            near = {one: slips for one, slips in near.items() if any(beside[one])}

        def likeliness(one: str) -> tuple[float, int, str]:
            pairs = sum(math.log1p(count) for count in beside[one])
            often = math.log(self._counts.get(one, _UNSEEN)) - _PER_SLIP * near[one] + _PER_PAIR * pairs
            return often, -self._language.get(one, 0), one

        return max(near, key=likeliness, default=None)

    def _near(self, word: str, most: int) -> dict[str, int]:
        """Known word -> slips; two of them only in long words of the examples."""
        found = {}
        for one in self._known.maybe_near(word, most):
            slips = slips_between(word, one, most if one in self._counts and len(one) >= _SHORTEST_FOR_TWO else 1)
            if slips is not None and slips > 0:
                found[one] = slips
        return found


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
