from __future__ import annotations

import pytest
from safetensors.torch import load_file

from expert_kit.adapters import load_base
from expert_kit.errors import RecipeError
from expert_kit.inference import ExpertEngine
from expert_kit.training import load_recipe, train
from tests.unit.training.test_sft import write_recipe


def test_an_adapter_is_trained_over_four_bit_weights_and_acts_on_the_whole_base(tmp_path, tiny, tiny_folder, tiny_record):
    pytest.importorskip("bitsandbytes", reason="QLoRA needs bitsandbytes: pip install 'expert-kit[quant]'")
    base = load_base(tiny_folder, tiny_record, device="cpu", dtype="float32", quantization="bnb-4bit")
    path = write_recipe(tmp_path / "qlora", load_in_4bit=True, max_steps=12, eval_steps=6)
    result = train(load_recipe(path), path.parent, base, tmp_path / "run")
    losses = [entry["loss"] for entry in result.history if "loss" in entry]
    assert losses[-1] < 0.7 * losses[0]
    names = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    assert all(".lora_A." in name or ".lora_B." in name for name in names)
    engine = ExpertEngine(tiny)
    # Neither are these weights those of training, nor the text in the template that it saw; better it is all the same.
    assert engine.likelihood("say violet violet", tmp_path / "run" / "adapter").logprob > engine.likelihood("say violet violet").logprob


@pytest.mark.parametrize("changes", [{"peft_type": "ia3"}, {"method": "dpo"}])
def test_it_is_for_lora_and_supervised_training_only(tmp_path, changes):
    path = write_recipe(tmp_path / "r", load_in_4bit=True, **changes)
    text = path.read_text()
    path.write_text("".join(line for line in text.splitlines(True) if not line.startswith("lora_") or "peft_type" not in text))
    with pytest.raises(RecipeError, match="load_in_4bit is for"):
        load_recipe(path)
