"""Every kind of adapter that a recipe can name is trained, saved, packed and run."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from expert_kit.adapters import load_base
from expert_kit.archive import check_adapter, package, spec_of_config, validate
from expert_kit.errors import RecipeError
from expert_kit.inference import ExpertEngine
from expert_kit.training import load_recipe, train
from expert_kit.training.kinds import peft_config
from expert_kit.training.run_record import describe_run

KINDS = {
    "dora": {"use_dora": "true", "lora_r": 2, "lora_alpha": 4},
    "ia3": {"peft_type": "ia3"},
    "prompt tuning": {"peft_type": "prompt_tuning", "num_virtual_tokens": 4},
    "prefix tuning": {"peft_type": "prefix_tuning", "num_virtual_tokens": 3},
}


def write_recipe(folder, **keys):
    folder.mkdir(parents=True)
    rows = [{"prompt": f"say {word}", "completion": word} for word in ("red", "green", "blue", "white")]
    for name in ("train", "validation"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = {
        "model_name_or_path": "tiny-llama", "dataset": "{train: train.jsonl, validation: validation.jsonl}", "learning_rate": "0.05",
        "per_device_train_batch_size": 4, "max_steps": 3, "logging_steps": 1, "eval_steps": 3, "save_steps": 3, "bf16": "false",
    } | keys  # fmt: skip
    (folder / "recipe.yaml").write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
    return folder / "recipe.yaml"


@pytest.mark.parametrize("kind", KINDS)
def test_three_steps_leave_an_adapter_that_packs_and_runs(tmp_path, tiny, tiny_folder, tiny_record, kind):
    recipe = load_recipe(write_recipe(tmp_path / "recipe", **KINDS[kind]))
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    result = train(recipe, tmp_path / "recipe", tiny, tmp_path / "out")
    after = tiny.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())
    losses = [entry["loss"] for entry in result.history if "loss" in entry]
    assert losses[-1] < losses[0]

    config, weights = ((result.adapter / name).read_bytes() for name in ("adapter_config.json", "adapter_model.safetensors"))
    spec = spec_of_config(config, "F32")
    assert check_adapter(spec, weights, tiny_record) == []
    shutil.copytree(result.adapter, tmp_path / "source" / "adapter")
    (tmp_path / "source" / "expert.yaml").write_text(
        f"name: ek/{kind.replace(' ', '-')}\nversion: 1.0.0\nlicense: MIT\nsummary: A test.\nadapter: adapter/\nbase: tiny-llama\n"
    )
    assert validate(package(tmp_path / "source", tmp_path, [tiny_record]), [tiny_record]) == []

    engine = ExpertEngine(load_base(tiny_folder, tiny_record, device="cpu", dtype="float32"))
    answer = engine.generate("say red", result.adapter, max_new_tokens=4, logprobs=True)
    bare = engine.generate("say red", None, max_new_tokens=4, logprobs=True)
    assert answer.logprobs[0].logprob != pytest.approx(bare.logprobs[0].logprob, abs=1e-4)


def test_a_run_is_gone_on_with_where_it_stopped(tmp_path, tiny_folder, tiny_record):
    def fresh():
        return load_base(tiny_folder, tiny_record, device="cpu", dtype="float32")

    path = write_recipe(tmp_path / "recipe", **KINDS["prompt tuning"] | {"save_steps": 1, "lr_scheduler_type": "constant"})
    seen = []

    def stop(event):
        seen.append(event.step)
        if event.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(load_recipe(path), path.parent, fresh(), tmp_path / "cut", report=stop)
    resumed = train(load_recipe(path), path.parent, fresh(), tmp_path / "cut", resume=True)
    whole = train(load_recipe(path), path.parent, fresh(), tmp_path / "whole")
    left, right = (load_file(result.adapter / "adapter_model.safetensors") for result in (resumed, whole))
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(left[name], right[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"peft_type": "ia3", "lora_r": 4}, "lora_r has no meaning with peft_type: ia3"),
        ({"peft_type": "prompt_tuning", "use_dora": "true"}, "use_dora has no meaning"),
        ({"num_virtual_tokens": 4}, "num_virtual_tokens has no meaning with peft_type: lora"),
        ({"peft_type": "ia3", "ia3_target_modules": "[q_proj]"}, "given together"),
        ({"peft_type": "prefix_tuning", "num_virtual_tokens": 0}, "greater than or equal to 1"),
        ({"peft_type": "adalora"}, "peft_type"),
    ],
)
def test_keys_of_another_kind_are_refused(tmp_path, keys, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write_recipe(tmp_path / "recipe", **keys))


def test_modules_that_the_base_lacks_are_an_error_of_the_recipe(tmp_path, tiny):
    path = write_recipe(tmp_path / "recipe", peft_type="ia3", ia3_target_modules="[nothing]", ia3_feedforward_modules="[]")
    with pytest.raises(RecipeError, match="ia3_target_modules: tiny-llama has no module nothing"):
        train(load_recipe(path), path.parent, tiny, tmp_path / "out")


def test_one_name_among_several_that_the_base_lacks_is_not_passed_over(tmp_path, tiny):
    path = write_recipe(tmp_path / "recipe", lora_target_modules="[q_proj, self_attn.v_proj, oproj]")
    with pytest.raises(RecipeError, match="tiny-llama has no module oproj") as caught:
        train(load_recipe(path), path.parent, tiny, tmp_path / "out")
    assert (caught.value.code, caught.value.hint) == ("target_unknown", "did you mean o_proj?")


def test_a_run_of_before_there_were_kinds_is_described_as_it_was_then(tmp_path, tiny):
    lora = load_recipe(write_recipe(tmp_path / "a"))
    described = describe_run(lora, tmp_path / "a", tiny)["recipe"]
    assert not {"peft_type", "use_dora", "num_virtual_tokens"} & described.keys()
    ia3 = load_recipe(write_recipe(tmp_path / "b", peft_type="ia3"))
    assert describe_run(ia3, tmp_path / "b", tiny)["recipe"]["peft_type"] == "ia3"


def test_ia3_goes_where_the_recipe_says(tmp_path, tiny):
    keys = {"peft_type": "ia3", "ia3_target_modules": "[q_proj, up_proj]", "ia3_feedforward_modules": "[up_proj]"}
    config = peft_config(load_recipe(write_recipe(tmp_path / "recipe", **keys)), tiny.model)
    assert (config.peft_type, config.target_modules, config.feedforward_modules) == ("IA3", {"q_proj", "up_proj"}, {"up_proj"})
