import json
import os
import resource
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from expert_kit.adapters import load_base
from expert_kit.errors import CapacityError, DataError, RecipeError, TrainingError
from expert_kit.inference import ExpertEngine
from expert_kit.training import load_recipe, train
from expert_kit.training import sft as sft_module
from expert_kit.training import trainer as trainer_module
from expert_kit.training.data import IGNORED, encode_example, encode_file
from expert_kit.training.outcome import mean_loss
from expert_kit.training.trainer import labelled_logits, split_batch, split_shared
from tests.support.encoders import FakeEncoder


def write_recipe(folder: Path, **changes) -> Path:
    folder.mkdir(exist_ok=True)
    rows = [{"prompt": f"say {word}", "completion": word} for word in ("red", "green", "blue", "white", "black", "violet")]
    for name in ("train", "validation"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = {
        "model_name_or_path": "tiny-llama", "dataset": "{train: train.jsonl, validation: validation.jsonl}", "lora_r": 4,
        "lora_alpha": 8, "learning_rate": "0.01", "per_device_train_batch_size": 3, "max_steps": 4, "logging_steps": 1,
        "eval_steps": 2, "save_steps": 2, "bf16": "false",
    } | changes  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
    return path


def run(path: Path, base, output: Path, **options):
    return train(load_recipe(path), path.parent, base, output, **options)


class StoppedError(Exception):
    pass


def cut_off(path: Path, base, output: Path) -> None:
    """A run that ends at step 3, as a killed one would: the learning rate depends on all steps, so max_steps cannot be lower."""

    def stop(event):
        if event.step == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(path, base, output, report=stop)


def test_two_evaluations_leave_a_complete_folder_and_the_base_as_it_was(tmp_path, tiny, tiny_folder):
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    seen = []
    result = run(write_recipe(tmp_path / "recipe"), tiny, tmp_path / "out", report=seen.append)
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"adapter", "checkpoints", "loss.png", "metrics.json", "run.json", "trainer_state.json"}
    assert (tmp_path / "out/loss.png").read_bytes().startswith(b"\x89PNG")
    assert result.steps == 4
    assert [event.step for event in seen if "loss" in event.values] == [1, 2, 3, 4]
    after = tiny.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    config = json.loads((tmp_path / "out/adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny-llama"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "out/adapter").stat().st_mode) == 0o777 & ~umask


def test_training_learns_and_the_engine_runs_what_it_wrote(tmp_path, tiny):
    path = write_recipe(tmp_path / "recipe", max_steps=80, learning_rate="0.02", eval_steps=80, save_steps=80, lora_r=8)
    result = run(path, tiny, tmp_path / "out")
    engine = ExpertEngine(tiny, encoder=FakeEncoder())
    words = ("red", "green", "blue", "white", "black", "violet")
    answers = engine.generate([f"say {word}" for word in words], [result.adapter] * 6, max_new_tokens=10)
    assert sum(answer.text == word for answer, word in zip(answers, words, strict=True)) >= 5
    assert result.eval_loss < 0.5


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, tiny_folder, tiny_record):
    def fresh():
        return load_base(tiny_folder, tiny_record, device="cpu", dtype="float32")

    # logging_steps is such that neither the checkpoint nor the end falls on a logged step.
    path = write_recipe(tmp_path / "recipe", lora_dropout=0.1, logging_steps=3)
    cut_off(path, fresh(), tmp_path / "cut")
    with pytest.raises(TrainingError) as caught:
        run(path, fresh(), tmp_path / "cut")
    assert caught.value.code == "output_not_empty"
    seen = []
    resumed = run(path, fresh(), tmp_path / "cut", resume=True, report=seen.append)
    assert [event.step for event in seen][:2] == [2, 3], "a run says first where it goes on"
    whole = run(path, fresh(), tmp_path / "whole")
    left, right = (load_file(result.adapter / "adapter_model.safetensors") for result in (resumed, whole))
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(left[name], right[name], atol=1e-6, rtol=1e-5)
    assert resumed.train_loss == pytest.approx(whole.train_loss, rel=1e-5)
    assert resumed.eval_loss == pytest.approx(whole.eval_loss, rel=1e-5)
    assert resumed.tokens == whole.tokens


