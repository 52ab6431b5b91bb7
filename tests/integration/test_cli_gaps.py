from __future__ import annotations

import json

import pytest

from expert_kit.training.recipe import load_recipe

BREAD = [f"how do I bake {kind} bread {when}" for kind in ("rye", "white", "dark") for when in ("now", "today", "again", "fast")]


@pytest.fixture
def asked(run, two_experts):
    """The log is on, and twelve prompts about bread and two others were not covered."""
    assert run("gaps", "--on").code == 0
    for text in (*BREAD, "stock market news", "umbrella weather"):
        assert run("route", text, "--base", "tiny-llama").out == "base\n"


def test_nothing_is_kept_before_it_is_switched_on(run, two_experts, home):
    run("route", "a sentence about gardens", "--base", "tiny-llama")
    assert not (home / "routing" / "gaps.jsonl").exists()
    assert run("gaps", "--json").json == {"on": False, "prompts": 0, "gaps": []}


def test_a_group_is_named_and_shown_with_samples(run, asked):
    done = run("gaps")
    assert done.code == 0, done.err
    first = done.out.splitlines()[0]
    assert "bread" in first
    assert first.endswith(": 12 prompts on 1 day")
    assert run("gaps", "--json").json["prompts"] == 14


def test_covered_prompts_are_not_kept(run, asked):
    run("route", "sql question number 1", "--base", "tiny-llama")
    assert run("gaps", "--json").json["prompts"] == 14


def test_a_recipe_skeleton_is_written_once(run, asked, tmp_path):
    name = run("gaps", "--json").json["gaps"][0]["name"]
    done = run("gaps", "--recipe", name, "--out", tmp_path)
    assert done.code == 0, done.err
    folder = tmp_path / name
    assert load_recipe(folder / "recipe.yaml").model_name_or_path == "smollm2-135m"
    rows = [json.loads(line) for line in (folder / "seed.jsonl").read_text().splitlines()]
    assert {row["prompt"] for row in rows} == set(BREAD)
    splits = [json.loads(line)["split"] for line in (folder / "examples.jsonl").read_text().splitlines()]
    assert set(splits) == {"fit", "validate"}
    assert run("gaps", "--recipe", name, "--out", tmp_path, "--json").error["code"] == "folder_exists"


def test_an_unknown_group_is_refused(run, asked):
    assert run("gaps", "--recipe", "cheese", "--json").error["code"] == "gap_unknown"


def test_off_and_clear(run, asked):
    assert run("gaps", "--off").code == 0
    run("route", "one more about bread rolls", "--base", "tiny-llama")
    assert run("gaps", "--json").json["prompts"] == 14
    assert "14 prompts" in run("gaps", "--clear").err
    assert run("gaps", "--json").json["prompts"] == 0
    assert run("gaps", "--on", "--off", "--json").error["code"] == "gaps_options"
