"""The shipped SQL adapter on the real base model: held to the recipe's grammar it names nothing that the prompt does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from expert_kit.inference import ExpertEngine
from tests.support.shipped import ROOT

pytestmark = pytest.mark.slow

ADAPTER = ROOT / "experts" / "sql" / "adapter"
GRAMMAR = ROOT / "recipes" / "sql" / "sql.lark"
SCHEMA = "Schema: hives(hive_id, keeper_id, honey_kg, queen_age), keepers(keeper_id, surname, village)\n\n"
QUESTIONS = ("What is the smallest amount of honey?", "Which villages have a keeper with more than three hives?")
WORD = re.compile(r"[A-Za-z_]\w*")
KEYWORDS = frozenset(
    WORD.findall(
        "SELECT DISTINCT FROM JOIN INNER LEFT ON WHERE GROUP BY HAVING ORDER ASC DESC LIMIT OFFSET AND OR NOT IN LIKE BETWEEN IS NULL"
        " COUNT AVG SUM MIN MAX ROUND"
    )
)


def foreign_words(answer: str, prompt: str) -> set[str]:
    """Words of the answer, strings left out, that are neither SQL's nor the prompt's."""
    return set(WORD.findall(re.sub(r"'(?:[^']|'')*'?", "", answer))) - KEYWORDS - set(WORD.findall(prompt))


def test_names_from_outside_the_schema_cannot_come(real_home: Path):
    prompts = [SCHEMA + question for question in QUESTIONS]
    with ExpertEngine.from_pretrained(device="cpu") as engine:
        # So hot that the adapter alone says almost anything.
        options = {"max_new_tokens": 40, "temperature": 2.5, "seed": 5}
        free = engine.generate(prompts, [ADAPTER] * len(prompts), **options)
        held = engine.generate(prompts, [ADAPTER] * len(prompts), grammar=GRAMMAR, **options)
        calm = engine.generate(prompts[0], ADAPTER, grammar=GRAMMAR, max_new_tokens=40)
    assert any(foreign_words(answer.text, prompt) for answer, prompt in zip(free, prompts, strict=True))
    for answer, prompt in zip([*held, calm], [*prompts, prompts[0]], strict=True):
        cut = answer.finish_reason == "length"
        words = foreign_words(answer.text.rpartition(" ")[0] if cut else answer.text, prompt)
        assert (answer.text.startswith("SELECT"), words) == (True, set())
    assert calm.finish_reason == "stop"