def test_tokens_are_those_of_all_rows_without_padding_and_their_speed_is_that_of_the_steps_alone(tmp_path, tiny):
    path = write_recipe(tmp_path / "recipe")
    result = run(path, tiny, tmp_path / "out")
    # Two batches of three an epoch, and two epochs; all rows share a beginning, which is computed once and counted in each.
    assert result.tokens == 2 * sum(encode_file(path.parent / "train.jsonl", tiny.tokenizer, 1024)["length"])
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert (metrics["tokens"], metrics["tokens_per_second"]) == (result.tokens, result.tokens_per_second)
    step_seconds = max(entry.get("step_seconds", 0.0) for entry in result.history)
    assert 0 < step_seconds < result.seconds
    assert result.tokens_per_second == pytest.approx(result.tokens / step_seconds, rel=1e-2)


@pytest.mark.parametrize("changes", [{"max_steps": 3}, {"learning_rate": "5.0", "early_stopping_patience": 1, "max_steps": 40}])
def test_resuming_a_finished_run_gives_the_same_again(tmp_path, tiny, changes):
    path = write_recipe(tmp_path / "recipe", **({"lr_scheduler_type": "constant"} | changes))
    once = run(path, tiny, tmp_path / "out")
    kept = (tmp_path / "out/metrics.json").read_text(), (tmp_path / "out/adapter/adapter_model.safetensors").read_bytes()
    again = run(path, tiny, tmp_path / "out", resume=True)
    assert ((tmp_path / "out/metrics.json").read_text(), (again.adapter / "adapter_model.safetensors").read_bytes()) == kept
    assert (again.steps, again.train_loss, again.eval_loss) == (once.steps, once.train_loss, once.eval_loss)


def test_the_mean_loss_weighs_each_entry_with_its_steps():
    history = [{"step": 3, "loss": 2.0}, {"step": 3, "eval_loss": 9.0}, {"step": 4, "loss": 6.0}, {"step": 4, "train_loss": 0.0}]
    assert mean_loss(history) == 3.0


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"lora_r": 8, "learning_rate": "0.02"}, "learning_rate, lora_r"),
        ({"dataset": "{train: train.jsonl, validation: train.jsonl}"}, "dataset.validation"),
    ],
)
def test_resume_refuses_another_recipe_and_names_the_keys(tmp_path, tiny, changes, names):
    cut_off(write_recipe(tmp_path / "recipe"), tiny, tmp_path / "out")
    with pytest.raises(TrainingError, match=names) as caught:
        run(write_recipe(tmp_path / "recipe", **changes), tiny, tmp_path / "out", resume=True)
    assert caught.value.code == "resume_differs"


def test_resume_refuses_other_data_another_base_and_an_unknown_start(tmp_path, tiny):
    path = write_recipe(tmp_path / "recipe")
    cut_off(path, tiny, tmp_path / "out")
    record = tmp_path / "out/run.json"
    kept = record.read_text()
    changed = json.loads(kept)
    changed["base"]["weights_root_sha256"] = "sha256:" + 64 * "0"
    with (tmp_path / "recipe/train.jsonl").open("a") as file:
        file.write(json.dumps({"prompt": "say pink", "completion": "pink"}) + "\n")
    for text, words in (
        (json.dumps(changed), "base.weights_root_sha256, data_sha256.train$"),
        (kept, "another data_sha256.train$"),
        ("", "run.json"),
    ):
        record.write_text(text)
        with pytest.raises(TrainingError, match=words) as caught:
            run(path, tiny, tmp_path / "out", resume=True)
        assert caught.value.code == "resume_differs"


@pytest.mark.parametrize("where", ["out", "out/adapter", "out/checkpoints"])
def test_a_file_where_a_folder_belongs_is_a_typed_error(tmp_path, tiny, where):
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text("")
    with pytest.raises(TrainingError) as caught:
        run(write_recipe(tmp_path / "recipe"), tiny, tmp_path / "out")
    assert caught.value.code == "output_not_a_folder"


