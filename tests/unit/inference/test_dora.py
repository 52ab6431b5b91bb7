"""DoRA: alone it is PEFT's, beside other rows it is its own, in a sum it is refused."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from expert_kit.adapters import RowPlan, load_base
from expert_kit.adapters.lora import Gain, dora_gain
from expert_kit.composition import cat
from expert_kit.errors import NotComposableError, UnsupportedMemberError
from expert_kit.inference import ExpertEngine
from tests.support.tiny_model import ALL_LINEAR, write_adapter

IDS = torch.tensor([[5, 9, 40, 17, 3], [60, 61, 62, 63, 64], [7, 7, 7, 8, 9]])


@pytest.fixture
def dora(tmp_path, tiny_folder) -> Path:
    """Random factors and magnitudes, saved by PEFT."""
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    peft_model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=ALL_LINEAR, use_dora=True, task_type="CAUSAL_LM"))
    random = torch.Generator().manual_seed(1)
    for name, parameter in peft_model.named_parameters():
        if "lora_magnitude" in name:
            parameter.data *= 1 + 0.3 * torch.randn(parameter.shape, generator=random)
        elif "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=random) * 0.1
    peft_model.save_pretrained(tmp_path / "dora")
    return tmp_path / "dora"


@pytest.fixture
def engine(tiny):
    return ExpertEngine(tiny)


@torch.inference_mode()
def peft_logits(tiny_folder, adapter):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    return PeftModel.from_pretrained(model, adapter).eval()(IDS).logits


@torch.inference_mode()
def our_logits(engine, experts):
    slots = [((engine._source.acquire(one).slot, 1.0),) if one else () for one in experts]
    with RowPlan.of_slots(slots).active():
        return engine.base.model(IDS).logits


def test_alone_it_gives_the_logits_of_peft(engine, dora, tiny_folder):
    torch.testing.assert_close(our_logits(engine, [dora] * 3), peft_logits(tiny_folder, dora), atol=1e-4, rtol=1e-4)


def test_it_stands_beside_rows_of_lora_and_of_the_base(engine, dora, tiny_folder, tmp_path):
    lora = write_adapter(tmp_path / "lora", tiny_folder, r=8)
    with torch.inference_mode():
        bare = engine.base.model(IDS).logits
    ours = our_logits(engine, [dora, None, lora])
    torch.testing.assert_close(ours[0], peft_logits(tiny_folder, dora)[0], atol=1e-4, rtol=1e-4)
    assert torch.equal(ours[1], bare[1])
    torch.testing.assert_close(ours[2], peft_logits(tiny_folder, lora)[2], atol=1e-4, rtol=1e-4)


def test_it_comes_back_whole_from_where_it_was_parked(engine, dora, tiny_folder, tmp_path):
    expected = engine.generate("x", dora, max_new_tokens=8).text
    resident = engine._source.resident
    resident.budget = resident.nbytes
    engine.generate("x", write_adapter(tmp_path / "lora", tiny_folder), max_new_tokens=1)
    assert engine.generate("x", dora, max_new_tokens=8).text == expected
    assert resident.stats.unparked == 1


def test_merged_into_the_base_it_answers_the_same(engine, dora):
    expected = engine.generate("x", dora, max_new_tokens=8, seed=1).text
    with engine.merged(dora):
        assert engine.generate("x", None, max_new_tokens=8, seed=1).text == expected


def test_a_quantized_base_takes_its_dequantized_weights(tiny_folder, tiny_record, dora):
    packed = ExpertEngine(load_base(tiny_folder, tiny_record, device="cpu", dtype="float32", quantization="int8"))
    similar = torch.nn.functional.cosine_similarity(
        our_logits(packed, [dora] * 3).flatten(), peft_logits(tiny_folder, dora).flatten(), dim=0
    )
    assert similar > 0.99


def test_in_a_mix_or_at_another_weight_it_is_refused(engine, dora, tiny_folder, tmp_path):
    lora = write_adapter(tmp_path / "lora", tiny_folder)
    for mix in ({dora: 0.5}, {dora: 1.0, lora: 1.0}):
        with pytest.raises(NotComposableError) as caught:
            engine.generate("x", mix, max_new_tokens=2)
        assert caught.value.code == "dora_in_mix"
    assert engine._source.resident.references == 0
    factors = engine._source.acquire(dora).slot.block.adapter(engine._source.acquire(dora).slot)
    one = next(iter(factors.values()))
    assert cat([one], [1.0]) is one
    with pytest.raises(NotComposableError, match="DoRA"):
        cat([one, one], [0.5, 0.5])


def test_the_bias_is_left_as_it_was():
    layer = torch.nn.Linear(3, 2)
    gain = dora_gain(layer, torch.tensor([1.0, 2.0]), torch.zeros(1, 3), torch.zeros(2, 1))
    assert isinstance(gain, Gain)
    x = torch.randn(4, 3)
    wanted = (x @ layer.weight.T) * (torch.tensor([1.0, 2.0]) / layer.weight.norm(dim=1)) + layer.bias
    torch.testing.assert_close(layer(x) * gain.factor + gain.shift, wanted)
    with pytest.raises(UnsupportedMemberError, match="Identity"):
        dora_gain(torch.nn.Identity(), torch.ones(1), torch.zeros(1, 1), torch.zeros(1, 1))
