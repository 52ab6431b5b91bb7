from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from expert_kit.errors import NotComposableError, UsageError
from expert_kit.evaluation.harness_answers import EngineAnswers, sampling_options, windows
from expert_kit.inference import ExpertEngine
from tests.support.encoders import FakeEncoder
from tests.support.kinds import peft_logits
from tests.support.tiny_model import write_adapter

PAIRS = [("Is two more than one? ", "yes"), ("Is two more than one?", " no"), ("", "A text alone"), ("Q: a long question, long\nA:", " x")]


@pytest.fixture
def engine(tiny):
    return ExpertEngine(tiny, encoder=FakeEncoder())


def by_hand(logits: torch.Tensor, ids: list[int], scored: int) -> tuple[float, bool]:
    """Of the last ``scored`` tokens of a whole text."""
    wanted = torch.tensor(ids[-scored:])
    scores = logits[0, -scored - 1 : -1].log_softmax(-1)
    return float(scores.gather(1, wanted[:, None]).sum()), bool((scores.argmax(-1) == wanted).all())


def tokens(tiny, context: str, continuation: str) -> tuple[list[int], int]:
    """All of them, and how many count: one a byte here, so that the spaces at the end of the context do."""
    whole = tiny.tokenizer.encode(context + continuation) if context else [1, *tiny.tokenizer.encode(continuation)]
    return whole, len(whole) - (len(context.rstrip()) if context else 1)


@torch.inference_mode()
def test_continuations_are_scored_as_transformers_scores_the_same_tokens(engine, tiny, tiny_folder):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    for pair, (logprob, likeliest) in zip(PAIRS, EngineAnswers(engine, batch_size=3).loglikelihoods(PAIRS), strict=True):
        ids, scored = tokens(tiny, *pair)
        expected, greedy = by_hand(model(torch.tensor([ids])).logits, ids, scored)
        assert logprob == pytest.approx(expected, rel=1e-5)
        assert likeliest is greedy


def test_an_expert_scores_as_peft_does(engine, tiny, tiny_folder, tmp_path):
    adapter = write_adapter(tmp_path / "adapter", tiny_folder)
    for pair, (logprob, _) in zip(PAIRS, EngineAnswers(engine, adapter).loglikelihoods(PAIRS), strict=True):
        ids, scored = tokens(tiny, *pair)
        assert logprob == pytest.approx(by_hand(peft_logits(tiny_folder, adapter, ids=torch.tensor([ids])), ids, scored)[0], rel=1e-4)


@torch.inference_mode()
def test_a_text_is_scored_whole_behind_the_first_token_in_windows_that_see_as_much_as_they_can(engine, tiny, tiny_folder):
    text = "abcdefghij"
    ids = tiny.tokenizer.encode(text)
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    whole = by_hand(model(torch.tensor([[1, *ids]])).logits, [1, *ids], 10)[0]
    assert EngineAnswers(engine).rolling_loglikelihoods([text, ""]) == [pytest.approx(whole, rel=1e-5), 0.0]
    rows = [([1, *ids[:4]], 4), (ids[3:8], 4), (ids[5:10], 2)]
    parts = sum(by_hand(model(torch.tensor([row])).logits, row, scored)[0] for row, scored in rows)
    assert EngineAnswers(engine, max_length=4).rolling_loglikelihoods([text]) == [pytest.approx(parts, rel=1e-5)]


def test_windows_are_those_of_the_harness():
    """The example in the docstring of ``lm_eval.api.model.LM.loglikelihood_rolling``."""
    found = [(list(row.given), list(row.ids)) for row in windows(range(10), -1, 4)]
    assert found == [([-1], [0, 1, 2, 3]), ([3], [4, 5, 6, 7]), ([5, 6, 7], [8, 9])]


def test_a_context_beyond_the_window_loses_its_beginning(engine):
    answers = EngineAnswers(engine, max_length=8)
    assert answers.loglikelihoods([("0123456789", "abc")]) == [pytest.approx(answers.loglikelihoods([("456789", "abc")])[0])]
    assert len(EngineAnswers(engine).loglikelihoods([("x" * 1000, "abc")])) == 1


def test_a_context_of_spaces_belongs_to_what_follows(engine):
    answers = EngineAnswers(engine)
    assert answers.loglikelihoods([("  ", "abc")]) == [pytest.approx(answers.loglikelihoods([("", "  abc")])[0])]


def test_answers_end_before_a_stop_text_and_at_the_tasks_limit(engine):
    asked = "Say something"
    whole = engine.generate(asked, None, max_new_tokens=12).text
    arguments = [{"max_gen_toks": 12}, {"max_gen_toks": 3}, {"until": [whole[4]], "max_gen_toks": 12, "do_sample": False}]
    found = EngineAnswers(engine, batch_size=2).written([(asked, one) for one in arguments])
    assert found == [whole, engine.generate(asked, None, max_new_tokens=3).text, whole[: whole.index(whole[4])]]


def test_sampled_answers_are_the_same_in_every_run_and_differ_from_each_other(engine):
    asked = [("Say something", {"do_sample": True, "temperature": 1.5, "max_gen_toks": 8})] * 3
    once = EngineAnswers(engine, batch_size=2).written(asked)
    assert len(set(once)) == 3
    assert EngineAnswers(engine, batch_size=2).written(asked) == once


def test_generation_arguments_become_options():
    assert sampling_options({}) == {"stop": (), "max_new_tokens": 256, "temperature": 0.0}
    assert sampling_options({"until": "\n", "max_tokens": 5}) == {"stop": ("\n",), "max_new_tokens": 5, "temperature": 0.0}
    greedy = {"do_sample": False, "temperature": 0.7, "top_p": 0.9, "num_beams": 1, "until": ["", "Q:"]}
    assert sampling_options(greedy) == {"stop": ("Q:",), "max_new_tokens": 256, "temperature": 0.0}
    sampled = {"do_sample": True, "top_p": 0.9, "max_gen_toks": 7, "max_tokens": 9}
    assert sampling_options(sampled) == {"stop": (), "max_new_tokens": 7, "temperature": 1.0, "top_p": 0.9}
    with pytest.raises(UsageError, match="num_beams, typical_p") as caught:
        sampling_options({"num_beams": 4, "typical_p": 0.2})
    assert caught.value.code == "lm_eval_option"


def test_auto_asks_the_router_about_each_context(engine):
    seen = []
    ask = engine.continuations
    engine.continuations = lambda rows, experts, *, query: seen.append((len(rows), experts, query)) or ask(rows, experts, query=query)
    pairs = [("one", " a"), ("two", " a"), ("one", " bc")]
    routed, alone = (EngineAnswers(engine, experts).loglikelihoods(pairs) for experts in ("auto", None))
    assert [score for score, _ in routed] == pytest.approx([score for score, _ in alone])
    assert seen[:2] == [(2, "auto", "one"), (1, "auto", "two")]
    assert seen[2:] == [(3, None, "")]


def test_a_selection_that_is_none_is_refused_at_once(engine):
    with pytest.raises(NotComposableError):
        EngineAnswers(engine, {"acme/one": float("nan")})


def test_progress_is_told(engine):
    told = []
    answers = EngineAnswers(engine, batch_size=3, report=lambda done, total: told.append((done, total)))
    answers.loglikelihoods(PAIRS)
    answers.written([("x", {"max_gen_toks": 1})] * 4)
    assert told == [(3, 4), (4, 4), (3, 4), (4, 4)]
