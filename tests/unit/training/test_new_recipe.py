from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from expert_kit.archive.examples import check_examples
from expert_kit.errors import DataError
from expert_kit.training import Plan, contradictions, load_recipe, over_caps, split_rows, write_recipe
from expert_kit.training.recipe import missing_files

ROWS = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(100)]
PLAN = Plan("acme/support", "recipes/support", "tickets\n.csv", "smollm2-135m", "exact", "MIT", "Answers: tickets, #1.")


def test_no_prompt_is_in_two_files_and_no_row_is_lost() -> None:
    rows = [*ROWS, *({"prompt": row["prompt"], "completion": "another"} for row in ROWS[:30])]
    splits = split_rows(rows)
    files = [splits.train, splits.validation, splits.test]
    prompts = [{row["prompt"] for row in found} for found in files]
    assert [len(found) for found in prompts] == [85, 5, 10]
    assert not prompts[0] & prompts[1] | prompts[0] & prompts[2] | prompts[1] & prompts[2]
    assert sorted(map(str, [row for found in files for row in found])) == sorted(map(str, rows))


@given(st.permutations(ROWS[:40]))
def test_the_order_of_the_rows_makes_no_difference_to_what_is_held_out(rows: list[dict[str, str]]) -> None:
    assert split_rows(rows).test == split_rows(ROWS[:40]).test


def test_a_row_more_moves_few_rows() -> None:
    before, after = split_rows(ROWS), split_rows([*ROWS, {"prompt": "one more", "completion": "x"}])
    assert len({row["prompt"] for row in before.test} & {row["prompt"] for row in after.test}) >= 9


def test_white_space_makes_no_other_prompt() -> None:
    rows = [*ROWS, *({**row, "prompt": row["prompt"].replace(" ", "  ")} for row in ROWS)]
    splits = split_rows(rows)
    held = {" ".join(row["prompt"].split()) for row in [*splits.test, *splits.validation]}
    assert not held & {" ".join(row["prompt"].split()) for row in splits.train}
    assert contradictions(rows) == 0
    assert contradictions([*rows, *({**row, "completion": "other"} for row in ROWS[:7])]) == 7


def test_scripts_that_take_many_tokens_have_room_and_any_base_is_quoted(tmp_path: Path) -> None:
    rows = [{"prompt": f"请写一个查询 {n} 列出所有客户" * 10, "completion": "好的" * 60} for n in range(40)]
    write_recipe(tmp_path / "chinese", replace(PLAN, base="no such: base # x"), split_rows(rows))
    recipe = load_recipe(tmp_path / "chinese" / "recipe.yaml")
    assert recipe.model_name_or_path == "no such: base # x"
    assert recipe.tests["held_out"].max_new_tokens >= 360
    assert recipe.max_length >= 390 + 360


def test_too_few_prompts_are_refused_however_many_rows_they_have() -> None:
    with pytest.raises(DataError) as caught:
        split_rows([{"prompt": f"p{n % 19}", "completion": str(n)} for n in range(500)])
    assert caught.value.code == "too_few_rows"
    assert len(split_rows(ROWS[:20]).test) == 3


def test_the_recipe_loads_and_its_files_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "support"
    write_recipe(folder, PLAN, split_rows(ROWS))
    recipe = load_recipe(folder / "recipe.yaml")
    assert missing_files(recipe, folder) == []
    assert recipe.tests["held_out"].task == "exact"
    assert recipe.num_train_epochs == 10
    assert [json.loads(line)["id"] for line in (folder / "test.jsonl").read_text().splitlines()][:2] == ["test-0", "test-1"]


def test_the_experts_source_says_what_was_planned(tmp_path: Path) -> None:
    folder = tmp_path / "support"
    write_recipe(folder, PLAN, split_rows(ROWS))
    source = yaml.safe_load((folder / "expert" / "expert.yaml").read_text())
    assert (source["name"], source["license"], source["summary"]) == (PLAN.name, PLAN.license, PLAN.summary)
    examples = [json.loads(line) for line in (folder / "expert" / "routing" / "examples.jsonl").read_text().splitlines()]
    trained = {json.loads(line)["prompt"] for line in (folder / "train.jsonl").read_text().splitlines()}
    assert len(examples) == 85
    assert {example["text"] for example in examples} <= trained
    assert {split: sum(example["split"] == split for example in examples) for split in ("fit", "validate")} == {"fit": 68, "validate": 17}


def test_prompts_that_no_package_takes_are_no_routing_examples(tmp_path: Path) -> None:
    rows = [{"prompt": f"question {n}" + (" 👩\u200d💻" if n % 2 else " 👩"), "completion": f"answer {n}"} for n in range(100)]
    write_recipe(tmp_path / "emoji", PLAN, split_rows(rows))
    data = (tmp_path / "emoji" / "expert" / "routing" / "examples.jsonl").read_bytes()
    assert check_examples(data) == []
    assert 30 < len(data.splitlines()) < 50


def test_rows_above_what_a_recipe_gives_room_for_are_counted(tmp_path: Path) -> None:
    rows = [*ROWS, {"prompt": "p", "completion": "x" * 1024}]
    assert over_caps(rows) == 0
    long = [{"prompt": "p", "completion": "x" * 1026}, {"prompt": "y" * 4000, "completion": "x"}, {"prompt": "p", "completion": "好" * 171}]
    assert over_caps([*rows, *long]) == 3
    write_recipe(tmp_path / "long", PLAN, split_rows([*rows, *long]))
    recipe = load_recipe(tmp_path / "long" / "recipe.yaml")
    assert (recipe.tests["held_out"].max_new_tokens, recipe.max_length) == (512, 2048)


def test_a_large_table_is_trained_for_one_epoch_and_long_rows_have_room(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n} " + "word " * 200, "completion": "x" * 300} for n in range(5000)]
    write_recipe(tmp_path / "large", PLAN, split_rows(rows))
    recipe = load_recipe(tmp_path / "large" / "recipe.yaml")
    assert recipe.num_train_epochs == 1
    assert recipe.tests["held_out"].max_new_tokens > 300
    assert recipe.max_length > 650
    assert len((tmp_path / "large" / "test.jsonl").read_text().splitlines()) == 400
