"""The grammar of the JSON expert: what the recipe teaches is inside, what the prompt does not say is outside."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from expert_kit.archive.grammar import check_grammar
from expert_kit.inference.constraint import GrammarCompiler
from tests.support.grammars import accepts

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "recipes" / "json"
GRAMMAR = RECIPE / "json.lark"
PROMPT = "JSON with ship (string), crew_size, cargo (list): the Little Mirror left on 3 May 2024 with four men, 1,877 apples and pears."


@pytest.fixture
def compiler(tiny) -> GrammarCompiler:
    return GrammarCompiler(tiny, [tiny.tokenizer.eos_token_id])


@pytest.mark.parametrize(("name", "count"), [("data/train.jsonl", 200), ("data/validation.jsonl", 100)])
def test_every_gold_object_is_inside(compiler, name, count):
    path = RECIPE / name
    if not path.is_file():
        pytest.skip(f"{name} is made by the recipe")
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    sample = random.Random(0).sample(found, count)
    assert [row["completion"] for row in sample if not accepts(compiler, GRAMMAR, row["prompt"], row["completion"])] == []


def test_a_package_may_carry_it_and_the_shipped_expert_has_the_same():
    assert check_grammar(GRAMMAR.read_bytes(), "grammar/json.lark") == []
    assert (ROOT / "experts" / "json" / "json.lark").read_bytes() == GRAMMAR.read_bytes()


@pytest.mark.parametrize(
    "answer",
    [
        '{"ship": "Little Mirror", "crew_size": 4, "cargo": ["apples", "pears"]}',
        '{"ship":"the Little Mirror","left":"2024-05-03"}',
        '{"crew_size": null, "cargo": [], "ship": {"list": 1877, "cargo": true}}',
        "{}",
    ],
)
def test_what_an_answer_may_be(compiler, answer):
    json.loads(answer)
    assert accepts(compiler, GRAMMAR, PROMPT, answer)


@pytest.mark.parametrize(
    "answer",
    [
        '{"ship": "Little Mirrow"}',
        '{"ship": "Little  Mirror"}',
        '{"vessel": "Little Mirror"}',
        '{"crew_size": 1878}',
        '{"crew_size": 04}',
        '{"ship": Little}',
        '{"ship": "Little Mirror",}',
        '{"ship": "Little Mirror"} ',
        '["Little Mirror"]',
        '{"ship": "Little Mirror"',
    ],
)
def test_what_an_answer_may_not_be(compiler, answer):
    assert not accepts(compiler, GRAMMAR, PROMPT, answer)
