"""Every recipe and expert of this checkout is complete."""

import json

import pytest

from expert_kit.archive import load_source, package
from expert_kit.evaluation import task
from expert_kit.training import load_recipe
from tests.support.shipped import ROOT, SHIPPED

RECIPES = sorted(path.parent for path in ROOT.glob("recipes/*/recipe.yaml"))
EXPERTS = sorted(path.parent for path in ROOT.glob("experts/*/expert.yaml"))
PUBLISHED = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def published(page):
    """Accuracy of the expert in percent by expert and suite, from the table that begins with | expert | suite | n | base | expert |."""
    rows = [[cell.strip().strip("`") for cell in line.strip().strip("|").split("|")] for line in page.split("\n") if line.startswith("|")]
    start = next(at for at, row in enumerate(rows) if row[:5] == ["expert", "suite", "n", "base", "expert"])
    return {(row[0], row[1]): row[4] for row in rows[start:] if len(row) == len(rows[start])}


def test_a_published_number_is_read_from_its_own_row():
    page = "| expert | suite | n | base | expert |\n|---|---|--:|--:|--:|\n| `calculus` | generated | 400 | 0.2 % | 97.3 % |\n"
    assert published(page)["calculus", "generated"] == "97.3 %"


def test_none_is_missed():
    assert [path.name for path in EXPERTS] == list(SHIPPED)
    without = {path.name for path in RECIPES} - {path.name for path in EXPERTS}
    # A recipe that nobody trained yet is called that, so that nobody takes it for a proven one.
    said = PUBLISHED.partition("## Not trained yet")[2].partition("\n## ")[0]
    assert {name for name in without if f"`{name}`" not in said} == set()


@pytest.mark.parametrize("folder", RECIPES, ids=lambda path: path.name)
def test_a_recipe_is_valid_and_its_hand_written_golds_pass_its_check(folder):
    recipe = load_recipe(folder / "recipe.yaml")
    assert {"generated", "handwritten"} <= recipe.tests.keys()
    assert (folder / "recipe.yaml").read_text().startswith(f"# expert-kit train recipes/{folder.name}/recipe.yaml\n")
    check = task(recipe.tests["handwritten"].task)
    for name in ("handwritten.jsonl", "handwritten_dev.jsonl"):
        rows = rows_of(folder / name)
        wrong = [row["id"] for row in rows if not check(row["completion"], row).ok]
        assert wrong == []
    assert len(rows_of(folder / "handwritten.jsonl")) >= 60


@pytest.mark.parametrize("folder", RECIPES, ids=lambda path: path.name)
def test_hand_written_prompts_stand_apart(folder):
    test, dev = (rows_of(folder / name) for name in ("handwritten.jsonl", "handwritten_dev.jsonl"))
    assert not {row["prompt"] for row in test} & {row["prompt"] for row in dev}


@pytest.mark.parametrize("folder", EXPERTS, ids=lambda path: path.name)
def test_an_expert_is_complete_small_and_published(folder, real_bases, tmp_path):
    from expert_kit.base_models import BaseStore

    source = load_source(folder)
    assert {result.suite for result in source.eval} >= {"generated", "handwritten"}
    card = (folder / "README.md").read_text()
    assert "[More Information Needed]" not in card
    assert f"rank {json.loads((folder / 'adapter' / 'adapter_config.json').read_text())['r']} " in card
    # What was measured is what is shipped.
    grammars = {test.grammar for test in load_recipe(ROOT / "recipes" / folder.name / "recipe.yaml").tests.values()} - {None}
    texts = {(ROOT / "recipes" / folder.name / path).read_bytes() for path in grammars}
    assert texts == ({source.grammar.read_bytes()} if source.grammar is not None else set())
    weights = folder / "adapter" / "adapter_model.safetensors"
    assert weights.stat().st_size < 5_500_000
    first, second = (package(folder, tmp_path / f"{name}.expert", BaseStore(real_bases).records()) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    for result in source.eval:
        if result.metric != "accuracy":
            continue
        assert published(PUBLISHED)[folder.name, result.suite] == f"{result.value_ppm / 10_000:.1f} %"


@pytest.mark.parametrize("folder", EXPERTS, ids=lambda path: path.name)
def test_the_results_file_says_what_the_page_and_the_expert_say(folder):
    found = json.loads((ROOT / "recipes" / "results.json").read_text())[folder.name]
    assert {"n", "base", "expert", "handwritten", "best_sibling", "routed", "oracle", "command"} <= found.keys()
    for suite, numbers in (("generated", found), ("handwritten", found["handwritten"])):
        assert f"{100 * numbers['expert']['accuracy']:.1f} %" == published(PUBLISHED)[folder.name, suite]
        for choice in ("base", "expert", "best_sibling", "routed", "oracle"):
            low, high = numbers[choice]["interval"]
            assert low <= numbers[choice]["accuracy"] <= high


@pytest.mark.parametrize("path", sorted(ROOT.glob("recipes/pairs/*.yaml")), ids=lambda path: path.stem)
def test_prompts_that_need_two_experts_have_golds_that_pass(path):
    (test,) = load_recipe(path).tests.values()
    rows = rows_of(path.parent / test.path)
    assert len(rows) >= 16
    assert [row["id"] for row in rows if not task(test.task)(row["completion"], row).ok] == []
