from __future__ import annotations

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.names import sha256_digest
from expert_kit.routing import Candidate, EmbeddingRouter, RoutingConfig, RoutingPolicy
from tests.support.encoders import FakeEncoder

WORDS = st.sampled_from(["cat", "dog", "sleeps", "barks", "walks", "food", "the", "my", "please", "music", "sun", "integral", "table"])
SENTENCES = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)
CONFIGS = st.builds(
    RoutingConfig,
    min_score=st.floats(-1, 1),
    background_share=st.floats(0, 1),
    top_k=st.integers(1, 4),
    margin=st.floats(0, 1),
    temperature=st.floats(0.01, 1),
)


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    """One to five experts, some with the same examples, some with a card only, some mute."""
    texts = draw(st.lists(st.lists(SENTENCES, max_size=4), min_size=1, max_size=5))
    return [
        Candidate(sha256_digest(bytes([number])), f"ns/e{number}", tuple(own), draw(st.sampled_from(("", "my dog"))))
        for number, own in enumerate(texts)
    ]


@settings(max_examples=60, deadline=None)
@given(candidates(), st.one_of(SENTENCES, st.text(max_size=60)), CONFIGS)
def test_a_decision_keeps_its_promises(experts: list[Candidate], query: str, config: RoutingConfig) -> None:
    decision = RoutingPolicy(EmbeddingRouter(experts, FakeEncoder()), config).decide(query)
    assert decision.abstained == (not decision.experts) == (decision.reason in ("not_covered", "empty"))
    assert len(decision.experts) <= config.top_k
    assert {one.digest for one in decision.scores} == {one.digest for one in experts}
    assert list(decision.scores) == sorted(decision.scores, key=lambda one: (-one.score, one.digest))
    assert [one.digest for one in decision.experts] == [one.digest for one in decision.scores[: len(decision.experts)]]
    if decision.experts:
        weights = [one.weight for one in decision.experts]
        assert math.isclose(math.fsum(weights), 1.0)
        assert all(weight > 0 for weight in weights)
        assert weights == sorted(weights, reverse=True)
    json.dumps(decision.to_json(), allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(candidates(), SENTENCES, st.randoms(use_true_random=False))
def test_order_and_repetition_change_no_byte(experts: list[Candidate], query: str, random: object) -> None:
    shuffled = [Candidate(one.digest, one.name, one.examples[::-1] + one.examples, one.card) for one in experts]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = RoutingPolicy(EmbeddingRouter(experts, FakeEncoder())).decide(query)
    second = RoutingPolicy(EmbeddingRouter(shuffled, FakeEncoder())).decide(query)
    assert json.dumps(first.to_json()) == json.dumps(second.to_json())


@settings(max_examples=40, deadline=None)
@given(candidates(), SENTENCES)
def test_another_expert_changes_no_score(experts: list[Candidate], query: str) -> None:
    everyone = EmbeddingRouter(experts, FakeEncoder()).scores(query)
    fewer = EmbeddingRouter(experts[:-1], FakeEncoder()).scores(query)
    assert {digest: score.tobytes() for digest, score in fewer.items()} == {digest: everyone[digest].tobytes() for digest in fewer}


@settings(max_examples=40, deadline=None)
@given(candidates(), SENTENCES, st.floats(-1, 1), st.floats(-1, 1))
def test_a_higher_threshold_never_wakes_an_expert(experts: list[Candidate], query: str, one: float, other: float) -> None:
    router = EmbeddingRouter(experts, FakeEncoder())
    low, high = sorted((one, other))
    if RoutingPolicy(router, RoutingConfig(min_score=low)).decide(query).abstained:
        assert RoutingPolicy(router, RoutingConfig(min_score=high)).decide(query).abstained
