"""Rules for the words of a text side by side, each as it stands there or a slip away: what a corrected text may be.

A slip is a letter that is missing, too much, another one, or swapped with its neighbour; so many as a word has room for. A first letter may
change its case, a word be written apart, also with an apostrophe or hyphen, and two words as one.

Where it is known which words a mistyped one may have meant, it becomes one of these and nothing else. That is for the sake of the model,
which writes token by token: it begins "nearoudn" for "aroudn" because there is a word "near", and then there is no way back.

The lexer that follows the rules takes the longest match, byte by byte, and never goes back. So no terminal of a word may reach into what
stands behind it, not even with the first byte of a letter.

Source: the states are those of the automaton for Damerau's distance (Schulz and Mihov, 2002), with no place changed twice.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

MAX_NEAR: Final = 400
"""Characters of a text that can be followed."""
_MAX_WORDS: Final = 72
"""Words of it. All at which a run may have begun are kept in mind, where words are repeated for long."""
_LONGEST: Final = 24
"""Letters of a word that may have slips."""
_LONG: Final = 5
"""Letters of a word that may have two slips."""
_WORD: Final = re.compile("\\w+(?:['\u2019-]\\w+)*")
_PART: Final = re.compile(r"\w+")
_BEHIND: Final = re.compile("\\w['\u2019-](?!\\w)")
"""A sign that is in some words, behind one."""
_SIGNS: Final = 4
"""Signs before and behind a run that may belong to it."""
_LETTER_BYTES: Final = frozenset(range(0xC3, 0xE2))
"""What letters begin with that a slip may add, besides those of ASCII."""
_LETTER: Final = r"/[\p{L}&&[A-Za-z\u00c0-\u1fff]]/"
_BETWEEN: Final = '" " | /[\'\u2019-]/'


def _found(text: str) -> list[re.Match[str]]:
    """The words, with the signs in them; without, where a sign stands behind one too and the lexer would take it for a part of another."""
    return list((_PART if _BEHIND.search(text) else _WORD).finditer(text))


def has_words(text: str) -> bool:
    """Whether there is anything to follow."""
    return _PART.search(text) is not None


def can_follow(text: str) -> bool:
    """Whether it is short, and its letters are one character each, and none begins with the same byte as a sign."""
    letters = {sign.encode()[0] for sign in text if sign.isalnum()} | _LETTER_BYTES
    short = len(text) <= MAX_NEAR and len(_found(text)) <= _MAX_WORDS
    return short and not any(unicodedata.category(sign)[0] == "M" or sign.encode()[0] in letters for sign in text if not sign.isalnum())


def words_with_slips(text: str) -> tuple[str, ...]:
    """The words of a text that may become others, each once."""
    return tuple(dict.fromkeys(match[0] for match in _found(text) if slips_of(match[0])))


def near_rules(name: str, text: str, meant: Mapping[str, Sequence[str]] = MappingProxyType({})) -> str:
    """A rule and all that it needs, in llguidance's dialect of Lark.

    Args:
        name: the rule's, in small letters; all else begins with it.
        text: it has a word at least.
        meant: of some words what they may become, in small letters; a word that is not among them becomes whatever is near.
    """
    found = _found(text)
    terminals = {word: f"{name.upper()}_{at}" for at, word in enumerate(dict.fromkeys(match[0] for match in found))}
    starts, lines = [], []
    for at, match in enumerate(found):
        before = text[found[at - 1].end() if at else 0 : match.start()]
        gap = text[match.end() : found[at + 1].start() if at + 1 < len(found) else len(text)]
        following = [found[at + 1][0]] if at + 1 < len(found) and "\n" not in gap else []
        more = [_quoted(gap[:end]) for end in _run_ends(gap)] + [f"{_quoted(gap)} {name}_{at + 1}" for _ in following]
        apart = () if match[0] in meant else _apart(match[0], f"{name.upper()}_BETWEEN")
        alone = " | ".join((terminals[match[0]], *apart))
        joined = [f"{_quoted(match[0] + word)} {name}_behind_{at + 1}" for word in following if gap == " "]
        behind = f"({' | '.join(more)})?" if more else _quoted("")
        starts += [f"{name}_{at}", *(f"{_quoted(signs)} {name}_{at}" for signs in _signs_before(before))]
        lines += [f"{name}_{at}: {' | '.join((f'({alone}) {name}_behind_{at}', *joined))}", f"{name}_behind_{at}: {behind}"]
    letter = f"{name.upper()}_LETTER"
    for word, terminal in terminals.items():
        lines += [_one_of(word, meant[word], terminal)] if word in meant else _terminals(word, terminal, letter)
    return "\n".join((f"{name}: {' | '.join(starts)}", *lines, f"{letter}: {_LETTER}", f"{name.upper()}_BETWEEN: {_BETWEEN}"))


def _signs_before(gap: str) -> list[str]:
    """What may stand before the first word of a run: an opening quote, bracket or currency."""
    signs = re.split(r"\s", gap)[-1]
    return [signs] if 0 < len(signs) <= _SIGNS else []


def _run_ends(gap: str) -> list[int]:
    """Where a run may end in what stands between two words: behind a sign, on the same line."""
    return [at + 1 for at, sign in enumerate(gap.partition("\n")[0]) if not sign.isspace()][:_SIGNS]


def _apart(word: str, between: str) -> Iterator[str]:
    """The word as two, or with a sign in it."""
    return (f"{_quoted(word[:at])} {between} {_quoted(word[at:])}" for at in range(1, len(word)) if len(word) <= _LONGEST)


def slips_of(word: str) -> int:
    """How many a word has room for; numbers have none."""
    if not 1 < len(word) <= _LONGEST or not all(sign.isalpha() or sign in "'\u2019-" for sign in word):
        return 0
    return 1 if len(word) < _LONG else 2


def _one_of(word: str, others: Sequence[str], name: str) -> str:
    """The terminal of a word that is left as it is or becomes one of these."""
    cased = (other.upper() if word.isupper() else other for other in others)
    ways = (_quoted(other) if word.isupper() else f"{_either(other[0])} {_quoted(other[1:])}" for other in cased)
    return f"{name}: {' | '.join((f'{_either(word[0])} {_quoted(word[1:])}', *ways))}"


def _terminals(word: str, name: str, letter: str) -> Iterator[str]:
    """The terminal of a word, and one for each place in it and number of slips that are left."""

    def rest(at: int, slips: int) -> str:
        if not slips:
            return f"{_letter(word, at)} {_quoted(word[at + 1 :])}" if at < len(word) else _quoted("")
        return f"{name}_{at}_{slips}" if at < len(word) else f"{letter}{{0,{slips}}}"

    last = f" {letter}?" if len(word) == 1 and word.isalpha() else ""
    yield f"{name}: {rest(0, slips_of(word))}{last}"
    for slips in range(1, slips_of(word) + 1):
        for at in range(len(word)):
            ways = [
                f"{_letter(word, at)} {rest(at + 1, slips)}",
                f"{letter}? {rest(at + 1, slips - 1)}",
                f"{letter} {rest(at, slips - 1)}",
            ]
            if word[at + 1 : at + 2] not in ("", word[at]):
                ways.append(f"{_swapped(word, at)} {rest(at + 2, slips - 1)}")
            yield f"{name}_{at}_{slips}: {' | '.join(ways)}"


def _letter(word: str, at: int) -> str:
    """A letter, a first one in either case."""
    return _either(word[at]) if at == 0 else _quoted(word[at])


def _swapped(word: str, at: int) -> str:
    """Two letters the other way round; where the first ones are, either may be the capital."""
    pair = word[at + 1], word[at]
    return f"{_either(pair[0])} {_either(pair[1])}" if at == 0 else _quoted("".join(pair))


def _either(letter: str) -> str:
    cases = [letter, *(case for case in (letter.lower(), letter.upper()) if len(case) == 1 and case != letter)]
    return f"({' | '.join(map(_quoted, cases))})" if len(cases) > 1 else _quoted(letter)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
