"""Misspellings of a given vocabulary: those of codespell's dictionary, and for training also some of our own making.

The dictionary (GPL-2.0, part of it from a Wikipedia list under CC BY-SA 3.0) is read from the installed package; this project has no copy.
"""

from __future__ import annotations

import importlib.util
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

CONTRACTIONS = ("don't", "didn't", "can't", "couldn't", "haven't", "isn't", "wasn't", "doesn't")
FAR = 2
"""Most edits between a word and its misspelling; 1 for words of up to four letters."""


class MissingDictionaryError(Exception):
    """codespell is not installed."""


def dictionary_file() -> Path:
    """The dictionary of the installed codespell.

    Raises:
        MissingDictionaryError: with the command that helps.
    """
    spec = importlib.util.find_spec("codespell_lib")
    path = Path(spec.origin).parent / "data" / "dictionary.txt" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise MissingDictionaryError("the spelling recipe reads codespell's dictionary, which is not installed: pip install codespell")
    return path


def dictionary_entries(text: str) -> dict[str, list[str]]:
    """Word -> its misspellings, from lines like ``abandonned->abandoned``; entries with several corrections are left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        wrong, _, right = line.strip().partition("->")
        if right and "," not in right and wrong.isalpha() and wrong.isascii():
            found[right].append(wrong)
    return found


def distance(a: str, b: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours from one word to the other (optimal string alignment)."""
    rows = [list(range(len(b) + 1))]
    for i in range(1, len(a) + 1):
        row = [i]
        for j in range(1, len(b) + 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


class Neighbours:
    """Finds words of a vocabulary that a misspelling might also be meant as."""

    def __init__(self, vocabulary: Iterable[str], known: Iterable[str] = ()) -> None:
        self.vocabulary = {word.lower() for word in vocabulary}
        self.known = self.vocabulary | {word.lower() for word in known}
        self.by_form: dict[str, set[str]] = defaultdict(set)
        for word in self.vocabulary:
            for form in self._forms(word):
                self.by_form[form].add(word)

    @staticmethod
    def _forms(word: str) -> set[str]:
        return {word, *(word[:n] + word[n + 1 :] for n in range(len(word)))}

    def unmistakable(self, wrong: str, right: str) -> bool:
        """True if the misspelling is no word, near its word, and nearer to it than to any other."""
        right = right.lower()
        edits = distance(wrong, right)
        if wrong in self.known or not 0 < edits <= (FAR if len(right) > 4 else 1):
            return False
        if len(right) < 4 and sorted(wrong) != sorted(right):  # "teh" is clear, "thq" is not
            return False
        rivals = set().union(*(self.by_form.get(form, set()) for form in self._forms(wrong))) - {right}
        return all(distance(wrong, rival) > edits for rival in rivals)


def of_dictionary(entries: Mapping[str, list[str]], vocabulary: Iterable[str], near: Neighbours) -> dict[str, list[str]]:
    """The dictionary's misspellings of the words, without those that another word could be meant by."""
    found = {}
    for word in sorted(set(vocabulary)):
        wrongs = {*entries.get(word, ()), *entries.get(word.lower(), ())}
        if kept := sorted(wrong for wrong in wrongs if near.unmistakable(wrong.lower(), word)):
            found[word] = [wrong.lower() for wrong in kept]
    return found


# ── our own ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

_SOUNDS = (
    (r"ie", "ei"),
    (r"ei", "ie"),
    (r"ph", "f"),
    (r"tion", "sion"),
    (r"ance", "ence"),
    (r"ence", "ance"),
    (r"ant\b", "ent"),
    (r"ent\b", "ant"),
    (r"able", "ible"),
    (r"ible", "able"),
    (r"ck", "k"),
    (r"sc", "s"),
    (r"wh", "w"),
    (r"kn", "n"),
    (r"y\b", "ey"),
    (r"ful\b", "full"),
    (r"ous", "us"),
    (r"ary", "ery"),
    (r"ery", "ary"),
    (r"ough", "ogh"),
    (r"ice", "ise"),
    (r"cial", "tial"),
    (r"er\b", "or"),
    (r"or\b", "er"),
    (r"le\b", "el"),
    (r"ate", "ete"),
    (r"igh", "ig"),
    (r"ui", "iu"),
    (r"ea", "ee"),
    (r"ai", "ia"),
    (r"mb\b", "m"),
    (r"rh", "r"),
    (r"que", "qe"),
)
"""What sounds alike or is often written for each other."""


def _swapped(rng: random.Random, word: str) -> str:
    at = rng.randrange(1, len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _dropped(rng: random.Random, word: str) -> str:
    at = rng.randrange(1, len(word))
    return word[:at] + word[at + 1 :]


def _doubled(rng: random.Random, word: str) -> str:
    at = rng.randrange(1, len(word))
    return word[:at] + word[at] + word[at:]


def _single(rng: random.Random, word: str) -> str:
    doubles = [match.start() for match in re.finditer(r"(\w)\1", word)]
    at = rng.choice(doubles) if doubles else None
    return _dropped(rng, word) if at is None else word[:at] + word[at + 1 :]


def _other_vowel(rng: random.Random, word: str) -> str:
    places = [n for n, letter in enumerate(word) if letter in "aeiou" and n]
    if not places:
        return word
    at = rng.choice(places)
    return word[:at] + rng.choice([vowel for vowel in "aeiou" if vowel != word[at]]) + word[at + 1 :]


def _by_sound(rng: random.Random, word: str) -> str:
    fitting = [(pattern, other) for pattern, other in _SOUNDS if re.search(pattern, word)]
    if not fitting:
        return _other_vowel(rng, word)
    pattern, other = rng.choice(fitting)
    return re.sub(pattern, other, word, count=1)


WAYS: tuple[tuple[float, Callable[[random.Random, str], str]], ...] = (
    (20, _swapped),
    (22, _dropped),
    (8, _doubled),
    (14, _single),
    (12, _other_vowel),
    (24, _by_sound),
)


def made_up(rng: random.Random, word: str, near: Neighbours) -> str | None:
    """A misspelling of our own making, in small letters; None if the word gives none that is unmistakable."""
    word = word.lower()
    if word in CONTRACTIONS:
        return word.replace("'", "")
    if len(word) < 5 or "'" in word:
        return None
    for _ in range(4):
        wrong = rng.choices([way for _, way in WAYS], [share for share, _ in WAYS])[0](rng, word)
        if wrong != word and near.unmistakable(wrong, word):
            return wrong
    return None
