"""The grammar of the spelling expert: what the recipe teaches is inside, another sentence is outside."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from expert_kit.archive.grammar import check_grammar
from expert_kit.inference.constraint import GrammarCompiler
from expert_kit.inference.known_words import KnownWords
from tests.support.grammars import accepts

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "recipes" / "spelling"
GRAMMAR = RECIPE / "spelling.lark"


@pytest.fixture
def compiler(tiny) -> GrammarCompiler:
    return GrammarCompiler(tiny, [tiny.tokenizer.eos_token_id])


@pytest.mark.parametrize(("name", "count", "least"), [("data/train.jsonl", 100, 98), ("data/validation.jsonl", 100, 100)])
def test_corrections_are_inside_but_for_words_with_more_slips_than_they_have_room_for(compiler, name, count, least):
    path = RECIPE / name
    if not path.is_file():
        pytest.skip(f"{name} is made by the recipe")
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    sample = random.Random(0).sample(found, count)
    assert sum(accepts(compiler, GRAMMAR, row["prompt"], row["completion"]) for row in sample) >= least


def test_a_package_may_carry_it_and_the_shipped_expert_has_the_same():
    assert check_grammar(GRAMMAR.read_bytes(), "grammar/spelling.lark") == []
    assert (ROOT / "experts" / "spelling" / "spelling.lark").read_bytes() == GRAMMAR.read_bytes()


def test_another_word_is_outside(compiler):
    prompt = "Fix this: The libary has pictures of a libary."
    assert accepts(compiler, GRAMMAR, prompt, "The library has pictures of a library.")
    assert accepts(compiler, GRAMMAR, prompt, "The libary has pictures of a libary.")
    for other in ("The building has pictures of a library.", "The library has photographs of a library.", "Here you are: The library"):
        assert not accepts(compiler, GRAMMAR, prompt, other)


def test_a_changed_word_is_one_that_the_base_knows(compiler, tiny):
    prompt, right, wrong = "Fix this: I went aroudn the libary.", "I went around the library.", "I went nearoudn the library."
    assert accepts(compiler, GRAMMAR, prompt, wrong), "this vocabulary has no words: any is near"
    knowing = GrammarCompiler(tiny, [tiny.tokenizer.eos_token_id])
    knowing._words = KnownWords({f"\u0120{word}": at for at, word in enumerate(("i", "went", "the", "around", "near", "library"))})
    assert accepts(knowing, GRAMMAR, prompt, right)
    assert accepts(knowing, GRAMMAR, prompt, "I went aroudn the libary.")
    assert not accepts(knowing, GRAMMAR, prompt, wrong)
