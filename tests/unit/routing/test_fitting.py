from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expert_kit.names import sha256_digest
from expert_kit.routing import (
    Candidate,
    EmbeddingRouter,
    FitInputs,
    FittedScores,
    Reader,
    Router,
    RoutingConfig,
    RoutingPolicy,
    StateFolder,
    VectorCache,
    explain,
)
from expert_kit.routing.fitted import Fitted
from expert_kit.routing.scorers import ROUTERS
from expert_kit.routing.state import KEPT
from tests.support.encoders import FakeEncoder

TOPICS = {
    "pets/cats": ("cat", "purrs", "kitten"),
    "pets/dogs": ("dog", "barks", "puppy"),
    "food/bread": ("bread", "dough", "oven"),
    "food/soup": ("soup", "broth", "ladle"),
}
FRAMES = ("tell me about the {}", "my {} is here", "a {} please", "what is a {}", "show one {} now", "the {} again", "is this {} good")


def _prompts(words: tuple[str, ...]) -> list[str]:
    return [frame.format(f"{word} {other}") for frame in FRAMES for word in words for other in words if word != other]


def _experts(topics: dict[str, tuple[str, ...]] = TOPICS, examples: int = 24, validation: int = 16) -> list[Candidate]:
    found = []
    for name, words in topics.items():
        texts = _prompts(words)
        fit, held = tuple(texts[:examples]), tuple(texts[examples : examples + validation])
        found.append(Candidate(sha256_digest(name.encode()), name, fit, "", held, name.partition("/")[0]))
    return found


def _inputs(experts: list[Candidate] | None = None, **options: object) -> FitInputs:
    return FitInputs.of(_experts() if experts is None else experts, Reader(FakeEncoder()), **options)  # type: ignore[arg-type]


def _policy(fitted: Fitted, config: RoutingConfig | None = None) -> RoutingPolicy:
    return RoutingPolicy(EmbeddingRouter(_experts(), FakeEncoder()), config, fitted=fitted)


@pytest.fixture(scope="module")
def inputs() -> FitInputs:
    return _inputs()


@pytest.fixture(scope="module")
def fitted(inputs: FitInputs) -> Fitted:
    return inputs.fit()


@pytest.mark.parametrize("name", ROUTERS)
def test_every_router_scores_every_expert_and_comes_back_from_its_arrays(name: str, inputs: FitInputs) -> None:
    kind, corpus = ROUTERS[name], inputs.corpus
    if not kind.fits(corpus):
        assert (name in ("layers", "signals"), corpus.parts) == (True, 1)
        return
    router = kind.fit(corpus)
    batch = Reader(FakeEncoder()).read(["the kitten purrs"]).whole
    scores = dict(zip(corpus.digests, router.logits(batch)[0], strict=True))
    assert set(scores) == set(corpus.digests)
    best = max(scores, key=lambda digest: scores[digest])
    assert corpus.names[corpus.digests.index(best)].startswith("pets/")
    again = kind.load(router.arrays(), corpus)
    np.testing.assert_array_equal(again.logits(batch), router.logits(batch))


def test_a_fit_is_right_calibrated_and_says_what_it_chose(fitted: Fitted) -> None:
    assert fitted.report.source == "validation"
    assert fitted.report.accuracy["fusion"] >= 0.95
    assert fitted.report.ece < 0.1
    assert sum(fitted.report.chosen.values()) == pytest.approx(1)
    assert set(fitted.routers) == set(fitted.fusion.weights)


def test_every_router_and_their_fusion_score_all_experts_behind_one_method(fitted: Fitted) -> None:
    for name in (*fitted.routers, None):
        router: Router = FittedScores(fitted, Reader(FakeEncoder()), name)
        scores = router.scores("my kitten purrs")
        assert set(scores) == set(fitted.corpus.digests)
        assert max(scores, key=lambda digest: scores[digest]) == sha256_digest(b"pets/cats")


def test_the_fusion_is_not_worse_than_its_best_router(fitted: Fitted) -> None:
    assert fitted.report.losses["fusion"] <= min(fitted.report.losses.values()) + 0.02


