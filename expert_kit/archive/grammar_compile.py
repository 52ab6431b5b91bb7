"""Compiles a Lark grammar with llguidance and follows it for some steps; run by ``grammar.py`` in a confined process.

What goes wrong here in a parser that is not ours (no end, no memory, no stack) ends this process and not one that answers.
The engine compiles under the same ``LIMITS``.
"""

from __future__ import annotations

import importlib
import json
import random
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

PROMPT_WORD: Final = "PROMPT_WORD"
"""Terminal that a grammar uses and does not define: any word of the prompt."""
PROMPT_HEAD: Final = "PROMPT_HEAD"
"""A word of the prompt with a list behind it: ``films`` in ``films(title, year)`` and ``films: title, year``."""
PROMPT_ITEM: Final = "PROMPT_ITEM"
"""The first word of an item of such a list."""
PROMPT_PAIR: Final = "PROMPT_PAIR"
"""A head, a dot, and an item of its list: ``films.year``."""
MAX_WORDS: Final = 512
MAX_WORD: Final = 64
"""Characters; a longer word of a prompt is none that an answer may have."""
LIMITS: Final = {
    "max_items_in_row": 1_000,
    "initial_lexer_fuel": 1_000_000,
    "step_lexer_fuel": 200_000,
    "step_max_items": 20_000,
    "max_lexer_states": 20_000,
    "max_grammar_size": 100_000,
    "verbose_errors": False,
}
"""Arguments of llguidance's ``LLParserLimits``: some milliseconds for a token, some tens of megabytes for an answer."""
_STEPS: Final = 48
_STACK: Final = 2 << 20
_END: Final = 256
_ANY: Final = f"(?:{'|'.join((PROMPT_WORD, PROMPT_HEAD, PROMPT_ITEM, PROMPT_PAIR))})"
_NAMED: Final = re.compile(rf"(?<![A-Za-z0-9_-]){_ANY}(?![A-Za-z0-9_-])")
_DEFINED: Final = re.compile(rf"(?<![A-Za-z0-9_-]){_ANY}[ \t]*(\.[ \t]*[0-9]+[ \t]*)?:")


@dataclass(frozen=True)
class PromptNames:
    """What a prompt gives to the terminals of a grammar; all are letters, digits and underscores."""

    words: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    """Heads and items of lists; where there is none, any word is a head and an item."""


def uses_prompt_words(text: str) -> bool:
    """Whether a grammar has to be completed by the words of each prompt."""
    return _NAMED.search(text) is not None


def defines_prompt_words(text: str) -> bool:
    """Whether a grammar defines what is not its to define."""
    return _DEFINED.search(text) is not None


def with_names(text: str, names: PromptNames) -> str:
    """The grammar with the terminals that it leaves to the prompt."""
    heads, items = (dict.fromkeys(pair[side] for pair in names.pairs) for side in (0, 1))
    defined = {
        PROMPT_WORD: _choice(names.words),
        PROMPT_HEAD: _choice(heads) or PROMPT_WORD,
        PROMPT_ITEM: _choice(items) or PROMPT_WORD,
        PROMPT_PAIR: _choice(f"{head}.{item}" for head, item in names.pairs) or f'{PROMPT_WORD} "." {PROMPT_WORD}',
    }
    return text + "".join(f"\n{name}: {choice}" for name, choice in defined.items()) + "\n"


def _choice(words: Iterable[str]) -> str:
    return " | ".join(f'"{word}"' for word in words)


def problem_of(text: str) -> str:
    """What llguidance says against a grammar, at the start or while it is followed; empty if nothing."""
    guidance = importlib.import_module("llguidance")
    if uses_prompt_words(text):
        text = with_names(text, _many_names())
    tokenizer = guidance.LLTokenizer(guidance.TokenizerWrapper(_Bytes()))
    matcher = guidance.LLMatcher(
        tokenizer, guidance.LLMatcher.grammar_from_lark(text), log_level=0, limits=guidance.LLParserLimits(**LIMITS)
    )
    chosen = random.Random(0)
    for _ in range(_STEPS):
        if matcher.is_error() or matcher.is_stopped():
            break
        mask = matcher.compute_bitmask()
        allowed = [at for at in range(_END) if mask[at // 8] >> at % 8 & 1]
        if not allowed:
            break
        matcher.consume_token(chosen.choice(allowed))
    return str(matcher.get_error()) if matcher.is_error() else ""


def _many_names() -> PromptNames:
    source = random.Random(0)
    words = ["w" + "".join(source.choices("abcdefgh_", k=source.randint(3, 24))) + str(at) for at in range(MAX_WORDS)]
    return PromptNames(tuple(words), tuple((words[at % 8], word) for at, word in enumerate(words)))


class _Bytes:
    """A tokenizer of single bytes and an end, as llguidance wants one."""

    eos_token_id, bos_token_id = _END, None
    tokens = (*(bytes((value,)) for value in range(_END)), b"<end>")
    special_token_ids = (_END,)

    def __call__(self, text: bytes | str) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


def main() -> None:
    """The folder with llguidance is the first argument, the grammar stdin, the problem stdout as JSON."""
    _shrink_stack()
    sys.path.append(sys.argv[1])
    text = sys.stdin.buffer.read().decode("utf-8")
    sys.stdout.write(json.dumps({"problem": problem_of(text)[:1_000]}))


def _shrink_stack() -> None:
    # Less than any thread that may compile the same later.
    try:
        resource: Any = importlib.import_module("resource")
        resource.setrlimit(resource.RLIMIT_STACK, (_STACK, _STACK))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    main()
