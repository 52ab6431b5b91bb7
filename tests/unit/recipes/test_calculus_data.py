from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from expert_kit.evaluation.derivative import check

SCRIPT = Path(__file__).parents[3] / "recipes" / "calculus" / "data.py"
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("calculus_data", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["calculus_data"] = module  # dataclasses look their module up
    before = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before
    del sys.modules["calculus_data"]


@pytest.fixture(scope="module")
def asked(recipe):
    return {split: [question for _, question in recipe.questions(split, recipe.SIZES[split], seed=0)] for split in SPLITS}


@pytest.fixture(scope="module")
def rows(recipe):
    return {split: recipe.rows(split, recipe.SIZES[split], seed=0) for split in SPLITS}


def phrasing_key(text):
    return re.sub(r"[^a-z{}']+", " ", text.lower()).strip()


def test_script_writes_the_same_rows_as_the_functions(tmp_path, rows):
    subprocess.run([sys.executable, str(SCRIPT), "--out", str(tmp_path)], check=True)
    for split in SPLITS:
        lines = (tmp_path / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == rows[split]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test.jsonl", "train.jsonl", "validation.jsonl"]


def test_another_seed_gives_other_rows(recipe):
    assert recipe.rows("test", 50, seed=0) != recipe.rows("test", 50, seed=1)


def test_no_function_is_in_two_splits(recipe, asked):
    keys = {split: {recipe.split_key(question.terms) for question in asked[split]} for split in SPLITS}
    assert not keys["train"] & (keys["validation"] | keys["test"])
    assert not keys["validation"] & keys["test"]


def test_no_expression_text_is_in_two_splits(rows):
    def normal(row):
        return re.sub(rf"(?<![a-z]){row['variable']}(?![a-z])", "v", row["expression"])

    texts = {split: {normal(row) for row in rows[split]} for split in SPLITS}
    assert not texts["train"] & (texts["validation"] | texts["test"])
    assert not texts["validation"] & texts["test"]


def test_order_variable_and_constant_do_not_make_another_function(recipe):
    term = recipe.Term
    square, double = term(3, (("pow", 2),)), term(2, (("pow", 1),))
    assert recipe.split_key([square, double, term(-5)]) == recipe.split_key([term(7), double, square])
    assert recipe.split_of(recipe.split_key([square, double, term(-5)])) == "test"


def test_held_out_splits_use_phrasings_that_training_never_shows(recipe, asked):
    seen = {split: {phrasing_key(question.phrasing) for question in asked[split]} for split in SPLITS}
    assert not seen["train"] & (seen["validation"] | seen["test"])
    assert not seen["validation"] & seen["test"]
    lists = {split: recipe.SPLITS[split] for split in SPLITS}
    cores = {
        split: {phrasing_key(text) for text in (*p.verb_phrases, *p.sentences, *(sentence for sentence, _ in p.applications))}
        for split, p in lists.items()
    }
    assert not cores["train"] & (cores["validation"] | cores["test"])
    assert not cores["validation"] & cores["test"]
    assert lists["train"].count() >= 90
    assert lists["validation"].count() >= 15
    assert lists["test"].count() >= 25


def test_no_prompt_occurs_twice(rows):
    prompts = [row["prompt"] for split in SPLITS for row in rows[split]]
    assert len(prompts) == len(set(prompts))


def test_every_placeholder_is_filled_and_prompts_are_short(rows):
    for row in (row for split in SPLITS for row in rows[split]):
        assert not re.search(r"\{(?:[eEFv]|core|Core)\}", row["prompt"].replace(f"^{{{row['variable']}}}", ""))
        assert len(row["prompt"]) < 160
        assert re.fullmatch(r"[-+*^() 0-9a-z]+", row["completion"])


def test_gold_answers_of_the_held_out_splits_are_right(rows):
    wrong = [row for split in ("validation", "test") for row in rows[split][::3] if not check(row["completion"], row).ok]
    assert wrong == []


def test_gold_answers_of_a_sample_of_training_are_right(rows):
    assert [row for row in rows["train"][::40] if not check(row["completion"], row).ok] == []


def test_answers_to_other_questions_are_wrong(rows):
    pairs = [(a, b) for a, b in zip(rows["test"][::3], rows["test"][1::3], strict=False) if a["completion"] != b["completion"]]
    assert len(pairs) > 100
    assert [(a, b) for a, b in pairs if check(a["completion"], b).ok] == []


def test_kinds_are_balanced(recipe, rows):
    kinds = Counter(row["kind"] for row in rows["train"])
    total = sum(kinds.values())
    products = sum(count for kind, count in kinds.items() if "_times_" in kind or kind == "product_sum")
    assert set(kinds) == set(recipe.KINDS)
    assert 0.45 < sum(kinds[kind] for kind in ("constant", "linear", "monomial", "polynomial")) / total < 0.55
    assert 0.2 < sum(kinds[kind] for kind in ("trig", "exponential", "mixed_sum")) / total < 0.3
    assert 0.2 < products / total < 0.3


@pytest.mark.parametrize(
    ("terms", "gold"),
    [
        ([(3, ("pow", 2)), (2, ("pow", 1)), (-5,)], "6x + 2"),
        ([(-5,), (3, ("pow", 2))], "6x"),
        ([(7,)], "0"),
        ([(1, ("pow", 2), ("sin", 3))], "2x*sin(3x) + 3x^2*cos(3x)"),
        ([(1, ("pow", 1), ("exp", -1))], "e^(-x) - x*e^(-x)"),
        ([(1, ("lin", 2, 3), ("lin", 4, -5))], "2(4x - 5) + 4(2x + 3)"),
        ([(2, ("pow", 2), ("lin", 3, -1))], "4x*(3x - 1) + 6x^2"),
        ([(1, ("lin", 2, 3), ("sin", 1))], "2sin(x) + (2x + 3)*cos(x)"),
        ([(1, ("exp", 2), ("cos", 3))], "2e^(2x)*cos(3x) - 3e^(2x)*sin(3x)"),
        ([(1, ("pow", 1), ("sin", 3)), (2, ("cos", 3))], "-5sin(3x) + 3x*cos(3x)"),
    ],
)
def test_gold_answers_have_one_style(recipe, terms, gold):
    shown = tuple(recipe.Term(coef, tuple(atoms)) for coef, *atoms in terms)
    assert recipe.completion(recipe.Question("", shown, "x", "")) == gold
