"""The spelling expert's grammar with the words that the real base knows: corrections are inside, what is no word is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.adapters import load_base
from expert_kit.base_models import BaseStore
from expert_kit.inference.constraint import GrammarCompiler
from expert_kit.inference.known_words import KnownWords
from tests.support.grammars import accepts

RECIPE = Path(__file__).parents[2] / "recipes" / "spelling"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compiler(real_bases: Path) -> GrammarCompiler:
    entry = BaseStore(real_bases).get("smollm2-135m")
    base = load_base(entry.folder, entry.record, device="cpu", dtype="bfloat16")
    return GrammarCompiler(base, [base.tokenizer.eos_token_id])


def test_corrections_by_hand_are_inside(compiler: GrammarCompiler) -> None:
    rows = [json.loads(line) for line in (RECIPE / "handwritten_dev.jsonl").read_text(encoding="utf-8").splitlines()]
    inside = [accepts(compiler, RECIPE / "spelling.lark", row["prompt"], row["completion"]) for row in rows]
    assert sum(inside) >= 0.9 * len(rows)


@pytest.mark.parametrize(
    ("prompt", "right", "wrong"),
    [
        ("fix: the house aroudn the corner", "the house around the corner", "the house nearoudn the corner"),
        ("fix: it was unique agani", "it was unique again", "it was unique aguani"),
        ("fix: he asked anout it", "he asked about it", "he asked atout it"),
        ("fix: thats alot", "that's a lot", "that's a lotl"),
        ("fix: I definately cant", "I definitely can't", "I definitly can't"),
        ("fix: butterflys like flowrs", "butterflies like flowers", "butterflyz like flowrs"),
    ],
)
def test_a_word_becomes_another_word_or_stays(compiler: GrammarCompiler, prompt: str, right: str, wrong: str) -> None:
    assert accepts(compiler, RECIPE / "spelling.lark", prompt, right)
    assert accepts(compiler, RECIPE / "spelling.lark", prompt, prompt.removeprefix("fix: "))
    assert not accepts(compiler, RECIPE / "spelling.lark", prompt, wrong)


def test_words_far_from_all_that_the_base_knows_are_left_to_the_letters(compiler: GrammarCompiler) -> None:
    known = dict(KnownWords(compiler._base.tokenizer.get_vocab()).meant("Tehre aer manny mispelt wrods on kubectl"))
    assert {"there", "are", "many", "words"} <= {other for others in known.values() for other in others}
    assert not {"mispelt", "kubectl"} & set(known)
