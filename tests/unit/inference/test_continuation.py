from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from expert_kit.adapters import plain_ids
from expert_kit.errors import CapacityError, NotComposableError, UsageError
from expert_kit.inference import Continuation, ContinuationScore, ExpertEngine, continuation
from tests.support.encoders import FakeEncoder
from tests.support.kinds import peft_logits, write_dora, write_ia3, write_prefix, write_prompt, write_whole
from tests.support.tiny_model import write_adapter

WRITERS = {
    "lora": write_adapter,
    "dora": write_dora,
    "ia3": write_ia3,
    "prompt": write_prompt,
    "prefix": write_prefix,
    "head": lambda folder, model: write_whole(folder, model, ["lm_head"]),
}
PAIRS = [("The ferry was late", " again."), ("Two", " and two are four, and"), ("A longer beginning than the others have: ", "y")]


@pytest.fixture
def engine(tiny):
    return ExpertEngine(tiny)


@pytest.fixture
def rows(tiny) -> list[Continuation]:
    return [Continuation(plain_ids(tiny.tokenizer, first), plain_ids(tiny.tokenizer, second)) for first, second in PAIRS]


def by_hand(logits: torch.Tensor, row: Continuation) -> tuple[float, bool]:
    """From the logits (1, tokens, vocabulary) of a whole row alone."""
    ids = torch.tensor(list(row.ids))
    scores = logits[0, len(row.given) - 1 : -1].log_softmax(-1)
    return float(scores.gather(1, ids[:, None]).sum()), bool((scores.argmax(-1) == ids).all())


def whole(row: Continuation) -> torch.Tensor:
    return torch.tensor([[*row.given, *row.ids]])


@torch.inference_mode()
def test_a_batch_is_scored_as_transformers_scores_each_row_alone(engine, rows, tiny_folder):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    for row, found in zip(rows, engine.continuations(rows), strict=True):
        logprob, likeliest = by_hand(model(whole(row)).logits, row)
        assert found.logprob == pytest.approx(logprob, rel=1e-5)
        assert found.is_likeliest is likeliest


@torch.inference_mode()
def test_what_greedy_decoding_writes_is_the_likeliest_and_nothing_else_is(engine, rows, tiny_folder):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    given = list(rows[0].given)
    written = model.generate(torch.tensor([given]), max_new_tokens=4, do_sample=False, eos_token_id=None)[0, len(given) :].tolist()
    other = [*written[:-1], (written[-1] + 1) % 250]
    found = engine.continuations([Continuation(given, written), Continuation(given, other)])
    assert [one.is_likeliest for one in found] == [True, False]


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_expert_scores_as_peft_does(engine, rows, tiny_folder, tmp_path, kind):
    adapter = WRITERS[kind](tmp_path / "adapter", tiny_folder)
    alone = engine.continuations(rows)
    for row, found, base in zip(rows, engine.continuations(rows, adapter), alone, strict=True):
        expected, likeliest = by_hand(peft_logits(tiny_folder, adapter, ids=whole(row)), row)
        assert found.logprob == pytest.approx(expected, rel=1e-4)
        assert found.is_likeliest is likeliest
        assert found.logprob != pytest.approx(base.logprob, rel=1e-4)


@pytest.mark.parametrize("kind", ["lora", "prompt", "prefix"])
def test_passes_of_a_few_tokens_score_as_one_pass_does(engine, rows, tiny_folder, tmp_path, monkeypatch, kind):
    adapter = WRITERS[kind](tmp_path / "adapter", tiny_folder)
    together = engine.continuations(rows, adapter)
    monkeypatch.setattr(continuation, "PASS_SCORES", 5)
    apart = engine.continuations(rows, adapter)
    assert [one.logprob for one in apart] == pytest.approx([one.logprob for one in together], rel=1e-5)
    assert [one.is_likeliest for one in apart] == [one.is_likeliest for one in together]


def test_rows_share_passes_as_far_as_the_limits_let_them(rows, monkeypatch):
    assert [len(batch) for batch in continuation._batches(rows)] == [3]
    monkeypatch.setattr(continuation, "PASS_TOKENS", 60)
    assert [len(batch) for batch in continuation._batches(rows)] == [2, 1]
    monkeypatch.setattr(continuation, "PASS_SCORES", 3)
    assert [len(batch) for batch in continuation._batches(rows)] == [1, 1, 1]


def test_auto_asks_the_router_about_the_query(tiny, rows):
    engine = ExpertEngine(tiny, encoder=FakeEncoder())
    assert engine.continuations(rows, "auto", query="anything") == engine.continuations(rows)


def test_rows_without_tokens_and_rows_beyond_the_window_are_errors(engine):
    with pytest.raises(UsageError) as caught:
        engine.continuations([Continuation([], [5])])
    assert caught.value.code == "continuation_empty"
    most = engine.window
    assert isinstance(engine.continuations([Continuation([5] * most, [5])])[0], ContinuationScore)
    with pytest.raises(CapacityError) as too_long:
        engine.continuations([Continuation([5] * most, [5, 5])])
    assert too_long.value.code == "prompt_too_long"


def test_weights_that_are_no_numbers_are_an_error(engine, tiny, rows):
    tiny.model.get_output_embeddings().weight.data.fill_(float("nan"))
    with pytest.raises(NotComposableError) as broken:
        engine.continuations(rows)
    assert broken.value.code == "logits_not_finite"
