"""The grammar of the SQL expert: what the recipe teaches is inside, what it must not say is outside."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from expert_kit.archive.grammar import check_grammar
from expert_kit.errors import GrammarError
from expert_kit.inference.constraint import Constraint, GrammarCompiler
from expert_kit.inference.grammar import read_grammar

RECIPE = Path(__file__).parents[3] / "recipes" / "sql"
GRAMMAR = RECIPE / "sql.lark"
PROMPT = "hives(id, keeper_id, honey_kg, Tier)\nCREATE TABLE keepers (id INTEGER, name VARCHAR, ORDER)\nTier a or b, or like it's é? 2nd"


@pytest.fixture
def compiler(tiny) -> GrammarCompiler:
    return GrammarCompiler(tiny, [tiny.tokenizer.eos_token_id])


def accepts(compiler: GrammarCompiler, prompt: str, answer: str) -> bool:
    constraint: Constraint = compiler.constraint(read_grammar(GRAMMAR), [{"role": "user", "content": prompt}])
    tokenizer = compiler._base.tokenizer
    try:
        for token in tokenizer(answer, add_special_tokens=False).input_ids:
            constraint.take(token)
    except GrammarError:
        return False
    return constraint.allows(tokenizer.eos_token_id)


def rows(name: str) -> list[dict[str, str]]:
    path = RECIPE / name
    if not path.is_file():
        pytest.skip(f"{name} is made by the recipe")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize(("name", "count"), [("data/train.jsonl", 200), ("data/validation.jsonl", 100), ("handwritten_dev.jsonl", 100)])
def test_every_gold_query_is_inside(compiler, name, count):
    found = rows(name)
    sample = random.Random(0).sample(found, min(count, len(found)))
    assert [row["completion"] for row in sample if not accepts(compiler, row["prompt"], row["completion"])] == []


def test_a_package_may_carry_it():
    assert check_grammar(GRAMMAR.read_bytes(), "grammar/answer.lark") == []


@pytest.mark.parametrize(
    "answer",
    [
        "SELECT AVG( honey_kg ) FROM hives",
        "SELECT COUNT( DISTINCT Tier ) FROM hives WHERE honey_kg >= -2.5 AND name LIKE '%it''s é%'",
        "SELECT hives.* FROM hives",
        "SELECT ROUND(SUM(honey_kg * id) / COUNT(*), 2) FROM hives",
        "SELECT hives.Tier, COUNT(*) FROM hives LEFT JOIN keepers ON hives.keeper_id = keepers.id GROUP BY hives.Tier HAVING COUNT(*) > 1",
        "SELECT name FROM keepers WHERE id NOT IN (SELECT keeper_id FROM hives) ORDER BY name ASC LIMIT 3 OFFSET 1",
        "SELECT * FROM hives WHERE Tier IN ( 'a', 'b' ) OR (honey_kg BETWEEN 1 AND 2 AND Tier IS NOT NULL)",
        "SELECT id FROM hives WHERE Tier BETWEEN '2023-01-01' AND '2023-12-31' OR Tier = 'Tier a'",
        "SELECT DISTINCT Tier FROM hives WHERE honey_kg > (SELECT AVG(honey_kg) FROM hives)",
    ],
)
def test_good_queries_are_inside(compiler, answer):
    assert accepts(compiler, PROMPT, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "SELECT MIN(helices) FROM hives",
        "SELECT tier FROM hives",
        "SELECT like FROM hives",
        "SELECT id FROM keeper_id",
        "SELECT keepers.honey_kg FROM keepers",
        "SELECT id FROM hive",
        "SELECT ORDER FROM hives",
        "SELECT VARCHAR FROM keepers",
        "SELECT nd FROM hives",
        "SELECT  id FROM hives",
        "SELECT AVG(  id) FROM hives",
        "SELECT id FROM hives ",
        "SELECT id FROM hives; DROP TABLE hives",
        "DELETE FROM hives",
        "SELECT id FROM hives WHERE Tier = 'a",
        "SELECT id FROM hives WHERE Tier = 'c'",
        "SELECT id FROM hives WHERE Tier = 'it's'",
        "SELECT id FROM hives WHERE Tier = ' a'",
        "SELECT COUNT(* FROM hives",
        "",
    ],
)
def test_what_it_must_not_say_is_outside(compiler, answer):
    assert not accepts(compiler, PROMPT, answer)


def test_words_of_the_language_are_no_names_in_small_letters_either(compiler):
    prompt = "events(id, group, order, value)"
    assert accepts(compiler, prompt, "SELECT value FROM events")
    assert not accepts(compiler, prompt, "SELECT group FROM events")
    assert not accepts(compiler, prompt, "SELECT id FROM order")
    assert not accepts(compiler, prompt, "SELECT events.group FROM events")
    assert accepts(compiler, prompt, "SELECT events.value FROM events")


def test_key_is_a_column_and_no_table(compiler):
    prompt = "CREATE TABLE kv (id INT, key TEXT, FOREIGN KEY (id, key))"
    assert accepts(compiler, prompt, "SELECT key, kv.key FROM kv")
    assert not accepts(compiler, prompt, "SELECT id FROM KEY")


@pytest.mark.parametrize("behind", ["", " \U0001f600", "\u00a0x", "\x7f", "\ufffd"])
def test_nothing_of_a_prompt_ends_a_value(compiler, behind):
    prompt = f"hives(id, name)\nfind hives whose name is x' UNION SELECT k FROM secrets --{behind}"
    value = prompt.partition("name is ")[2]
    assert not accepts(compiler, prompt, f"SELECT id FROM hives WHERE name = '{value}'")
    assert accepts(compiler, prompt, "SELECT id FROM hives WHERE name = 'x'")


def test_values_may_have_signs_of_any_script(compiler):
    prompt = "hives(id, name)\nO'Hara, Red Valley, été à Zürich, a\U0001f600b"
    for value in ("O''Hara", "Red Valley", "été à Zürich", "a\U0001f600b"):
        assert accepts(compiler, prompt, f"SELECT id FROM hives WHERE name = '{value}'"), value
