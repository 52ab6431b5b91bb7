from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from expert_kit.adapters import plain_ids
from expert_kit.errors import NotComposableError, UsageError
from expert_kit.inference import ExpertEngine
from expert_kit.inference.likelihood import WINDOW
from tests.support.kinds import peft_logits, write_ia3, write_prefix, write_prompt
from tests.support.tiny_model import write_adapter

TEXT = "The ferry was late again."
WRITERS = {"lora": write_adapter, "ia3": write_ia3, "prompt": write_prompt, "prefix": write_prefix}


@pytest.fixture
def engine(tiny):
    return ExpertEngine(tiny)


def summed(logits: torch.Tensor, ids: list[int]) -> float:
    """Log-probability of all tokens but the first; ``logits`` (1, tokens, vocabulary)."""
    chosen = logits[0, :-1].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])
    return float(chosen.sum())


def test_the_base_is_as_sure_as_transformers_says(engine, tiny, tiny_folder):
    ids = plain_ids(tiny.tokenizer, TEXT)
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)(torch.tensor([ids])).logits
    found = engine.likelihood(TEXT)
    assert found.tokens == len(ids) - 1
    assert found.logprob == pytest.approx(summed(logits, ids), rel=1e-5)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_expert_is_as_sure_as_peft_says(engine, tiny, tiny_folder, tmp_path, kind):
    adapter = WRITERS[kind](tmp_path / "adapter", tiny_folder)
    ids = plain_ids(tiny.tokenizer, TEXT)
    expected = summed(peft_logits(tiny_folder, adapter, ids=torch.tensor([ids])), ids)
    found = engine.likelihood(TEXT, adapter)
    assert found.logprob == pytest.approx(expected, rel=1e-4)
    assert found.logprob != pytest.approx(engine.likelihood(TEXT).logprob, rel=1e-4)


def test_a_long_text_is_read_in_windows(engine):
    one, other = "a" * WINDOW, "b" * 10
    both, first, second = (engine.likelihood(text) for text in (one + other, one, other))
    assert both.tokens == first.tokens + second.tokens == WINDOW - 1 + 9
    assert both.logprob == pytest.approx(first.logprob + second.logprob, rel=1e-6)


def test_a_text_of_one_token_and_weights_that_are_no_numbers_are_errors(engine, tiny):
    with pytest.raises(UsageError, match="less than two tokens") as caught:
        engine.likelihood("x")
    assert caught.value.code == "text_too_short"
    tiny.model.get_output_embeddings().weight.data.fill_(float("nan"))
    with pytest.raises(NotComposableError) as broken:
        engine.likelihood(TEXT)
    assert broken.value.code == "logits_not_finite"
