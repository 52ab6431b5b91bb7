from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from expert_kit.adapters import load_base
from expert_kit.errors import CheckUnavailableError, DataError, RecipeError
from expert_kit.inference import ExpertEngine
from expert_kit.training import load_recipe, train, trl_methods
from tests.unit.training.test_sft import write_recipe

pytest.importorskip("trl", reason="the methods dpo and distill run on TRL: pip install 'expert-kit[methods]'")

WORDS = ("red", "green", "blue", "white", "black", "violet")


def preferences(tmp_path: Path, **changes: object) -> Path:
    path = write_recipe(tmp_path / "dpo", method="dpo", **changes)
    rows = [{"prompt": f"say {word}", "chosen": "yes", "rejected": "never"} for word in WORDS]
    for name in ("train", "validation"):
        (path.parent / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def teacher(tiny_folder, tiny_record):
    """The same model, but to its head all tokens are as likely; the student is random and sure of itself."""
    loaded = load_base(tiny_folder, tiny_record, device="cpu", dtype="float32")
    with torch.no_grad():
        loaded.model.get_output_embeddings().weight.zero_()
    return loaded


def likelihood(base, adapter: Path | None, answer: str) -> float:
    return ExpertEngine(base).likelihood(f"say red {answer}", adapter).logprob


def test_preferences_move_the_margin_and_leave_a_peft_adapter_and_the_base_as_it_was(tmp_path, tiny):
    path = preferences(tmp_path, beta=0.1, max_steps=8)
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    result = train(load_recipe(path), path.parent, tiny, tmp_path / "run")
    losses = [entry["loss"] for entry in result.history if "loss" in entry]
    margins = [entry["rewards/margins"] for entry in result.history if "rewards/margins" in entry]
    # Without an adapter's effect nothing is preferred: the loss begins at log 2.
    assert losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert losses[-1] < 0.3
    assert result.tokens_per_second > 0
    assert margins[-1] > margins[0] + 1
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"adapter", "loss.png", "metrics.json", "run.json", "trainer_state.json"}
    after = tiny.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert "forward" not in vars(tiny.model)
    with_it, alone = (
        likelihood(tiny, adapter, "yes") - likelihood(tiny, adapter, "never") for adapter in (tmp_path / "run" / "adapter", None)
    )
    assert with_it != pytest.approx(alone, abs=1e-3)


def test_a_run_of_preferences_is_gone_on_with_where_it_stopped(tmp_path, tiny):
    path = preferences(tmp_path)
    whole = train(load_recipe(path), path.parent, tiny, tmp_path / "whole")

    class StoppedError(Exception):
        pass

    def stop(event):
        if event.step == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(load_recipe(path), path.parent, tiny, tmp_path / "part", report=stop)
    resumed = train(load_recipe(path), path.parent, tiny, tmp_path / "part", resume=True)
    assert resumed.steps == whole.steps == 4
    assert resumed.eval_loss == pytest.approx(whole.eval_loss, rel=1e-4)


def test_the_student_comes_nearer_to_its_teacher(tmp_path, tiny, teacher):
    path = write_recipe(
        tmp_path / "distill",
        method="distill",
        teacher="big",
        max_completion_length=6,
        max_steps=40,
        learning_rate=0.02,
        lora_r=8,
        eval_strategy="no",
    )
    result = train(load_recipe(path), path.parent, tiny, tmp_path / "run", teacher=teacher)
    losses = [entry["loss"] for entry in result.history if "loss" in entry]
    # Each step has answers of its own, so that single losses jump.
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6]), losses
    assert result.tokens_per_second > 0
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").stat().st_size > 0
    assert "teacher" in json.loads((tmp_path / "run" / "run.json").read_text())
    assert "forward" not in vars(tiny.model)


def test_a_teacher_with_other_tokens_is_refused(tmp_path, tiny, teacher):
    from dataclasses import replace

    path = write_recipe(tmp_path / "distill", method="distill", teacher="big")
    other = replace(teacher.record, fingerprint=replace(teacher.record.fingerprint, tokenizer_sha256="sha256:" + "0" * 64))
    with pytest.raises(RecipeError) as caught:
        train(load_recipe(path), path.parent, tiny, tmp_path / "run", teacher=replace(teacher, record=other))
    assert caught.value.code == "teacher_tokens"


def test_a_module_that_the_base_lacks_is_not_passed_over(tmp_path, tiny):
    path = preferences(tmp_path, lora_target_modules="[q_proj, oproj]")
    with pytest.raises(RecipeError, match="tiny-llama has no module oproj"):
        train(load_recipe(path), path.parent, tiny, tmp_path / "out")


def test_rows_without_a_preference_are_named(tmp_path, tiny):
    path = write_recipe(tmp_path / "dpo", method="dpo")
    with pytest.raises(DataError, match=r"train\.jsonl:1: no text under 'chosen'"):
        train(load_recipe(path), path.parent, tiny, tmp_path / "run")


@pytest.mark.parametrize("method", ["dpo", "distill"])
def test_rows_that_are_too_long_are_left_out_and_counted(tmp_path, tiny, caplog, method):
    rows = [{"prompt": "word " * (60 if at else 1), "chosen": "yes", "rejected": "no"} for at in range(4)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = {"dpo": trl_methods._preferences, "distill": trl_methods._prompts}[method]
    assert len(read(path, tiny.tokenizer, 80)) == 1
    assert "left out 3 rows of more than max_length=80 tokens" in caplog.text
    with pytest.raises(DataError, match="no row of at most 2 tokens"):
        read(path, tiny.tokenizer, 2)


def test_without_trl_the_command_that_installs_it_is_named(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    path = preferences(tmp_path)
    with pytest.raises(CheckUnavailableError) as caught:
        train(load_recipe(path), path.parent, tiny, tmp_path / "run")
    assert caught.value.code == "trl_missing"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "sft", "beta": 0.1}, "beta has no meaning with method: sft"),
        ({"method": "dpo", "teacher": "big"}, "teacher has no meaning with method: dpo"),
        ({"method": "distill"}, "needs a teacher"),
    ],
)
def test_keys_of_another_method_are_refused(tmp_path, changes, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write_recipe(tmp_path / "r", **changes))
