"""IA3: alone it is PEFT's, several multiply, beside other rows it is its own, in a sum it is refused."""

from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from expert_kit.adapters import LoraWeights, RowPlan, SlotKind, install_slots, load_base, read_adapter
from expert_kit.adapters.lora import Gain
from expert_kit.archive import check_adapter, spec_of_config
from expert_kit.bases import AdapterSpec
from expert_kit.composition import BaseMerge, MergeOptions, cat
from expert_kit.errors import IncompatibleAdapterError, NotComposableError
from expert_kit.inference import ExpertEngine
from expert_kit.inference.merging import MergePlan, merge_experts
from tests.support.kinds import IDS, peft_logits, write_ia3
from tests.support.tiny_model import write_adapter


@pytest.fixture
def ia3(tmp_path, tiny_folder):
    return write_ia3(tmp_path / "ia3", tiny_folder)


@pytest.fixture
def engine(tiny):
    return ExpertEngine(tiny)


@torch.inference_mode()
def our_logits(engine, experts):
    """One expert or a list of them a row."""
    rows = [() if row is None else row if isinstance(row, list) else [row] for row in experts]
    with RowPlan.of_slots([tuple((engine._source.acquire(one).slot, 1.0) for one in row) for row in rows]).active():
        return engine.base.model(IDS).logits


@pytest.mark.parametrize(
    ("targets", "inputs"),
    [(None, None), (["q_proj", "o_proj", "down_proj"], []), (["gate_proj", "up_proj", "k_proj"], ["gate_proj", "up_proj"]),
     (["q_proj", "k_proj", "v_proj"], ["k_proj"])],
    ids=str,
)  # fmt: skip
def test_alone_it_gives_the_logits_of_peft(engine, tiny_folder, tmp_path, targets, inputs):
    folder = write_ia3(tmp_path / "a", tiny_folder, targets=targets, inputs=inputs)
    expected = peft_logits(tiny_folder, folder)
    torch.testing.assert_close(our_logits(engine, [folder] * 3), expected, atol=1e-4, rtol=1e-4)