def test_a_covered_prompt_gets_its_expert_with_a_probability(fitted: Fitted) -> None:
    decision = _policy(fitted).decide("my puppy barks")
    assert [one.name for one in decision.experts] == ["pets/dogs"]
    assert decision.calibrated
    assert decision.p_right == pytest.approx(decision.scores[0].score)
    assert decision.p_right is not None
    assert decision.p_right > 0.5
    assert sum(one.score for one in decision.scores) == pytest.approx(1, abs=1e-4)


def test_a_prompt_about_something_else_is_left_to_the_base(fitted: Fitted) -> None:
    decision = _policy(fitted).decide("quarterly stock prices rose sharply")
    assert (decision.reason, decision.experts) == ("not_covered", ())
    assert decision.coverage < decision.threshold
    assert "would answer from" in explain(decision)


def test_an_explanation_shows_every_router_and_the_evidence(fitted: Fitted) -> None:
    decision = _policy(fitted).decide("my puppy barks")
    text = explain(decision)
    for name in fitted.report.chosen:
        assert f"router {name}: share" in text
    assert "nearest examples of pets/dogs" in text
    assert "P(pets/dogs is right, if any expert is)" in text
    json.dumps(decision.to_json(), allow_nan=False)


def test_the_set_of_experts_is_never_larger_than_top_k(fitted: Fitted) -> None:
    wide = replace(fitted, quantile=0.9999, rule=replace(fitted.rule, threshold=-9.0))
    decision = _policy(wide, RoutingConfig(top_k=2)).decide("the cat and the dog and the bread and the soup")
    assert len(decision.experts) == 2
    assert sum(one.weight for one in decision.experts) == pytest.approx(1)
    assert decision.set_size is not None
    assert decision.set_size >= 2


def test_a_fit_is_the_same_whatever_the_order_of_experts_and_examples(fitted: Fitted) -> None:
    shuffled = [replace(one, examples=one.examples[::-1] + one.examples[:3]) for one in reversed(_experts())]
    again = _inputs(shuffled)
    assert again.key == fitted.key
    other = again.fit()
    assert other.fusion.weights == fitted.fusion.weights
    assert _policy(other).decide("a kitten please") == _policy(fitted).decide("a kitten please")


def test_any_change_of_the_inputs_makes_the_fit_stale(inputs: FitInputs) -> None:
    experts = _experts()
    more = replace(experts[0], examples=(*experts[0].examples, "one more cat"))
    held = replace(experts[0], validation=experts[0].validation[1:])
    changed = [
        _inputs([more, *experts[1:]]),
        _inputs([held, *experts[1:]]),
        _inputs(experts[1:]),
        _inputs(experts, config=RoutingConfig(loss=0.1)),
        _inputs(experts, generic=("never this",)),
        FitInputs.of(experts, Reader(FakeEncoder("another encoder"))),
    ]
    assert len({inputs.key, *(one.key for one in changed)}) == 1 + len(changed)


