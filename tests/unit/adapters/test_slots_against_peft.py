from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from expert_kit.adapters import RowPlan, install_slots, read_lora
from expert_kit.archive import spec_of_config
from expert_kit.composition import cat_adapters
from tests.support.tiny_model import write_adapter

IDS = torch.tensor([[5, 9, 40, 17, 3], [60, 61, 62, 63, 64], [7, 7, 7, 8, 9]])


def load(folder: Path, tiny):
    config, weights = (folder / "adapter_config.json").read_bytes(), (folder / "adapter_model.safetensors").read_bytes()
    return read_lora(weights, spec_of_config(config, "F32"), tiny.record.linears, device=tiny.device, dtype=torch.float32)


def peft_logits(tiny_folder: Path, adapter: Path, ids=IDS):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    with torch.inference_mode():
        return PeftModel.from_pretrained(model, adapter).eval()(ids).logits


def our_logits(tiny, adapters, ids=IDS):
    install_slots(tiny.model, tiny.record.linears)
    with torch.inference_mode(), RowPlan.of(adapters).active():
        return tiny.model(ids).logits


PATTERNS = {"rank_pattern": {"v_proj": 2, "layers.1.mlp.down_proj": 12}, "alpha_pattern": {"layers.0.self_attn.q_proj": 3, "up_proj": 20}}


@pytest.mark.parametrize(
    "options",
    [{}, {"rslora": True}, {"targets": ["q_proj", "v_proj"]}, {"r": 1, "alpha": 3}, PATTERNS, {**PATTERNS, "rslora": True}],
    ids=str,
)
def test_one_adapter_gives_the_logits_of_peft(tmp_path, tiny_folder, tiny, options):
    folder = write_adapter(tmp_path / "a", tiny_folder, **options)
    ours = our_logits(tiny, [load(folder, tiny)] * 3)
    torch.testing.assert_close(ours, peft_logits(tiny_folder, folder), atol=1e-4, rtol=1e-4)


def test_a_mix_gives_the_logits_of_peft_cat(tmp_path, tiny_folder, tiny):
    first = write_adapter(tmp_path / "a", tiny_folder, seed=1, r=4)
    second = write_adapter(tmp_path / "b", tiny_folder, seed=2, r=8, alpha=8)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32), first, adapter_name="a")
    model.load_adapter(second, adapter_name="b")
    model.add_weighted_adapter(["a", "b"], [0.7, 0.3], "mix", combination_type="cat")
    model.set_adapter("mix")
    with torch.inference_mode():
        expected = model.eval()(IDS).logits
    mixed = cat_adapters([load(first, tiny), load(second, tiny)], [0.7, 0.3])
    torch.testing.assert_close(our_logits(tiny, [mixed] * 3), expected, atol=1e-4, rtol=1e-4)


def test_rows_of_one_batch_have_their_own_adapters(tmp_path, tiny_folder, tiny):
    first, second = (write_adapter(tmp_path / name, tiny_folder, seed=seed) for seed, name in enumerate("ab"))
    base = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    with torch.inference_mode():
        bare = base(IDS).logits
    ours = our_logits(tiny, [load(first, tiny), None, load(second, tiny)])
    torch.testing.assert_close(ours[0], peft_logits(tiny_folder, first)[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours[1], bare[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours[2], peft_logits(tiny_folder, second)[2], atol=1e-4, rtol=1e-4)


def test_nothing_is_left_active_after_a_plan(tmp_path, tiny_folder, tiny):
    with torch.inference_mode():
        before = tiny.model(IDS).logits
    adapter = load(write_adapter(tmp_path / "a", tiny_folder), tiny)
    changed = our_logits(tiny, [adapter] * 3)
    with torch.inference_mode():
        after = tiny.model(IDS).logits
    assert torch.equal(before, after)
    assert not torch.allclose(before, changed)


def test_a_plan_for_another_batch_size_is_a_programmers_error(tmp_path, tiny_folder, tiny):
    adapter = load(write_adapter(tmp_path / "a", tiny_folder), tiny)
    with pytest.raises(RuntimeError, match="a plan for 2 rows met a batch of 3"):
        our_logits(tiny, [adapter] * 2)
