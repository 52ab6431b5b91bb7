"""Words that a base model knows, and which of them a mistyped one may have meant.

A word that is one token of the base stands often enough in its training text to be right. 72 in 100 misspellings of codespell's dictionary
are of such words. A mistyped word may have meant the nearest ones alone: for 96 in 100 of these misspellings the right word is among them,
and they are 1.4 on average; of all words within two slips it would be 97 in 100, among 5.1 (scripts/measure_known_words.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from expert_kit.archive.grammar_near import slips_of, words_with_slips
from expert_kit.slips import WordList, slips_between

_WHOLE: Final = "\u2581"
_SPACES: Final = ("\u0120", _WHOLE)
"""What a token begins with that begins a word: of byte pairs as GPT-2 writes them, and of SentencePiece."""
_LETTERS: Final = frozenset("ai")
"""Words of one letter."""
_SOUNDS: Final = (("ph", "f"), ("y", "i"))
"""What sounds alike: "studys" is as near to "studies" as to "study"."""
_MOST: Final = 128
"""Words that one may become."""
_KEPT: Final = 8_192


class KnownWords:
    """The words of a tokenizer's vocabulary. Safe under threads."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """Read the vocabulary.

        Args:
            vocabulary: token -> number; smaller numbers are commoner tokens, as in vocabularies of byte pairs.
        """
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        # Of byte pairs only the letters of ASCII are written as themselves.
        words = (token[1:].lower() for token in tokens if token.startswith(_SPACES) and (token[0] == _WHOLE or token[1:].isascii()))
        known = tuple(dict.fromkeys(word for word in words if len(word) > 1 and word.isalpha()))
        self.known = frozenset(known)
        self._endings = frozenset(token for token in tokens if token.startswith("'") and token[1:].isalpha())
        self._list = WordList(known)
        self._others = lru_cache(maxsize=_KEPT)(self._find)

    def meant(self, text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What each word of a text may become, in small letters; words that are left out are far from all that is known."""
        plain = (word for word in words_with_slips(text) if word.isalpha())
        found = ((word, self._others(word.lower())) for word in plain)
        return tuple((word, others) for word, others in found if others or word.lower() in self.known)

    def _find(self, word: str) -> tuple[str, ...]:
        # A word that is right itself is hardly ever another one with two slips.
        most = 1 if word in self.known else slips_of(word)
        slips = {one: 1 if _sound_near(word, one) else found for one, found in self._list.near(word, most).items()}
        fewest = min(slips.values(), default=0)
        return *[one for one, found in slips.items() if found == fewest][:_MOST], *self._apart(word)

    def _apart(self, word: str) -> Iterator[str]:
        """Two words, also with a hyphen, and a word that is shortened with an apostrophe, such as "don't"."""
        for at in range(1, len(word)):
            first, second = word[:at], word[at:]
            if not self._is_word(first):
                continue
            if self._is_word(second):
                yield from (f"{first} {second}", f"{first}-{second}")
            if f"'{second}" in self._endings:
                yield f"{first}'{second}"

    def _is_word(self, text: str) -> bool:
        return text in self.known or text in _LETTERS


def _sound_near(one: str, other: str) -> bool:
    return slips_between(_sound(one), _sound(other), 1) is not None


def _sound(word: str) -> str:
    for written, sound in _SOUNDS:
        word = word.replace(written, sound)
    return word