def test_it_stands_beside_rows_of_lora_of_the_base_and_of_other_ia3(engine, ia3, tiny_folder, tmp_path):
    lora = write_adapter(tmp_path / "lora", tiny_folder, r=8)
    other = write_ia3(tmp_path / "other", tiny_folder, seed=2, targets=["gate_proj", "q_proj"], inputs=["gate_proj"])
    with torch.inference_mode():
        bare = engine.base.model(IDS).logits
    first, second = our_logits(engine, [ia3, None, lora]), our_logits(engine, [None, other, ia3])
    torch.testing.assert_close(first[0], peft_logits(tiny_folder, ia3)[0], atol=1e-4, rtol=1e-4)
    assert torch.equal(first[1], bare[1])
    torch.testing.assert_close(first[2], peft_logits(tiny_folder, lora)[2], atol=1e-4, rtol=1e-4)
    assert torch.equal(second[0], bare[0])
    torch.testing.assert_close(second[1], peft_logits(tiny_folder, other)[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(second[2], peft_logits(tiny_folder, ia3)[2], atol=1e-4, rtol=1e-4)


def test_several_of_one_row_multiply_as_in_peft(engine, ia3, tiny_folder, tmp_path):
    other = write_ia3(tmp_path / "b", tiny_folder, seed=2)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32), ia3, adapter_name="a")
    model.load_adapter(other, adapter_name="b")
    model.base_model.set_adapter(["a", "b"])
    with torch.inference_mode():
        expected = model.eval()(IDS).logits
    torch.testing.assert_close(our_logits(engine, [[ia3, other]] * 3), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(our_logits(engine, [[ia3, other], None, ia3])[0], expected[0], atol=1e-4, rtol=1e-4)
    assert len(engine.generate("x", {ia3: 1.0, other: 1.0}, max_new_tokens=2).experts) == 2


def test_it_takes_no_numbers_of_a_block_and_comes_back_whole_from_where_it_was_parked(engine, ia3, tiny_folder, tmp_path):
    expected = engine.generate("x", ia3, max_new_tokens=8).text
    resident = engine._source.resident
    assert resident.nbytes == 2 * (32 + 32 + 128) * 4
    slot = engine._source.acquire(ia3).slot
    assert (slot.kind, slot.block.rank, slot.members) == (SlotKind.SCALE, 0, frozenset())
    resident.release(next(iter(resident.digests)))
    lora = write_adapter(tmp_path / "lora", tiny_folder)
    engine.generate("x", lora, max_new_tokens=1)
    resident.budget = resident.nbytes - 1
    engine.generate("y", write_adapter(tmp_path / "lora-2", tiny_folder, seed=5), max_new_tokens=1)
    assert resident.stats.evictions
    resident.budget = 1 << 30
    assert engine.generate("x", ia3, max_new_tokens=8).text == expected
    assert resident.stats.unparked == 1


def test_merged_into_the_base_it_answers_the_same_and_leaves_no_trace(engine, ia3, tiny_folder, tmp_path):
    other = write_ia3(tmp_path / "b", tiny_folder, seed=2)
    before = {name: value.clone() for name, value in engine.base.model.state_dict().items()}
    expected = engine.generate("x", {ia3: 1.0, other: 1.0}, max_new_tokens=8, seed=1).text
    with engine.merged({ia3: 1.0, other: 1.0}):
        assert engine.generate("x", None, max_new_tokens=8, seed=1).text == expected
    assert all(torch.equal(value, before[name]) for name, value in engine.base.model.state_dict().items())


def test_a_bias_is_scaled_as_peft_does_it():
    layer = torch.nn.Linear(3, 2)
    original = (layer.weight.detach().clone(), layer.bias.detach().clone())
    gain = Gain(torch.tensor([2.0, 0.5]), None, torch.tensor([1.0, 3.0, 0.0]))
    x = torch.randn(4, 3)
    wanted = layer(x * gain.reads) * gain.factor
    lora = cat([one(gain), one(Gain(None, None, torch.ones(3)))], [1.0, 1.0])
    merge = BaseMerge({"m": layer}, {"m": lora})
    torch.testing.assert_close(layer(x), wanted)
    merge.undo()
    assert torch.equal(layer.weight, original[0])
    assert torch.equal(layer.bias, original[1])


def one(gain):
    return LoraWeights(torch.zeros(0, 3), torch.zeros(2, 0), gain)


def test_on_layers_whose_weights_lie_turned_it_is_the_same(tmp_path):
    """GPT-2's ``Conv1D``: its scales come from outside, since PEFT marks such adapters in a way that is refused."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=1, n_head=2)).eval()
    linears = (("transformer.h.0.mlp.c_fc", 64, 16), ("transformer.h.0.mlp.c_proj", 16, 64))
    scales = {linears[0][0]: Gain(torch.rand(64) + 0.5), linears[1][0]: Gain(None, None, torch.rand(64) + 0.5)}
    adapter = {path: LoraWeights(torch.zeros(0, columns), torch.zeros(rows, 0), scales[path]) for path, rows, columns in linears}
    install_slots(model, linears)
    ids = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        with RowPlan.of([adapter]).active():
            expected = model(ids).logits
        merge = BaseMerge({path: model.get_submodule(path).base for path, _, _ in linears}, adapter)
        torch.testing.assert_close(model(ids).logits, expected, atol=1e-5, rtol=1e-5)
        merge.undo()


@pytest.mark.parametrize("kind", ["half", "lora", "list"])
def test_at_another_weight_or_beside_another_kind_it_is_refused(engine, ia3, tiny_folder, tmp_path, kind):
    lora = write_adapter(tmp_path / "lora", tiny_folder)
    other = write_ia3(tmp_path / "b", tiny_folder, seed=2)
    mix = {"half": {ia3: 0.5}, "lora": {ia3: 1.0, lora: 1.0}, "list": [ia3, other]}[kind]
    with pytest.raises(NotComposableError, match="multiplies") as caught:
        engine.generate("x", mix if isinstance(mix, dict) else [*mix], max_new_tokens=2)
    assert caught.value.code == "ia3_in_mix"
    assert engine._source.resident.references == 0


def test_where_the_router_mixes_what_does_not_mix_the_best_answers_alone(engine, ia3, tiny_folder, tmp_path):
    lora = write_adapter(tmp_path / "lora", tiny_folder)
    asked = {"a": ia3, "b": lora}

    class TwoExperts:
        """A router that always finds the same two."""

        def resolve(self, query):
            weights = {"a": 0.7, "b": 0.3}
            return SimpleNamespace(abstained=False, experts=tuple((one, one, weights[one]) for one in asked)), asked

    engine._composer._routes = TwoExperts()
    answer = engine.generate("x", "auto", max_new_tokens=4)
    assert answer.text == engine.generate("x", ia3, max_new_tokens=4).text
    assert [(used.name, used.weight) for used in answer.experts] == [(str(ia3), 1.0)]
    assert len(answer.warnings) == 1
    assert f"{lora} left out of the mix: an IA3 adapter multiplies" in answer.warnings[0]
    assert engine._source.resident.references == 0


def test_it_does_not_merge_into_a_new_adapter(tiny_record, tiny_folder, ia3, tmp_path):
    lora = write_adapter(tmp_path / "lora", tiny_folder)
    plan = MergePlan(((lora, 0.5), (ia3, 0.5)), "svd", MergeOptions(), "ek/merged", "1.0.0", "MIT")
    with pytest.raises(NotComposableError) as caught:
        merge_experts(plan, tiny_record, None, tmp_path / "out")
    assert caught.value.code == "kind_not_merged"
    assert not (tmp_path / "out").exists()


def test_a_quantized_base_takes_it(tiny_folder, tiny_record, ia3):
    packed = ExpertEngine(load_base(tiny_folder, tiny_record, device="cpu", dtype="float32", quantization="int8"))
    similar = torch.nn.functional.cosine_similarity(our_logits(packed, [ia3] * 3).flatten(), peft_logits(tiny_folder, ia3).flatten(), dim=0)
    assert similar > 0.99


def test_scales_for_other_layers_or_of_other_sides_are_refused(tiny, ia3):
    weights = (ia3 / "adapter_model.safetensors").read_bytes()
    spec = spec_of_config((ia3 / "adapter_config.json").read_bytes(), "F32")
    assert spec == AdapterSpec.ia3(("down_proj", "k_proj", "v_proj"), ("down_proj",))
    assert check_adapter(spec, weights, tiny.record) == []
    for wrong in (AdapterSpec.ia3(("down_proj", "k_proj", "v_proj"), ()), AdapterSpec.ia3(("k_proj", "v_proj"), ())):
        assert {problem.code for problem in check_adapter(wrong, weights, tiny.record)} <= {"tensor_shape", "tensor_set_mismatch"}
        with pytest.raises(IncompatibleAdapterError) as caught:
            read_adapter(weights, wrong, tiny)
        assert caught.value.code == "tensor_set_mismatch"
