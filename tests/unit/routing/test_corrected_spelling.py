from __future__ import annotations

import numpy as np
import pytest

from expert_kit.names import sha256_digest
from expert_kit.routing import Candidate, EmbeddingRouter, FitInputs, Reader, RoutingPolicy, explain
from expert_kit.routing.spelling import Speller
from tests.support.encoders import FakeEncoder

LANGUAGE = ("the", "in", "about", "letter", "weather", "garden", "form", "please", "money", "account")
SPELLER = Speller(["transfer money to my savings account", "what is the balance of my account", "move funds from savings"], LANGUAGE)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("trnasfer my money", "transfer my money"),  # swapped
        ("transfer my mony", "transfer my money"),  # lost
        ("what is the ballance", "what is the balance"),  # added
        ("Move funds from svaingd!", "Move funds from savings!"),  # two slips in a long word
        ("the leter about the gardeb", "the letter about the garden"),  # no example has these words
        ("transfer money to m savings", "transfer money to my savings"),  # short, but beside known words
    ],
)
def test_slips_become_the_likely_words_and_everything_else_stays(written: str, meant: str) -> None:
    assert SPELLER.corrected(written) == meant


@pytest.mark.parametrize("text", ["", "what is my balance", "the weather in the garden", "42 %% ~/x", "xq"])
def test_a_prompt_without_doubtful_words_is_left_alone(text: str) -> None:
    assert SPELLER.corrected(text) is None


def test_another_language_is_not_corrected_into_this_one() -> None:
    assert SPELLER.corrected("die wetten forma gartens bitte konta savongs") is None


def test_a_known_word_changes_only_where_the_examples_always_have_another_one() -> None:
    assert SPELLER.corrected("move funds form savings") is None
    often = Speller(["move funds from savings"] * 10, LANGUAGE)
    assert often.corrected("move funds form savings") == "move funds from savings"


def test_without_words_of_the_language_nothing_looks_mistyped() -> None:
    assert Speller(["transfer money"], ()).corrected("trnasfer mony") is None


class _KnowsWords(FakeEncoder):
    def words(self) -> tuple[str, ...]:
        return ("please", "show")


def _candidates() -> list[Candidate]:
    found = []
    for name, words in {"pets/cats": ("kitten", "whiskers", "purring"), "food/soup": ("broth", "ladle", "stockpot")}.items():
        texts = [f"{first} {second} {third}" for first in ("show", "the", "a", "my") for second in words for third in words]
        found.append(Candidate(sha256_digest(name.encode()), name, tuple(texts[:24]), "", tuple(texts[24:])))
    return found


def test_a_mistyped_prompt_reaches_its_expert_and_the_decision_says_how_it_was_read() -> None:
    encoder, candidates = _KnowsWords(), _candidates()
    inputs = FitInputs.of(candidates, Reader(encoder))
    policy = RoutingPolicy(EmbeddingRouter(candidates, encoder), fitted=inputs.fit())
    decision = policy.decide("the whsikers purrring")
    assert decision.read_as == "the whiskers purring"
    assert decision.scores[0].name == "pets/cats"
    assert "also read as: the whiskers purring" in explain(decision)
    assert decision.to_json()["read_as"] == decision.read_as
    correct = policy.decide("the whiskers purring")
    assert correct.read_as is None
    assert decision.scores[0].score > 0.9 * correct.scores[0].score


def test_a_second_look_is_only_taken_where_a_word_looks_mistyped() -> None:
    encoder, candidates = _KnowsWords(), _candidates()
    policy = RoutingPolicy(EmbeddingRouter(candidates, encoder), fitted=FitInputs.of(candidates, Reader(encoder)).fit())
    encoder.embedded.clear()
    policy.decide("show kitten")
    assert encoder.embedded == ["show kitten"]


def test_bags_bound_the_distance_for_letters_of_any_script() -> None:
    rng = np.random.default_rng(1)
    letters = np.array(list("abcäé"))
    for _ in range(200):
        word = "".join(rng.choice(letters, 6))
        at = int(rng.integers(6))
        slipped = word[:at] + str(rng.choice(letters)) + word[at + 1 :]
        if slipped != word:
            assert Speller([word] * 3, ("zzz",)).corrected(slipped) == word
