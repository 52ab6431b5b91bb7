from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from expert_kit.names import sha256_digest
from expert_kit.routing import Candidate, EmbeddingRouter, VectorCache
from expert_kit.routing.background import BACKGROUND
from expert_kit.routing.embedding import NOTHING_TO_COMPARE
from expert_kit.routing.encoder import embed
from tests.support.encoders import FakeEncoder

CATS = Candidate(sha256_digest(b"cats"), "pets/cats", ("the cat sleeps", "my cat purrs", "cat food please"))
DOGS = Candidate(sha256_digest(b"dogs"), "pets/dogs", ("the dog barks", "walk my dog", "dog biscuits please"))


def test_the_score_is_half_the_centroid_and_half_the_two_best_examples() -> None:
    examples, query = embed(FakeEncoder(), CATS.examples).astype(np.float64), embed(FakeEncoder(), ["a cat"])[0].astype(np.float64)
    mean = examples.mean(axis=0)
    wanted = 0.5 * (mean @ query) / np.linalg.norm(mean) + 0.5 * np.sort(examples @ query)[-2:].mean()
    score = EmbeddingRouter([CATS], FakeEncoder()).scores("a cat")[CATS.digest]
    assert score.dtype == np.float32
    assert score == pytest.approx(wanted, abs=1e-6)


def test_one_example_scores_its_cosine() -> None:
    one = Candidate(CATS.digest, "pets/cats", ("my cat purrs",))
    assert EmbeddingRouter([one], FakeEncoder()).scores("my cat purrs")[one.digest] == pytest.approx(1.0, abs=1e-6)


def test_the_card_routes_only_where_there_are_no_examples() -> None:
    card_only = Candidate(DOGS.digest, DOGS.name, (), "walk my dog")
    both = Candidate(CATS.digest, CATS.name, ("my cat purrs",), "walk my dog")
    scores = EmbeddingRouter([card_only, both], FakeEncoder()).scores("walk my dog")
    assert scores[card_only.digest] == pytest.approx(1.0, abs=1e-6)
    assert scores[both.digest] < 0.9


def test_an_expert_without_any_text_is_present_and_never_wins() -> None:
    mute = Candidate(DOGS.digest, "pets/mute", ("\x00", "  "), "\n")
    scores = EmbeddingRouter([CATS, mute], FakeEncoder()).scores("unrelated words here")
    assert scores[mute.digest] == NOTHING_TO_COMPARE
    assert scores[CATS.digest] > NOTHING_TO_COMPARE


@pytest.mark.parametrize("query", ["", " \n\t", "\x00\x07", "\ud800"])
def test_a_query_without_text_is_not_encoded(query: str) -> None:
    encoder = FakeEncoder()
    router = EmbeddingRouter([CATS, DOGS], encoder)
    before = len(encoder.embedded)
    assert router.scores(query) == {CATS.digest: NOTHING_TO_COMPARE, DOGS.digest: NOTHING_TO_COMPARE}
    assert router.background(query) == 0.0
    assert router.nearest(query, CATS.digest, 3) == ()
    assert len(encoder.embedded) == before


def test_without_candidates_nothing_is_encoded() -> None:
    encoder = FakeEncoder()
    assert EmbeddingRouter([], encoder).scores("a cat") == {}
    assert encoder.embedded == []


def test_a_query_is_encoded_once_for_all_that_is_asked_about_it() -> None:
    encoder = FakeEncoder()
    router = EmbeddingRouter([CATS, DOGS], encoder)
    before = len(encoder.embedded)
    router.scores("a cat")
    router.background("a cat")
    router.nearest("a cat", DOGS.digest, 2)
    assert encoder.embedded[before:] == ["a cat"]


def test_repeated_and_reordered_examples_change_no_bit() -> None:
    shuffled = Candidate(CATS.digest, CATS.name, (*CATS.examples[::-1], CATS.examples[0], f" {CATS.examples[1]}\n"))
    query = "does the cat want food"
    assert EmbeddingRouter([shuffled], FakeEncoder()).scores(query) == EmbeddingRouter([CATS], FakeEncoder()).scores(query)


def test_the_same_example_in_two_experts_counts_for_both_and_is_embedded_once(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    twin = Candidate(DOGS.digest, DOGS.name, CATS.examples)
    scores = EmbeddingRouter([CATS, twin], encoder, VectorCache(tmp_path)).scores("the cat sleeps")
    assert scores[CATS.digest] == scores[twin.digest]
    assert sorted(encoder.embedded) == sorted([*CATS.examples, *BACKGROUND, "the cat sleeps"])


def test_queries_are_never_written_to_disk(tmp_path: Path) -> None:
    router = EmbeddingRouter([CATS], FakeEncoder(), VectorCache(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    router.scores("a secret about a cat")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_nearest_lists_examples_by_similarity() -> None:
    near = EmbeddingRouter([CATS, DOGS], FakeEncoder()).nearest("cat food please", CATS.digest, 2)
    assert len(near) == 2
    assert near[0].text == "cat food please"
    assert near[0].similarity == pytest.approx(1.0, abs=1e-6)
    assert near[1].similarity < near[0].similarity


def test_a_digest_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        EmbeddingRouter([CATS, CATS], FakeEncoder())


def test_the_background_has_no_duplicates() -> None:
    assert len(set(BACKGROUND)) == len(BACKGROUND) > 50
