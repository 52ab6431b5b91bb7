"""Rules for the words of a text side by side, each as it stands there or a slip away: what a corrected text may be.

A slip is a letter that is missing, too much, another one, or swapped with its neighbour; so many as a word has room for. An apostrophe or
hyphen may be added, a word written apart, and two words as one.

Source: the states are those of the automaton for Damerau's distance (Schulz and Mihov, 2002), with neighbours swapped at most once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

MAX_NEAR: Final = 500
"""Characters of a text that can be followed."""
_LONGEST: Final = 24
"""Letters of a word that may have slips."""
_LONG: Final = 5
"""Letters of a word that may have two slips."""
_WORD: Final = re.compile("\\w+(?:['\u2019-]\\w+)*")
_ENDS: Final = 4
"""Signs behind a word with which a run may end."""
_SIGNS: Final = {"PROMPT_LETTER": r"/[\p{L}\p{M}]/", "PROMPT_SIGN": "/['\u2019-]/"}


def has_words(text: str) -> bool:
    """Whether there is anything to follow."""
    return _WORD.search(text) is not None


def near_rules(name: str, text: str) -> str:
    """A rule of this name, and all that it needs, in llguidance's dialect of Lark; the text has a word at least."""
    found = list(_WORD.finditer(text))
    terminals = {word: f"PROMPT_NEAR_{at}" for at, word in enumerate(dict.fromkeys(match[0] for match in found))}
    lines = [f"{name}: {' | '.join(f'{name}_{at}' for at in range(len(found)))}"]
    for at, match in enumerate(found):
        gap = text[match.end() : found[at + 1].start() if at + 1 < len(found) else len(text)]
        following = [found[at + 1][0]] if at + 1 < len(found) and "\n" not in gap else []
        more = [_quoted(gap[:end]) for end in _run_ends(gap)] + [f"{_quoted(gap)} {name}_{at + 1}" for _ in following]
        behind = f" ({' | '.join(more)})?" if more else ""
        alone = " | ".join((terminals[match[0]], *_apart(match[0])))
        joined = [f"{_quoted(match[0] + word)} ({name}_{at + 1}_behind)?" for word in following if gap == " "]
        lines += [f"{name}_{at}: {' | '.join((f'({alone}){name}_{at}_behind', *joined))}", f"{name}_{at}_behind: {behind or _quoted('')}"]
    lines += [f"{sign}: {letters}" for sign, letters in _SIGNS.items()]
    return "\n".join((*lines, *(line for word, terminal in terminals.items() for line in _terminals(word, terminal))))


def _run_ends(gap: str) -> list[int]:
    """Where a run may end in what stands between two words: behind a sign, on the same line."""
    return [at + 1 for at, sign in enumerate(gap.partition("\n")[0]) if not sign.isspace()][:_ENDS]


def _apart(word: str) -> Iterator[str]:
    """The word as two."""
    return (f'{_quoted(word[:at])} " " {_quoted(word[at:])}' for at in range(1, min(len(word), _LONGEST)))


def _slips(word: str) -> int:
    """How many a word has room for."""
    if not 1 < len(word) <= _LONGEST or any(sign.isdigit() or sign == "_" for sign in word):
        return 0
    return 1 if len(word) < _LONG else 2


def _terminals(word: str, name: str) -> Iterator[str]:
    """The terminal of a word, and one for each place in it and number of slips that are left."""

    def rest(at: int, slips: int) -> str:
        if not slips:
            return _quoted(word[at:])
        return f"{name}_{at}_{slips}" if at < len(word) else f"PROMPT_LETTER{{0,{slips}}}"

    yield f"{name}: {rest(0, _slips(word))}"
    for slips in range(1, _slips(word) + 1):
        for at, letter in enumerate(word):
            ways = [
                f"{_quoted(letter)} {rest(at + 1, slips)}",
                f"PROMPT_LETTER? {rest(at + 1, slips - 1)}",
                f"PROMPT_LETTER {rest(at, slips - 1)}",
            ]
            if at:
                ways.append(f"PROMPT_SIGN {_quoted(word[at:])}")
            if word[at + 1 : at + 2] not in ("", letter):
                ways.append(f"{_quoted(word[at + 1] + letter)} {rest(at + 2, slips - 1)}")
            yield f"{name}_{at}_{slips}: {' | '.join(ways)}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