def test_another_background_makes_the_fit_stale(inputs: FitInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    before = inputs.key
    monkeypatch.setattr("expert_kit.routing.fitting.BACKGROUND", ("What time is it in Lima?",))
    assert replace(inputs).key != before


def test_without_validation_prompts_examples_are_held_out() -> None:
    fitted = _inputs(_experts(examples=20, validation=0)).fit()
    assert fitted.report.source == "folds"
    assert fitted.report.rows == 80
    assert fitted.report.accuracy["fusion"] >= 0.9


@pytest.mark.parametrize("examples", [1, 5, 20])
def test_few_examples_an_expert_are_enough_to_rank(examples: int) -> None:
    inputs = _inputs(_experts(examples=examples, validation=20))
    assert inputs.can_fit
    decision = RoutingPolicy(EmbeddingRouter(inputs.candidates, FakeEncoder()), fitted=inputs.fit()).decide("bread and dough in the oven")
    assert decision.scores[0].name == "food/bread"


def test_cards_alone_cannot_be_fitted_and_still_rank() -> None:
    cards = [replace(one, examples=(), card=" ".join(TOPICS[one.name]), validation=()) for one in _experts()]
    assert not _inputs(cards).can_fit
    decision = RoutingPolicy(EmbeddingRouter(cards, FakeEncoder())).decide("soup with broth")
    assert decision.scores[0].name == "food/soup"
    assert (decision.calibrated, decision.p_right) == (False, None)


def test_one_expert_is_not_fitted() -> None:
    assert not _inputs(_experts()[:1]).can_fit


def test_an_expert_with_one_example_beside_others_with_many_is_there() -> None:
    experts = _experts()
    experts[0] = replace(experts[0], examples=("cat",), validation=())
    fitted = _inputs(experts).fit()
    assert fitted.corpus.size == 4
    assert np.isfinite(fitted.judge(Reader(FakeEncoder()).read(["a cat"])).chances).all()


def test_two_experts_with_the_same_examples_share_the_chance() -> None:
    experts = _experts()
    twin = replace(experts[0], digest=sha256_digest(b"twin"), name="pets/twin")
    fitted = _inputs([*experts, twin]).fit()
    decision = RoutingPolicy(EmbeddingRouter([*experts, twin], FakeEncoder()), fitted=fitted).decide("my kitten purrs")
    assert {one.name for one in decision.scores[:2]} == {"pets/cats", "pets/twin"}


def test_prompts_of_several_experts_are_judged_one_against_the_rest() -> None:
    experts = _experts()
    both = [replace(one, examples=(*one.examples, *_experts()[0].examples)) for one in experts[:2]]
    fitted = _inputs([*both, *experts[2:]]).fit()
    assert fitted.several
    chances = fitted.judge(Reader(FakeEncoder()).read(["my kitten purrs"])).chances[0]
    names = dict(zip(fitted.corpus.names, chances, strict=True))
    assert min(names["pets/cats"], names["pets/dogs"]) > max(names["food/bread"], names["food/soup"])


@pytest.mark.parametrize("text", ["\x00\x01", "日本語の猫", "cat " * 20_000, "\ud800 dog", "größe ñandú cat"])
def test_odd_prompts_are_decided_without_an_error(text: str, fitted: Fitted) -> None:
    json.dumps(_policy(fitted).decide(text).to_json(), allow_nan=False)


def test_the_request_at_the_end_of_a_long_prompt_decides(fitted: Fitted) -> None:
    polite = "I hope you are well and I am very grateful for all that you do for me every single day of the week. " * 2
    decision = _policy(fitted).decide(f"{polite}Tell me about the dog puppy that barks")
    assert decision.scores[0].name == "pets/dogs"


def test_a_fit_comes_back_from_disk_as_it_was(fitted: Fitted, tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.save(fitted)
    again = folder.load(fitted.key, fitted.corpus)
    assert again is not None
    prompts = Reader(FakeEncoder()).read(["my kitten purrs", "something else entirely here today"])
    for one, other in zip(fitted.judge(prompts), again.judge(prompts), strict=True):
        np.testing.assert_equal(one, other)
    assert again.report == fitted.report


@pytest.mark.parametrize("data", [b"", b"not a file of tensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_state_is_not_trusted(data: bytes, fitted: Fitted, tmp_path: Path) -> None:
    (tmp_path / f"{fitted.key}.safetensors").write_bytes(data)
    assert StateFolder(tmp_path).load(fitted.key, fitted.corpus) is None


def test_only_the_newest_fits_are_kept(fitted: Fitted, tmp_path: Path) -> None:
    for number in range(KEPT + 2):
        StateFolder(tmp_path).save(replace(fitted, key=f"{number:064x}"))
    assert len(list(tmp_path.iterdir())) == KEPT


def test_adding_an_expert_embeds_only_its_own_examples(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    experts = _experts()
    FitInputs.of(experts[:3], Reader(encoder, VectorCache(tmp_path)))
    before = len(encoder.embedded)
    FitInputs.of(experts, Reader(encoder, VectorCache(tmp_path)))
    new = set(encoder.embedded[before:])
    assert new == {*experts[3].examples, *experts[3].validation}
