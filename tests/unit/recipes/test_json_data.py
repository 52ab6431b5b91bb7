"""The generator of the json recipe: deterministic, no leak between splits, every gold answer valid and the only right one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from expert_kit.evaluation.json_object import check
from tests.support.recipes import ROOT, SPLITS, Rows, recipe_module

RECIPE = ROOT / "json"
POOLS = (*SPLITS, "further")


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    return {name: recipe_module("json", name) for name in ("json_values", "json_records", "json_phrasings", "json_prompts", "json_roles")}


def test_held_out_rows_bring_their_schema(rows: Rows) -> None:
    assert all({"schema", "text"} <= set(row) for split in ("validation", "test") for row in rows[split])


def test_completions_are_one_line_of_json_and_prompts_are_short(rows: Rows) -> None:
    for row in (row for found in rows.values() for row in found):
        assert isinstance(json.loads(row["completion"]), dict)
        assert "\n" not in row["completion"]
        assert len(row["prompt"]) <= 430
        assert not re.search(r"\{[a-z]\}|\{\w+[?=]", row["prompt"])


def test_every_value_is_in_the_text(rows: Rows) -> None:
    # What is not copied: truth values, options that the text paraphrases, small numbers in words, big ones with separators, null.
    for row in rows["test"]:
        for key, value in json.loads(row["completion"]).items():
            if isinstance(value, str) and "enum" not in row["schema"]["properties"][key]:
                assert value.lower() in row["text"].lower(), (row["id"], key)


def test_no_prompt_or_text_is_in_two_splits(rows: Rows) -> None:
    prompts = {split: {row["prompt"] for row in rows[split]} for split in POOLS}
    assert not (prompts["train"] | prompts["further"]) & (prompts["validation"] | prompts["test"])
    assert not {row["text"] for row in rows["validation"]} & {row["text"] for row in rows["test"]}
    trained = "\n".join(prompts["train"] | prompts["further"])
    assert [row["id"] for row in rows["test"] if row["text"] in trained] == []


def test_pools_share_no_record_no_text_and_no_set_of_keys(modules: dict[str, ModuleType]) -> None:
    pools = {split: modules["json_records"].load_pool(RECIPE / "pools" / f"{split}.txt") for split in POOLS}
    assert [len(pools[split]) >= least for split, least in zip(SPLITS, (60, 6, 14), strict=True)] == [True] * 3
    held_by = [
        {split: {entry.key for entry in pool} for split, pool in pools.items()},
        {split: {text for entry in pool for text in entry.texts} for split, pool in pools.items()},
        {split: {frozenset(field.keys[0] for field in entry.fields) for entry in pool} for split, pool in pools.items()},
    ]
    for held in held_by:
        assert not (held["train"] | held["further"]) & (held["validation"] | held["test"])
        assert not held["validation"] & held["test"]


def test_roles_of_the_further_rows_are_no_keys_of_the_test(modules: dict[str, ModuleType]) -> None:
    keys = {
        key for entry in modules["json_records"].load_pool(RECIPE / "pools" / "test.txt") for field in entry.fields for key in field.keys
    }
    assert not keys & {role for roles in modules["json_roles"].ROLES.values() for role in roles.split()}


def test_further_rows_name_a_role_beside_its_value_in_any_order(rows: Rows) -> None:
    found = [row for row in rows["further"] if row["kind"] == "roles"]
    assert 10 * len(found) > len(rows["further"])
    turned = 0
    for row in found:
        answer = json.loads(row["completion"])
        assert all(isinstance(value, (str, int)) for value in answer.values())
        places = [row["prompt"].rindex(str(value)) for value in answer.values()]
        turned += places != sorted(places)
    assert 0.25 * len(found) < turned < 0.7 * len(found)


def test_every_field_of_a_pool_is_told_by_some_text_and_has_its_own_keys(modules: dict[str, ModuleType]) -> None:
    for split in POOLS:
        for entry in modules["json_records"].load_pool(RECIPE / "pools" / f"{split}.txt"):
            told = {field for text in entry.texts for field in entry.named(text)}
            assert set(entry.fields) == told, entry.key
            keys = [key for field in entry.fields for key in field.keys]
            assert len(keys) == len(set(keys)), entry.key
            assert all(len(entry.named(text)) >= 2 for text in entry.texts), entry.key


def test_a_pool_that_names_an_unknown_field_is_refused(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    pool = tmp_path / "pool.txt"
    pool.write_text("= pet\nname: first\n- {name} is {age}.\n")
    with pytest.raises(ValueError, match="= pet: no field 'age'"):
        modules["json_records"].load_pool(pool)


def test_invented_words_belong_to_one_split(modules: dict[str, ModuleType]) -> None:
    import random

    values = modules["json_values"]
    rng = random.Random(5)
    words = {split: {values.word(rng, split) for _ in range(400)} for split in SPLITS}
    assert not words["train"] & words["test"]
    assert not words["train"] & words["validation"]
    assert not words["validation"] & words["test"]


def test_held_out_ways_of_asking_are_never_trained_on(modules: dict[str, ModuleType]) -> None:
    phrasings, prompts = modules["json_phrasings"], modules["json_prompts"]
    for table in (phrasings.INLINE, phrasings.BLOCK, phrasings.NULL_NOTES):
        train, validation, test = (set(table[split]) for split in SPLITS)
        assert not train & (validation | test)
        assert not validation & test
    for table in (prompts.INLINE_WRITERS, prompts.BLOCK_WRITERS):
        assert {writer for _, writer in table["held"]} - {writer for _, writer in table["train"]}


def test_every_gold_answer_passes_its_own_check(rows: Rows) -> None:
    assert [row["id"] for row in rows["validation"] + rows["test"] if not check(row["completion"], row).ok] == []


def test_answers_to_other_questions_are_wrong(rows: Rows) -> None:
    pairs = zip(rows["test"], rows["test"][1:], strict=False)
    assert [(a["id"], b["id"]) for a, b in pairs if check(a["completion"], b).ok] == []


def test_an_answer_with_one_wrong_value_is_wrong(rows: Rows) -> None:
    def wrong(value: Any) -> Any:
        if isinstance(value, bool) or value is None:
            return not value
        return [*value, value[0]] if isinstance(value, list) else value + (1 if isinstance(value, (int, float)) else "s")

    for row in rows["test"][::4]:
        gold = json.loads(row["completion"])
        for key, value in gold.items():
            assert not check(json.dumps(gold | {key: wrong(value)}), row).ok, (row["id"], key)
            assert not check(json.dumps({other: gold[other] for other in gold if other != key}), row).ok


def test_kinds_of_values_are_varied(rows: Rows) -> None:
    found = [value for row in rows["test"] for value in json.loads(row["completion"]).values()]
    counts = {kind: sum(type(value) is kind for value in found) for kind in (str, int, float, bool, list, type(None))}
    assert min(counts.values()) >= 15, counts
    assert counts[str] > len(found) * 0.4
