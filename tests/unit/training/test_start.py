"""Training that goes on from an adapter: the same weights at its first step, and nothing that is not meant."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from expert_kit.errors import RecipeError, TrainingError
from expert_kit.training import load_recipe, train
from tests.unit.training.test_kinds import write_recipe

FIRST = "../first/out/adapter"


def trained(folder, tiny, **keys):
    """The result of a recipe in a new folder, whose output is ``out`` in it."""
    path = write_recipe(folder, **keys)
    return train(load_recipe(path), folder, tiny, folder / "out")


@pytest.mark.parametrize(
    "kind", [{}, {"use_dora": "true", "lora_r": 4, "lora_alpha": 8}, {"peft_type": "ia3"}, {"peft_type": "prompt_tuning"}], ids=str
)
def test_the_first_step_has_the_loss_of_the_last_one_before_and_moves_on(tmp_path, tiny, kind):
    first = trained(tmp_path / "first", tiny, **kind)
    still = trained(tmp_path / "still", tiny, init_adapter=FIRST, learning_rate="1.0e-30", **kind)
    on = trained(tmp_path / "on", tiny, init_adapter=FIRST, learning_rate="1.0e-3", **kind)
    before, after = (load_file(result.adapter / "adapter_model.safetensors") for result in (first, still))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert still.eval_loss == pytest.approx(first.eval_loss, rel=1e-5)
    assert on.eval_loss < first.eval_loss


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"lora_r": 2}, "r is 16, not 2"),
        ({"lora_alpha": 4}, "lora_alpha is 32, not 4"),
        ({"use_rslora": "true"}, "use_rslora is None, not True"),
        ({"lora_target_modules": "[q_proj]"}, r"target_modules is \[.*up_proj.*\], not \[q_proj\]"),
        ({"peft_type": "ia3"}, "peft_type is LORA, not IA3"),
    ],
)
def test_another_shape_or_scale_is_refused(tmp_path, tiny, keys, words):
    trained(tmp_path / "first", tiny)
    with pytest.raises(RecipeError, match=words) as caught:
        trained(tmp_path / "second", tiny, init_adapter=FIRST, **keys)
    assert caught.value.code == "init_adapter_differs"
    assert not (tmp_path / "second" / "out" / "adapter").exists()
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())


def test_tensors_that_are_missing_are_refused(tmp_path, tiny):
    file = trained(tmp_path / "first", tiny).adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    name = min(tensors)
    save_file({other: tensor for other, tensor in tensors.items() if other != name}, file)
    with pytest.raises(RecipeError, match=f"first: {name}") as caught:
        trained(tmp_path / "second", tiny, init_adapter=FIRST)
    assert caught.value.code == "init_adapter_differs"


@pytest.mark.parametrize("damage", ["no folder", "no weights", "no tensors", "no json"])
def test_an_adapter_that_cannot_be_read_is_a_typed_error(tmp_path, tiny, damage):
    adapter = trained(tmp_path / "first", tiny).adapter
    if damage == "no folder":
        shutil.rmtree(adapter)
    elif damage == "no weights":
        (adapter / "adapter_model.safetensors").unlink()
    elif damage == "no tensors":
        (adapter / "adapter_model.safetensors").write_bytes(b"nothing")
    else:
        (adapter / "adapter_config.json").write_text("{")
    with pytest.raises(RecipeError) as caught:
        trained(tmp_path / "second", tiny, init_adapter=FIRST)
    assert caught.value.code == "init_adapter_unreadable"


def test_a_resumed_run_wants_the_same_first_adapter(tmp_path, tiny):
    adapter = trained(tmp_path / "first", tiny).adapter
    trained(tmp_path / "second", tiny, init_adapter=FIRST)
    run = json.loads((tmp_path / "second" / "out" / "run.json").read_text())
    assert run["recipe"]["init_adapter"] == FIRST
    tensors = load_file(adapter / "adapter_model.safetensors")
    save_file({name: tensor * 2 for name, tensor in tensors.items()}, adapter / "adapter_model.safetensors")
    with pytest.raises(TrainingError, match="init_adapter") as caught:
        train(load_recipe(tmp_path / "second" / "recipe.yaml"), tmp_path / "second", tiny, tmp_path / "second" / "out", resume=True)
    assert caught.value.code == "resume_differs"


def test_preference_training_does_not_take_it(tmp_path):
    with pytest.raises(RecipeError, match="init_adapter is for method: sft"):
        load_recipe(write_recipe(tmp_path / "recipe", method="dpo", init_adapter="first"))
