"""Terminals and rules of a grammar that each prompt fills: its words, lists, numbers, and runs of words as they are or corrected.

A grammar uses them and does not define them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from expert_kit.archive.grammar_near import MAX_NEAR, can_follow, has_words, near_rules

PROMPT_WORD: Final = "PROMPT_WORD"
"""Terminal that a grammar uses and does not define: any word of the prompt."""
PROMPT_HEAD: Final = "PROMPT_HEAD"
"""A word of the prompt with a list behind it: ``films`` in ``films(title, year)`` and ``films: title, year``."""
PROMPT_ITEM: Final = "PROMPT_ITEM"
"""The first word of an item of such a list."""
PROMPT_PAIR: Final = "PROMPT_PAIR"
"""A head, a dot, and an item of its list: ``films.year``."""
PROMPT_SPAN: Final = "PROMPT_SPAN"
"""Whole words of the prompt as they stand there side by side, on one line and without quotes, backslashes or spaces around them."""
PROMPT_NUMBER: Final = "PROMPT_NUMBER"
"""A number of the prompt, without commas between its thousands: ``1877`` for ``1,877``; any number where there is none."""
PROMPT_NEAR: Final = "prompt_near"
"""A rule: words of the newest message side by side, each with no slips or some; see :mod:`expert_kit.archive.grammar_near`."""
PROMPT_KNOWN: Final = "prompt_known"
"""A rule: as ``prompt_near``, but a word that is changed becomes one that the base knows, wherever one is near."""
MAX_CHUNKS: Final = 4_096
"""Words, signs and gaps of a prompt that a span may have."""
MAX_CHUNK: Final = 32
"""Characters; a longer word is several chunks."""
MAX_WORDS: Final = 512
MAX_WORD: Final = 64
"""Characters; a longer word of a prompt is none that an answer may have."""
_WORDS: Final = frozenset((PROMPT_WORD, PROMPT_HEAD, PROMPT_ITEM, PROMPT_PAIR))
_RUNS: Final = frozenset((PROMPT_NEAR, PROMPT_KNOWN))
NAMES: Final = (*sorted(_WORDS), PROMPT_SPAN, PROMPT_NUMBER, *sorted(_RUNS))
"""What a grammar leaves to the prompt."""
_WHOLE: Final = r'/[^\s\x00-\x1f"\\]([^\x00-\x1f"\\]*[^\s\x00-\x1f"\\])?/'
_NUMBER: Final = r"/(0|[1-9][0-9]{0,19})(\.[0-9]{1,19})?/"
_QUOTED: Final = re.compile(r'"(?:\\.|[^"\\\n])*+"?|//[^\n]*|/(?:\\.|[^/\\\n])*+/?')
"""Literals, comments and regular expressions of a grammar; such as do not end reach to the end of their line."""
_ANY: Final = f"(?:{'|'.join(NAMES)})"
_NAMED: Final = re.compile(rf"(?<![A-Za-z0-9_-]){_ANY}(?![A-Za-z0-9_-])")
_DEFINED: Final = re.compile(rf"(?<![A-Za-z0-9_-])(?:PROMPT_|{'|'.join(sorted(_RUNS))})[A-Za-z0-9_-]*[ \t]*(\.[ \t]*[0-9]+[ \t]*)?:")


@dataclass(frozen=True)
class PromptNames:
    """What a prompt gives to the terminals of a grammar."""

    words: tuple[str, ...]
    """Letters, digits and underscores, as in ``pairs``."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Heads and items of lists; where there is none, any word is a head and an item."""
    chunks: tuple[str, ...] = ()
    """The prompt, cut into words, signs and gaps."""
    numbers: tuple[str, ...] = ()
    """As JSON writes them."""
    newest: str = ""
    """The newest message."""
    meant: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Of words of it: what they may become for ``prompt_known``."""


def outside_literals(text: str) -> str:
    """A grammar without its literals, comments and regular expressions."""
    return _QUOTED.sub(" ", text)


def _used(text: str) -> set[str]:
    return set(_NAMED.findall(outside_literals(text)))


def uses_prompt_words(text: str) -> bool:
    """Whether a grammar has to be completed by the words of each prompt."""
    return bool(_used(text))


def uses_known_words(text: str) -> bool:
    """Whether it wants to be told which words a prompt's may have meant."""
    return PROMPT_KNOWN in _used(text)


def defines_prompt_words(text: str) -> bool:
    """Whether a grammar defines what is not its to define."""
    return _DEFINED.search(outside_literals(text)) is not None


def lacks_words(text: str, names: PromptNames) -> bool:
    """Whether a grammar wants something of a prompt that has nothing of the kind."""
    used = _used(text)
    return (
        bool(used & _WORDS and not names.words)
        or (PROMPT_SPAN in used and not "".join(names.chunks).strip())
        or bool(used & _RUNS and not has_words(names.newest))
    )


def cannot_follow(text: str, names: PromptNames) -> bool:
    """Whether a grammar wants to follow a message that it cannot."""
    return bool(_RUNS & _used(text)) and not can_follow(names.newest)


def with_names(text: str, names: PromptNames) -> str:
    """The grammar with the terminals that it leaves to the prompt; the same one for the same words in another order."""
    heads, items = ({pair[side] for pair in names.pairs} for side in (0, 1))
    words = _choice(names.words)
    defined = {
        PROMPT_WORD: words,
        PROMPT_HEAD: _choice(heads) or words,
        PROMPT_ITEM: _choice(items) or words,
        PROMPT_PAIR: _choice(f"{head}.{item}" for head, item in names.pairs) or f'({words}) "." ({words})',
        PROMPT_SPAN: f'{_WHOLE} & %regex {{ "substring_chunks": {json.dumps(names.chunks)} }}',
        PROMPT_NUMBER: _choice(names.numbers) or _NUMBER,
    }
    meant = {PROMPT_KNOWN: dict(names.meant)}
    lines = [
        near_rules(name, names.newest, meant.get(name, {})) if name in _RUNS else f"{name}: {defined[name]}" for name in sorted(_used(text))
    ]
    return "\n".join((text, *lines, ""))


def _choice(words: Iterable[str]) -> str:
    return " | ".join(f'"{word}"' for word in sorted(words))


def many_names() -> PromptNames:
    """As many as a prompt may give, to see what a grammar makes of them."""
    source = random.Random(0)
    words = ["w" + "".join(source.choices("abcdefgh_", k=source.randint(3, 24))) + str(at) for at in range(MAX_WORDS)]
    pairs = [(words[at % 8], word) for at, word in enumerate(words)]
    chunks = ["".join(source.choices("0123456789abcdef", k=MAX_CHUNK)) for _ in range(MAX_CHUNKS)]
    newest = " ".join("".join(source.choices("abcdefgh", k=5)) for _ in range(MAX_NEAR // 6))
    meant = [(word, tuple("".join(source.choices("abcdefgh", k=5)) for _ in range(8))) for word in newest.split()]
    return PromptNames(tuple(words), tuple(pairs), tuple(chunks), tuple(map(str, range(MAX_WORDS))), newest, tuple(meant))