def test_target_modules_that_the_base_has_not_are_the_recipes_mistake(tmp_path, tiny):
    with pytest.raises(RecipeError, match="lora_target_modules"):
        run(write_recipe(tmp_path / "recipe", lora_target_modules="[c_attn]"), tiny, tmp_path / "out")


@pytest.mark.parametrize("room", [1_000, 60_000])
def test_a_failed_checkpoint_is_a_typed_error_and_the_one_before_it_is_resumed(tmp_path, tiny, room):
    path = write_recipe(tmp_path / "recipe")
    limits = []

    def fill_the_disk(event):
        if event.step == 3 and not limits:
            limits.append(resource.getrlimit(resource.RLIMIT_FSIZE))
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[0][1]))

    try:
        with pytest.raises(CapacityError, match="checkpoint") as caught:
            run(path, tiny, tmp_path / "out", report=fill_the_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits[0])
    assert "--resume" in caught.value.hint
    assert_clean(tiny)
    assert (tmp_path / "out/checkpoints/checkpoint-4").is_dir()
    assert run(path, tiny, tmp_path / "out", resume=True).steps == 4


def test_a_failed_final_write_is_a_typed_error_and_resume_finishes(tmp_path, tiny, monkeypatch):
    path = write_recipe(tmp_path / "recipe")
    monkeypatch.setattr("expert_kit.training.outcome.save_file", save_nowhere)
    with pytest.raises(CapacityError) as caught:
        run(path, tiny, tmp_path / "out")
    monkeypatch.undo()
    assert "--resume" in caught.value.hint
    assert not list((tmp_path / "out").glob("*adapter*"))
    assert run(path, tiny, tmp_path / "out", resume=True).steps == 4


def save_nowhere(state, path, metadata):
    """The real writer, without room for what it writes."""
    from safetensors.torch import save_file

    with file_size_limit(100):
        save_file(state, path, metadata=metadata)


@contextmanager
def file_size_limit(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_damaged_checkpoint_is_a_typed_error(tmp_path, tiny):
    path = write_recipe(tmp_path / "recipe")
    cut_off(path, tiny, tmp_path / "out")
    (tmp_path / "out/checkpoints/checkpoint-2/optimizer.pt").write_bytes(b"")
    with pytest.raises(TrainingError) as caught:
        run(path, tiny, tmp_path / "out", resume=True)
    assert caught.value.code == "checkpoint_unreadable"
    assert_clean(tiny)


@pytest.mark.parametrize("rate", ["1.0e+38", "1.0e+300"])
def test_a_run_that_diverges_stops_and_saves_nothing(tmp_path, tiny, rate):
    path = write_recipe(
        tmp_path / "recipe", learning_rate=rate, logging_steps=4, lr_scheduler_type="constant", eval_strategy="'no'", warmup_steps=0
    )
    with pytest.raises(TrainingError) as caught:
        run(path, tiny, tmp_path / "out")
    assert caught.value.code == "loss_not_finite"
    assert not (tmp_path / "out/adapter").exists()
    assert_clean(tiny)


def test_a_validation_loss_that_is_not_finite_stops_the_run(tmp_path, tiny):
    path = write_recipe(
        tmp_path / "recipe", learning_rate="1.0e+38", eval_steps=1, save_steps=1, lr_scheduler_type="constant", warmup_steps=0
    )
    with pytest.raises(TrainingError, match="validation loss of step 1 ") as caught:
        run(path, tiny, tmp_path / "out")
    assert caught.value.code == "loss_not_finite"
    assert not list((tmp_path / "out").glob("checkpoints/*"))


def test_weights_that_are_not_finite_are_not_saved(tmp_path, tiny):
    # One step: its loss is that of the untouched weights.
    path = write_recipe(
        tmp_path / "recipe", learning_rate="1.0e+300", max_steps=1, eval_strategy="'no'", lr_scheduler_type="constant", warmup_steps=0
    )
    with pytest.raises(TrainingError, match="weights are not finite") as caught:
        run(path, tiny, tmp_path / "out")
    assert caught.value.code == "loss_not_finite"
    assert not (tmp_path / "out/adapter").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, None])
