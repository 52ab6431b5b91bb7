from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest

from expert_kit.errors import UsageError
from expert_kit.names import Digest, sha256_digest
from expert_kit.routing import Candidate, EmbeddingRouter, RankedExpert, RoutingConfig, RoutingPolicy, explain
from expert_kit.routing.router import choose, rank
from tests.support.encoders import FakeEncoder

CATS = Candidate(sha256_digest(b"cats"), "pets/cats", ("the cat sleeps", "my cat purrs", "cat food please"))
DOGS = Candidate(sha256_digest(b"dogs"), "pets/dogs", ("the dog barks", "walk my dog", "dog biscuits please"))
CONFIG = RoutingConfig(min_score=0.5, background_share=0.5, top_k=2, margin=0.1, temperature=0.05)


def _ranked(*scores: float) -> tuple[RankedExpert, ...]:
    return tuple(RankedExpert(Digest(f"sha256:{number:064x}"), f"ns/e{number}", score) for number, score in enumerate(scores))


def _policy(config: RoutingConfig | None = None) -> RoutingPolicy:
    return RoutingPolicy(EmbeddingRouter([CATS, DOGS], FakeEncoder()), config)


def test_a_clear_winner_answers_alone() -> None:
    experts, reason = choose(_ranked(0.9, 0.7), 0.0, CONFIG)
    assert [(one.name, one.weight) for one in experts] == [("ns/e0", 1.0)]
    assert reason == "covered"


def test_close_experts_are_mixed_by_softmax() -> None:
    experts, reason = choose(_ranked(0.80, 0.75, 0.2), 0.0, CONFIG)
    assert [one.name for one in experts] == ["ns/e0", "ns/e1"]
    assert experts[1].weight / experts[0].weight == pytest.approx(math.exp(-1))
    assert reason == "covered"


def test_more_close_experts_than_top_k_are_ambiguous() -> None:
    experts, reason = choose(_ranked(0.80, 0.79, 0.78), 0.0, CONFIG)
    assert [one.name for one in experts] == ["ns/e0", "ns/e1"]
    assert reason == "ambiguous"


def test_below_the_threshold_nobody_answers() -> None:
    assert choose(_ranked(0.49, 0.1), 0.0, CONFIG) == ((), "not_covered")


def test_at_the_threshold_the_expert_answers() -> None:
    assert choose(_ranked(0.5), 0.0, CONFIG)[1] == "covered"


def test_similarity_to_generic_prompts_is_held_against_a_score() -> None:
    assert choose(_ranked(0.6), 0.1, CONFIG)[1] == "covered"
    assert choose(_ranked(0.6), 0.3, CONFIG)[1] == "not_covered"


def test_a_close_expert_below_the_threshold_is_left_out() -> None:
    experts, reason = choose(_ranked(0.52, 0.48), 0.0, CONFIG)
    assert [one.name for one in experts] == ["ns/e0"]
    assert reason == "covered"


def test_equal_scores_are_ranked_by_digest() -> None:
    high, low = sha256_digest(b"a"), sha256_digest(b"b")
    high, low = max(high, low), min(high, low)
    ranked = rank({high: np.float32(0.5), low: np.float32(0.5)}, {high: "ns/high", low: "ns/low"})
    assert [one.name for one in ranked] == ["ns/low", "ns/high"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("min_score", 1.5), ("top_k", 0), ("margin", -0.1), ("temperature", 0.0), ("background_share", math.nan), ("neighbours", -1)],
)
def test_a_setting_out_of_range_is_named(field: str, value: float) -> None:
    with pytest.raises(UsageError, match=field) as caught:
        RoutingConfig(**{field: value})  # type: ignore[arg-type]
    assert caught.value.code == "routing_config_invalid"


def test_a_covered_query_names_its_expert_and_its_evidence() -> None:
    decision = _policy().decide("my cat wants food")
    assert not decision.abstained
    assert [(one.digest, one.name, one.weight) for one in decision.experts] == [(CATS.digest, "pets/cats", 1.0)]
    assert [one.name for one in decision.scores] == ["pets/cats", "pets/dogs"]
    assert decision.coverage == pytest.approx(decision.scores[0].score - 0.5 * decision.background)
    assert decision.margin == pytest.approx(decision.scores[0].score - decision.scores[1].score)
    assert [one.name for one in decision.evidence] == ["pets/cats", "pets/dogs"]
    assert decision.evidence[0].nearest[0].text in CATS.examples
    assert decision.encoder_id == FakeEncoder().id


