"""Compiles a Lark grammar with llguidance and follows it for some steps; run by ``grammar.py`` in a confined process.

What goes wrong here in a parser that is not ours (no end, no memory, no stack) ends this process and not one that answers.
The engine compiles under the same ``LIMITS``.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
from typing import Any, Final

LIMITS: Final = {
    "max_items_in_row": 1_000,
    "initial_lexer_fuel": 1_000_000,
    "step_lexer_fuel": 500_000,
    "step_max_items": 20_000,
    "max_lexer_states": 20_000,
    "max_grammar_size": 100_000,
    "verbose_errors": False,
}
"""Arguments of llguidance's ``LLParserLimits``: some milliseconds for a token, some tens of megabytes for an answer."""
_STEPS: Final = 48
_STACK: Final = 2 << 20
_END: Final = 256


def problem_of(text: str) -> str:
    """What llguidance says against a grammar, at the start or while it is followed; empty if nothing."""
    guidance = importlib.import_module("llguidance")
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