def test_the_base_comes_out_clean(tmp_path, tiny, error):
    tiny.model.config.use_cache = True

    def interrupt(event):
        if error and event.step == 2:
            raise error

    path = write_recipe(tmp_path / "recipe")
    if error:
        with pytest.raises(error):
            run(path, tiny, tmp_path / "out", report=interrupt)
    else:
        run(path, tiny, tmp_path / "out", report=interrupt)
    assert_clean(tiny)
    assert tiny.model.config.use_cache is True


def assert_clean(base):
    assert not [name for name, _ in base.model.named_modules() if "lora" in name]
    assert not hasattr(base.model, "peft_config")
    assert not [module for module in base.model.modules() if module.training]
    assert not [name for name, parameter in base.model.named_parameters() if parameter.requires_grad]


def test_the_validation_loss_does_not_depend_on_the_batch_size(tmp_path, tiny):
    losses = []
    for size in (1, 4, 6):
        path = write_recipe(tmp_path / "recipe", per_device_eval_batch_size=size, max_steps=2)
        losses.append(run(path, tiny, tmp_path / f"out{size}").eval_loss)
    assert losses == [pytest.approx(losses[0], rel=1e-5)] * 3


def test_a_row_with_a_line_separator_in_its_text_is_one_row(tmp_path, tiny):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "a\u2028b\u0085c", "completion": "d"}, ensure_ascii=False) + "\n", encoding="utf-8")
    assert len(encode_file(path, tiny.tokenizer, 100)) == 1


def test_resume_without_a_checkpoint_is_refused(tmp_path, tiny):
    with pytest.raises(TrainingError) as caught:
        run(write_recipe(tmp_path / "recipe"), tiny, tmp_path / "out", resume=True)
    assert caught.value.code == "nothing_to_resume"


def test_early_stopping_ends_with_the_best_weights(tmp_path, tiny):
    path = write_recipe(tmp_path / "recipe", max_steps=40, learning_rate="5.0", early_stopping_patience=1, lr_scheduler_type="constant")
    result = run(path, tiny, tmp_path / "out")
    losses = [entry["eval_loss"] for entry in result.history if "eval_loss" in entry]
    assert result.steps < 40
    assert result.eval_loss == min(losses) < losses[-1]
    step = next(entry["step"] for entry in result.history if entry.get("eval_loss") == result.eval_loss)
    best = load_file(tmp_path / f"out/checkpoints/checkpoint-{step}/adapter_model.safetensors")
    last = load_file(tmp_path / f"out/checkpoints/checkpoint-{result.steps}/adapter_model.safetensors")
    saved = load_file(result.adapter / "adapter_model.safetensors")
    assert all(torch.equal(saved[name], best[name]) for name in best)
    assert not all(torch.equal(saved[name], last[name]) for name in last)


def test_bfloat16_factors_are_saved_when_asked_for(tmp_path, tiny):
    result = run(write_recipe(tmp_path / "recipe", adapter_dtype="bfloat16", max_steps=2), tiny, tmp_path / "out")
    assert {tensor.dtype for tensor in load_file(result.adapter / "adapter_model.safetensors").values()} == {torch.bfloat16}


def test_only_the_answer_carries_labels(tiny):
    ids, labels = encode_example(tiny.tokenizer, "say red", "red")
    answer = [label for label in labels if label != IGNORED]
    assert tiny.tokenizer.decode(answer[:-1]) == "red"
    assert answer[-1] == tiny.tokenizer.eos_token_id
    assert labels[: -len(answer)] == [IGNORED] * (len(ids) - len(answer))


def test_logits_of_labelled_positions_equal_the_whole_models(tiny):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(tiny.model, LoraConfig(target_modules=["q_proj"]))
    ids = torch.tensor([[5, 6, 7, 8]])
    labels = torch.tensor([[IGNORED, IGNORED, 7, 8]])
    with torch.no_grad():
        logits, targets = labelled_logits(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels})
        whole = model(ids).logits
    assert targets.tolist() == [7, 8]
    torch.testing.assert_close(logits, whole[0, 1:3])