def test_an_uncovered_query_abstains_and_still_shows_the_ranking() -> None:
    decision = _policy().decide("stock market news tonight")
    assert decision.abstained
    assert decision.reason == "not_covered"
    assert decision.experts == ()
    assert len(decision.scores) == len(decision.evidence) == 2
    assert decision.coverage < decision.threshold


@pytest.mark.parametrize("query", ["", "   ", "\x00\x1b", "\ud83d"])
def test_a_query_without_text_abstains_as_empty(query: str) -> None:
    decision = _policy().decide(query)
    assert (decision.abstained, decision.reason, decision.experts) == (True, "empty", ())
    assert {one.score for one in decision.scores} == {-1.0}
    assert decision.encoder_id is None


def test_an_empty_query_abstains_whatever_the_threshold() -> None:
    assert _policy(RoutingConfig(min_score=-1.0)).decide("").abstained


def test_without_experts_everything_abstains_as_empty() -> None:
    decision = RoutingPolicy(EmbeddingRouter([], FakeEncoder())).decide("a cat")
    assert (decision.abstained, decision.reason, decision.scores, decision.margin) == (True, "empty", (), None)


def test_a_megabyte_of_text_is_decided_by_its_beginning_and_quickly() -> None:
    policy = _policy()
    start = time.perf_counter()
    decision = policy.decide("the cat sleeps " * 70_000)
    assert time.perf_counter() - start < 2.0
    assert [one.name for one in decision.experts] == ["pets/cats"]


def test_control_characters_and_other_scripts_do_not_change_who_answers() -> None:
    assert [one.name for one in _policy().decide("the\x1b cat\x00sleeps\r\nmy cat purrs 日本 \ud800").experts] == ["pets/cats"]


def test_the_decision_does_not_depend_on_the_order_of_installing() -> None:
    one = RoutingPolicy(EmbeddingRouter([CATS, DOGS], FakeEncoder())).decide("walk my dog please")
    other = RoutingPolicy(EmbeddingRouter([DOGS, CATS], FakeEncoder())).decide("walk my dog please")
    assert json.dumps(one.to_json()) == json.dumps(other.to_json())


def test_the_json_form_is_plain_data_with_every_input() -> None:
    decision = _policy().decide("my cat wants food")
    data = json.loads(json.dumps(decision.to_json(), allow_nan=False))
    assert data["experts"] == [{"digest": CATS.digest, "name": "pets/cats", "weight": 1.0}]
    assert data["scores"][0] == {"digest": CATS.digest, "name": "pets/cats", "score": round(decision.scores[0].score, 6)}
    assert data["threshold"] == data["config"]["min_score"] == 0.24
    assert data["evidence"][0]["nearest"][0].keys() == {"text", "similarity"}
    assert data["reason"] == "covered"


def test_the_explanation_shows_scores_threshold_and_examples() -> None:
    text = explain(_policy().decide("my cat wants food"))
    assert text.startswith("pets/cats: coverage ")
    assert "threshold 0.24" in text
    assert "nearest examples of pets/dogs" in text
    assert "weight 1.00" in text


def test_the_explanation_of_an_abstention_says_who_answers() -> None:
    assert explain(_policy().decide("stock market news tonight")).startswith("no expert fits (the base model answers alone)")
    assert explain(_policy().decide("")).startswith("no expert: the prompt has no text")
    assert explain(RoutingPolicy(EmbeddingRouter([], FakeEncoder())).decide("x")) == "no expert: none is installed"


def test_package_text_in_an_explanation_cannot_steer_a_terminal() -> None:
    evil = Candidate(CATS.digest, "pets/cats", ("my cat \u202e purrs \u200b loudly",))
    text = explain(RoutingPolicy(EmbeddingRouter([evil], FakeEncoder())).decide("my cat purrs loudly"))
    assert "\u202e" not in text
    assert "\\u{202e}" in text
