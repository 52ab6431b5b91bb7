"""DoRA: alone it is PEFT's, beside other rows it is its own, in a sum its difference to the base counts."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from expert_kit.adapters import Gain, LoraWeights, RowPlan, chat_ids, load_base, summed
from expert_kit.adapters.lora import dora_gain
from expert_kit.adapters.soft_prompt import prompted_inputs
from expert_kit.composition import cat
from expert_kit.errors import NotComposableError, UnsupportedMemberError
from expert_kit.inference import ExpertEngine
from tests.support.kinds import write_dora, write_ia3, write_prompt
from tests.support.tiny_model import write_adapter

IDS = torch.tensor([[5, 9, 40, 17, 3], [60, 61, 62, 63, 64], [7, 7, 7, 8, 9]])


@pytest.fixture
def dora(tmp_path, tiny_folder) -> Path:
    return write_dora(tmp_path / "dora", tiny_folder)


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


@torch.inference_mode()
def summed_logits(tiny_folder, mix, prompt=None):
    """The base with the weighted sum of what PEFT's merging of each adapter alone changes in its weights."""
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    base = {name: weight.clone() for name, weight in model.state_dict().items()}
    total = {name: weight.clone() for name, weight in base.items()}
    for adapter, weight in mix.items():
        fresh = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
        merged = PeftModel.from_pretrained(fresh, adapter).merge_and_unload().state_dict()
        for name in base:
            total[name] += weight * (merged[name] - base[name])
    model.load_state_dict(total)
    model = model if prompt is None else PeftModel.from_pretrained(model, prompt).eval()
    return model(IDS).logits[:, -IDS.shape[1] :]


@torch.inference_mode()
def mixed_logits(engine, mixes):
    rows = [tuple((engine._source.acquire(one).slot, weight) for one, weight in (mix or {}).items()) for mix in mixes]
    with RowPlan.of_slots(rows).active():
        return engine.base.model(IDS).logits


@pytest.fixture
def mixes(dora, tiny_folder, tmp_path):
    """Another weight; two DoRA, one of them on some layers only; DoRA beside LoRA."""
    some = write_dora(tmp_path / "some", tiny_folder, seed=2, targets=["q_proj", "down_proj"])
    lora = write_adapter(tmp_path / "lora", tiny_folder, r=8)
    return [{dora: 0.5}, {dora: 0.7, some: -0.4}, {dora: 1.0, some: 0.6, lora: 0.8}]


def test_a_weighted_sum_is_that_of_the_dense_differences(engine, mixes, tiny_folder):
    together = mixed_logits(engine, mixes)
    for row, mix in enumerate(mixes):
        expected = summed_logits(tiny_folder, mix)
        torch.testing.assert_close(mixed_logits(engine, [mix] * 3), expected, atol=2e-4, rtol=1e-4)
        torch.testing.assert_close(together[row], expected[row], atol=2e-4, rtol=1e-4)


def test_a_sum_can_be_merged_into_the_base(engine, mixes):
    for mix in mixes:
        expected = engine.generate("x", mix, max_new_tokens=8, seed=1).text
        with engine.merged(mix):
            assert engine.generate("x", None, max_new_tokens=8, seed=1).text == expected


def test_a_soft_prompt_may_stand_before_a_sum(engine, dora, tiny_folder, tmp_path):
    prompt = write_prompt(tmp_path / "prompt", tiny_folder)
    answer = engine.generate("x", {dora: 0.5, prompt: 1.0}, max_new_tokens=1, logprobs=True, top_logprobs=5).logprobs[0]
    ids = torch.tensor([chat_ids(engine.base.tokenizer, [{"role": "user", "content": "x"}])])
    slots = {one: engine._source.acquire(one).slot for one in (dora, prompt)}
    with torch.inference_mode(), RowPlan.of_slots([((slots[dora], 0.5),)]).active():
        logits = engine.base.model(**prompted_inputs(engine.base.model, ids, slots[prompt].prompt)).logits[0, -1]
    assert answer.logprob == pytest.approx(float(logits.log_softmax(-1).max()), abs=1e-4)
    assert answer.logprob != pytest.approx(float(engine.base.model(ids).logits[0, -1].log_softmax(-1).max()), abs=1e-3)


def test_beside_scales_it_is_refused(engine, dora, tiny_folder, tmp_path):
    ia3 = write_ia3(tmp_path / "ia3", tiny_folder)
    with pytest.raises(NotComposableError) as caught:
        engine.generate("x", {dora: 1.0, ia3: 1.0}, max_new_tokens=2)
    assert caught.value.code == "ia3_in_mix"
    assert engine._source.resident.references == 0
    scale, sum_ = (next(iter(slot.block.adapter(slot).values())) for slot in (engine._source.acquire(one).slot for one in (ia3, dora)))
    for pair, weights in (((scale, sum_), (1.0, 1.0)), ((scale,), (0.5,))):
        with pytest.raises(NotComposableError, match="IA3"):
            cat([LoraWeights(one.a, torch.zeros(4, one.rank), one.gain) for one in pair], weights)


def test_the_bias_is_not_summed():
    layer = torch.nn.Linear(3, 2)
    factors = [torch.tensor([1.5, 2.0]), torch.tensor([0.5, 3.0])]
    gain = summed([Gain(factor, layer.bias * (1 - factor)) for factor in factors], [0.7, -0.4])
    x = torch.randn(4, 3)
    wanted = (x @ layer.weight.T) * (1 + 0.7 * (factors[0] - 1) - 0.4 * (factors[1] - 1)) + layer.bias
    torch.testing.assert_close(layer(x) * gain.factor + gain.shift, wanted)


def test_the_bias_is_left_as_it_was():
    layer = torch.nn.Linear(3, 2)
    gain = dora_gain(layer, torch.tensor([1.0, 2.0]), torch.zeros(1, 3), torch.zeros(2, 1))
    assert isinstance(gain, Gain)
    x = torch.randn(4, 3)
    wanted = (x @ layer.weight.T) * (torch.tensor([1.0, 2.0]) / layer.weight.norm(dim=1)) + layer.bias
    torch.testing.assert_close(layer(x) * gain.factor + gain.shift, wanted)
    with pytest.raises(UnsupportedMemberError, match="Identity"):
        dora_gain(torch.nn.Identity(), torch.ones(1), torch.zeros(1, 1), torch.zeros(1, 1))