@pytest.mark.parametrize(
    ("line", "words"),
    [("{", "not JSON"), ('{"prompt": "a"}', "'completion'"), ('{"prompt": "", "completion": "b"}', "'prompt'"), ("[1]", "not an object")],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path, tiny, line, words):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n' + line + "\n")
    with pytest.raises(DataError, match=words) as caught:
        encode_file(path, tiny.tokenizer, 100)
    assert "rows.jsonl:2:" in caught.value.message


def test_rows_over_the_limit_are_left_out_and_none_left_is_an_error(tmp_path, tiny, caplog):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "' + "long " * 40 + '", "completion": "b"}\n')
    assert len(encode_file(path, tiny.tokenizer, 100)) == 1
    assert "left out 1 rows" in caplog.text
    with pytest.raises(DataError, match="no row of at most 3 tokens") as caught:
        encode_file(path, tiny.tokenizer, 3)
    assert "max_length" in caught.value.hint


def test_a_split_batch_has_every_row_once_and_no_part_is_too_large():
    lengths = [3, 9, 1, 6, 9, 2]
    mask = torch.tensor([[1] * length + [0] * (9 - length) for length in lengths])
    ids = torch.arange(54).reshape(6, 9)
    parts = split_batch({"input_ids": ids, "attention_mask": mask}, 12)
    assert all(part["input_ids"].numel() <= 12 for part in parts)
    assert sorted(part["input_ids"][row, 0].item() for part in parts for row in range(len(part["input_ids"]))) == [0, 9, 18, 27, 36, 45]
    assert sum(part["attention_mask"].sum().item() for part in parts) == sum(lengths)
    assert len(split_batch({"input_ids": ids, "attention_mask": mask}, 1)) == 6


def test_a_split_by_shared_beginnings_keeps_neighbours_together_and_counts_what_they_share_once():
    rows = [[1, 2, 3, 10], [1, 2, 3, 11, 12], [1, 2, 3, 13], [7, 8], [7, 9]]
    ids = torch.tensor([row + [0] * (5 - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (5 - len(row)) for row in rows])
    batch = {"input_ids": ids, "attention_mask": mask}
    lists = [part["input_ids"].tolist() for part in split_shared(batch, 7)]
    assert lists == [[[1, 2, 3, 10, 0], [1, 2, 3, 11, 12], [1, 2, 3, 13, 0]], [[7, 8], [7, 9]]]
    assert [len(part["input_ids"]) for part in split_shared(batch, 6)] == [2, 2, 1]
    assert [len(part["input_ids"]) for part in split_shared(batch, 1)] == [1] * 5
    assert len(split_shared(batch, 10)) == 1


def test_training_in_parts_gives_the_weights_of_training_in_one_pass(tmp_path, tiny, monkeypatch):
    path = write_recipe(tmp_path / "recipe", per_device_train_batch_size=6)
    whole = run(path, tiny, tmp_path / "whole")
    monkeypatch.setattr(trainer_module, "TOKENS_PER_PASS", 80)
    parts = run(path, tiny, tmp_path / "parts")
    left, right = (load_file(result.adapter / "adapter_model.safetensors") for result in (whole, parts))
    for name in left:
        torch.testing.assert_close(left[name], right[name], atol=1e-5, rtol=1e-4)
    assert whole.train_loss == pytest.approx(parts.train_loss, rel=1e-4)


def test_auto_takes_the_type_of_the_base_and_the_command_loads_what_the_machine_multiplies_fast(tmp_path, tiny, monkeypatch):
    from expert_kit.adapters import prefers_bfloat16

    recipe = load_recipe(write_recipe(tmp_path / "recipe", bf16="auto"))
    assert sft_module.options_of(recipe, tmp_path, tiny)["bf16"] is (tiny.model.dtype == torch.bfloat16)
    for known in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: {"amx_bf16": known})
        assert prefers_bfloat16("cpu") is known
