"""The generator of the python recipe: deterministic, families apart, every gold function right and telling."""

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

from expert_kit.evaluation.python_function import check
from expert_kit.evaluation.python_source import function_in
from tests.support.recipes import recipe_module

RECIPE = Path(__file__).resolve().parents[3] / "recipes" / "python"
SPLITS = ("train", "validation", "test", "new_functions")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What the script writes, with a small training set."""
    out = tmp_path_factory.mktemp("python")
    command = [sys.executable, str(RECIPE / "data.py"), "--out", str(out), "--train-rows", "900"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{split}.jsonl" for split in SPLITS)
    return {split: [json.loads(line) for line in (out / f"{split}.jsonl").read_text().split("\n") if line] for split in SPLITS}


@pytest.fixture(scope="module")
def functions():
    return recipe_module("python", "python_functions")


@pytest.fixture(scope="module")
def words():
    return recipe_module("python", "python_words")


def test_the_script_writes_the_same_rows_whatever_the_order_of_sets(written, tmp_path):
    command = [sys.executable, str(RECIPE / "data.py"), "--out", str(tmp_path), "--train-rows", "900"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "2"})
    again = {split: [json.loads(line) for line in (tmp_path / f"{split}.jsonl").read_text().split("\n") if line] for split in SPLITS}
    assert again == written


def test_another_seed_gives_other_rows():
    spec = importlib.util.spec_from_file_location("python_data", RECIPE / "data.py")
    data = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(data)
    sys.path[:] = before
    assert data.questions("train", 20, seed=0) == data.questions("train", 20, seed=0) != data.questions("train", 20, seed=1)


def test_sizes_and_unique_rows(written):
    assert {split: len(rows) for split, rows in written.items()} == {"train": 900, "validation": 200, "test": 400, "new_functions": 100}
    rows = [row for split in SPLITS for row in written[split]]
    assert len({row["prompt"] for row in rows}) == len({row["id"] for row in rows}) == len(rows)


def test_there_are_many_families_with_several_phrasings_and_each_is_in_one_split(functions, written):
    families = functions.families()
    split = Counter(functions.split_of(family) for family, _ in families)
    assert len({family for family, _ in families}) == len(families) > 1000
    assert split["train"] > 900
    assert split["test"] > 120
    kinds = {name: {row["kind"] for row in rows} for name, rows in written.items()}
    assert not kinds["train"] & (kinds["validation"] | kinds["test"] | kinds["new_functions"])
    assert not kinds["validation"] & (kinds["test"] | kinds["new_functions"])
    assert all(kind.startswith("single ") for kind in kinds["new_functions"])
    assert not any(kind.startswith("single ") for kind in kinds["test"])
    assert all(len(single.train) >= 2 and single.held for single in functions.singles())


def test_the_code_of_a_held_out_function_is_hardly_ever_that_of_a_function_in_training(written):
    def code(row):
        """The body with the parameters by number, so that names make no difference."""
        first, body = row["completion"].split("\n", 1)
        for number, name in enumerate(re.search(r"\((.*)\)", first)[1].split(", ")):
            body = re.sub(rf"\b{name}\b", f"p{number}", body)
        return body

    trained = {code(row) for row in written["train"]}
    same = {row["kind"] for split in ("test", "new_functions") for row in written[split] if code(row) in trained}
    # A list of numbers and one of strings are sorted by the same code, and so on.
    assert len(same) <= 0.1 * len({row["kind"] for split in ("test", "new_functions") for row in written[split]}), same


def test_hand_written_prompts_are_in_no_split(written):
    prompts = {" ".join(row["prompt"].lower().split()) for rows in written.values() for row in rows}
    by_hand = [json.loads(line)["prompt"] for name in ("", "_dev") for line in (RECIPE / f"handwritten{name}.jsonl").open()]
    assert not prompts & {" ".join(prompt.lower().split()) for prompt in by_hand}


def test_prompts_are_whole_and_short(written):
    for row in (row for rows in written.values() for row in rows):
        assert not re.search(r"\{\w*\}|\$\d|\bNone of\b|  (?! )\S.*\bin in\b", row["prompt"].replace("{}", "")), row
        assert len(row["prompt"]) < 420
        assert len(row["completion"]) < 330
        name = re.match(r"def (\w+)\(", row["completion"])[1]
        assert f"{name}(" in row["prompt"]


def test_every_gold_is_found_by_the_check_and_may_be_run(written):
    for rows in written.values():
        for row in rows:
            code = function_in(row["completion"], re.match(r"def (\w+)", row["completion"])[1], row["prompt"])
            assert code is not None
            assert code.modules == ()


def test_held_out_rows_have_ten_calls_with_different_results(written):
    for split in ("validation", "test", "new_functions"):
        for row in written[split]:
            assert len({arguments for arguments, _ in row["tests"]}) == 10
            assert len({result for _, result in row["tests"]}) > 1, row


def test_a_sample_of_golds_passes_and_the_gold_of_another_row_does_not(written):
    rows = random.Random(3).sample(written["test"], 4) + random.Random(3).sample(written["new_functions"], 2)
    for row in rows:
        assert check(row["completion"], row).ok, row
        other = next(one for one in written["test"] if one["kind"] != row["kind"])
        wrong = other["completion"].replace(f"def {other['function']}(", f"def {row['function']}(")
        assert not check(wrong, row).ok


@pytest.mark.parametrize(
    ("phrase", "one", "verb", "verbs"),
    [
        ("that are even", "that is even", "is even", "are even"),
        ("greater than 3", "greater than 3", "is greater than 3", "are greater than 3"),
        ("that 3 divides", "that 3 divides", "is one that 3 divides", "are ones that 3 divides"),
        ("with 5 as the last digit", "with 5 as the last digit", "has 5 as the last digit", "have 5 as the last digit"),
        ("that contain 'a'", "that contains 'a'", "contains 'a'", "contain 'a'"),
        ("starting with 'a'", "starting with 'a'", "starts with 'a'", "start with 'a'"),
        ("that are palindromes", "that is a palindrome", "is a palindrome", "are palindromes"),
        ("of length 3", "of length 3", "is of length 3", "are of length 3"),
        ("that are the same as 2", "that is the same as 2", "is the same as 2", "are the same as 2"),
    ],
)
def test_conditions_are_said_of_one_and_of_many(words, phrase, one, verb, verbs):
    assert (words.singular(phrase), words.clause(phrase), words.plural_clause(phrase)) == (one, verb, verbs)
