"""Whether an answer is inside a grammar that a prompt has filled."""

from __future__ import annotations

from pathlib import Path

from expert_kit.errors import GrammarError
from expert_kit.inference.constraint import GrammarCompiler
from expert_kit.inference.grammar import read_grammar


def accepts(compiler: GrammarCompiler, grammar: Path, prompt: str, answer: str) -> bool:
    """Whether the whole answer may be given, and may end there."""
    constraint = compiler.constraint(read_grammar(grammar), [{"role": "user", "content": prompt}])
    tokenizer = compiler._base.tokenizer
    try:
        for token in tokenizer(answer, add_special_tokens=False).input_ids:
            constraint.take(token)
    except GrammarError:
        return False
    return constraint.is_complete or constraint.allows(tokenizer.eos_token_id)
