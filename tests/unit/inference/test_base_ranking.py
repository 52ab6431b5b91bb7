import pytest
import torch

from expert_kit.adapters import chat_ids
from expert_kit.inference import BaseRanker, ExpertEngine
from tests.support.encoders import FakeEncoder
from tests.support.tiny_model import write_adapter


def test_letters_have_the_probability_that_the_model_gives_them_as_first_token(tiny):
    question = "Which one?\nA. this\nB. that"
    found = BaseRanker(tiny).letter_logprobs(question, "AB")
    ids = torch.tensor([chat_ids(tiny.tokenizer, [{"role": "user", "content": question}])])
    with torch.inference_mode():
        wanted = torch.log_softmax(tiny.model(ids).logits[0, -1], dim=-1)
    for said, letter in zip(found, "AB", strict=True):
        assert said == pytest.approx(float(wanted[tiny.tokenizer.convert_tokens_to_ids(letter)]), abs=1e-4)


def test_inside_an_engine_the_bare_base_is_asked(tiny, tmp_path, tiny_folder):
    engine = ExpertEngine(tiny, encoder=FakeEncoder())
    before = BaseRanker(tiny, engine._scheduler.between_steps).letter_logprobs("A or B?", "AB")
    engine.generate("hi", write_adapter(tmp_path / "a", tiny_folder), max_new_tokens=2)
    assert BaseRanker(tiny).letter_logprobs("A or B?", "AB") == before
