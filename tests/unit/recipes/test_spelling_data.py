"""The generator of the spelling recipe: deterministic, no leak between splits, every gold sentence right and telling."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from expert_kit.evaluation.spelling import check

RECIPE = Path(__file__).resolve().parents[3] / "recipes" / "spelling"
SPLITS = ("train", "validation", "test")
ENTRIES = """
recieve->receive
beleive->believe
beleived->believed
untill->until
tabel->table
teh->the
thq->the
elphant->elephant
fo->of, for, to, do, go,
pencilcase->pencil case
wensday->Wednesday
ther->there, their, the, other,
"""


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("spelling_data", RECIPE / "data.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["spelling_data"] = module  # dataclasses look their module up
    before = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before
    del sys.modules["spelling_data"]


@pytest.fixture(scope="module")
def speller(recipe):
    pytest.importorskip("codespell_lib", reason="the spelling recipe's data comes from codespell")
    return recipe.installed_speller()


@pytest.fixture(scope="module")
def asked(recipe, speller):
    return {split: recipe.questions(speller, split, 3000 if split == "train" else recipe.SIZES[split], seed=0) for split in SPLITS}


def test_script_writes_the_same_rows_as_the_functions(recipe, speller, tmp_path):
    command = [sys.executable, str(RECIPE / "data.py"), "--out", str(tmp_path), "--train-rows", "200"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    for split in SPLITS:
        lines = (tmp_path / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == recipe.rows(speller, split, 200 if split == "train" else recipe.SIZES[split], seed=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test.jsonl", "train.jsonl", "validation.jsonl"]


def test_without_codespell_the_script_says_what_to_install(recipe, tmp_path, monkeypatch):
    recipe.installed_speller.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install codespell"):
        recipe.main(["--out", str(tmp_path / "data")])
    assert not (tmp_path / "data").exists()


def test_another_seed_gives_other_rows(recipe, speller):
    assert recipe.rows(speller, "test", 30, seed=0) != recipe.rows(speller, "test", 30, seed=1)


def test_no_misspelling_is_in_two_splits_or_in_the_hand_written_tests(recipe, speller, asked):
    used = {split: {wrong for row in asked[split] for wrong, _ in row.swaps} for split in SPLITS}
    assert not used["train"] & (used["validation"] | used["test"])
    assert not used["validation"] & used["test"]
    listed = {split: {wrong for wrongs in speller.by_split[split].values() for wrong in wrongs} for split in SPLITS}
    assert not listed["train"] & (listed["validation"] | listed["test"])
    by_hand = recipe.hand_written_mistakes()
    assert {"definately", "tomorow", "freind", "wensday", "sumer"} <= by_hand
    assert not by_hand & (used["train"] | used["validation"] | used["test"])


def test_frames_and_instructions_are_in_one_split_only(recipe, asked):
    for table in (recipe.FRAMES, recipe.INSTRUCTIONS):
        keys = {split: {re.sub(r"[^a-z{}]+", " ", text.lower()).strip() for text in table[split]} for split in SPLITS}
        assert not keys["train"] & (keys["validation"] | keys["test"])
        assert not keys["validation"] & keys["test"]
    assert len(recipe.FRAMES["train"]) > 200
    assert all(instruction.count("{s}") == 1 for side in recipe.INSTRUCTIONS.values() for instruction in side)
    for split in SPLITS:
        assert {row.frame for row in asked[split]} <= set(recipe.FRAMES[split])


def test_no_prompt_or_held_out_sentence_is_anywhere_else(asked):
    prompts = [row.prompt.lower() for split in SPLITS for row in asked[split]]
    assert len(prompts) == len(set(prompts))
    sentences = {split: {row.sentence.lower() for row in asked[split]} for split in SPLITS}
    assert not sentences["train"] & (sentences["validation"] | sentences["test"])


def test_hand_written_sentences_are_in_no_split(recipe, asked):
    by_hand = {
        json.loads(line)["completion"].lower().rstrip(".") for name in ("", "_dev") for line in (RECIPE / f"handwritten{name}.jsonl").open()
    }
    assert not by_hand & {row.sentence.lower().rstrip(".") for split in SPLITS for row in asked[split]}


def test_every_slot_is_filled_and_prompts_are_short(asked):
    for row in (row for split in SPLITS for row in asked[split]):
        assert not re.search(r"[{}]|  |\b[Aa] [aeio]", row.prompt.replace("a one", "")), row
        assert len(row.prompt) < 230


def test_only_the_swapped_words_of_a_sentence_differ(recipe, asked):
    for row in (row for split in SPLITS for row in asked[split][::5]):
        shown = row.prompt
        for wrong, right in row.swaps:
            assert re.search(rf"(?<![a-z']){re.escape(wrong)}(?![a-z])", shown, re.IGNORECASE), row
            shown = re.sub(rf"(?<![A-Za-z']){re.escape(wrong)}(?![a-z])", right, shown, count=1, flags=re.IGNORECASE)
        assert row.sentence.lower() in shown.lower(), row
        assert not {wrong for wrong, _ in row.swaps} & {word.lower() for word in recipe.words_of(row.sentence)}


def test_golds_pass_the_check_and_the_misspelt_sentences_do_not(asked):
    for row in asked["test"] + asked["validation"]:
        gold = {"completion": row.sentence}
        assert check(row.sentence, gold).ok
        misspelt = row.sentence.lower()
        for wrong, right in row.swaps:
            misspelt = re.sub(rf"\b{re.escape(right)}\b", wrong, misspelt, count=1)
        assert check(misspelt, gold).ok is not bool(row.swaps), row


def test_sentences_have_none_to_three_mistakes_and_many_different_ones(asked):
    counts = Counter(len(row.swaps) for row in asked["train"])
    assert set(counts) == {0, 1, 2, 3}
    assert 0.08 < counts[0] / len(asked["train"]) < 0.2
    held = Counter(wrong for row in asked["test"] for wrong, _ in row.swaps)
    assert len(held) > 250
    assert max(held.values()) <= 5


def test_a_dictionary_line_with_several_corrections_or_none_is_left_out(recipe):
    entries = recipe.mistakes.dictionary_entries(ENTRIES)
    assert {"receive", "Wednesday", "the", "elephant"} <= set(entries)
    assert not any("fo" in wrongs or "ther" in wrongs for wrongs in entries.values())


def test_unclear_misspellings_are_left_out(recipe):
    speller = recipe.Speller(recipe.mistakes.dictionary_entries(ENTRIES))
    found = {wrong for split in SPLITS for wrongs in speller.by_split[split].values() for wrong in wrongs}
    assert "elphant" in found
    assert "thq" not in found  # "the" or "tho": nobody knows
    assert not found & {"wensday", "teh"}  # in the hand-written tests


@pytest.mark.parametrize(
    ("wrong", "right", "clear"),
    [
        ("recieve", "receive", True),
        ("form", "from", False),
        ("tine", "time", False),
        ("completly", "complete", False),
        ("xzqive", "receive", False),
    ],
)
def test_a_misspelling_is_clear_if_it_is_nearest_to_its_own_word(recipe, wrong, right, clear):
    near = recipe.mistakes.Neighbours(["receive", "from", "form", "time", "tie", "fine", "complete", "completely"])
    assert near.unmistakable(wrong, right) is clear


@pytest.mark.parametrize(
    ("a", "b", "edits"), [("", "abc", 3), ("teh", "the", 1), ("kitten", "sitting", 3), ("recieve", "receive", 1), ("ca", "abc", 3)]
)
def test_distance_is_optimal_string_alignment(recipe, a, b, edits):
    # "kitten" is Levenshtein's usual example; "ca" and "abc" tell optimal string alignment (3) from Damerau's distance (2).
    assert recipe.mistakes.distance(a, b) == edits


def test_made_up_misspellings_are_near_their_word_and_are_no_words(recipe):
    near = recipe.mistakes.Neighbours(["definitely", "library", "separate", "because", "friend", "freed"], known=["fiend"])
    rng = random.Random(3)
    made = {
        recipe.mistakes.made_up(rng, word, near) for word in ["definitely", "library", "separate", "because", "friend"] for _ in range(200)
    }
    assert len(made) > 60
    assert not made & {"fiend", "freed", "friend"}
    assert recipe.mistakes.made_up(rng, "don't", near) == "dont"
    assert recipe.mistakes.made_up(rng, "two", near) is None
