"""What a run leaves behind: the adapter, its metrics and the loss curve."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import Trainer

from expert_kit.errors import TrainingError
from expert_kit.training.plot import write_loss_curve
from expert_kit.training.recipe import Recipe
from expert_kit.training.run_record import write_text

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class TrainingResult:
    """What a run left in its output folder."""

    adapter: Path
    """Folder with ``adapter_config.json`` and ``adapter_model.safetensors``."""
    steps: int
    train_loss: float
    """Mean over all steps, those before a resumption too."""
    eval_loss: float | None
    """Of the saved weights, before ``adapter_dtype``: mean per labelled token of the validation rows."""
    seconds: float
    """Of training and evaluation, up to the last of them; those before a resumption too."""
    tokens: int
    """Of all rows trained on, prompts too, padding not; a beginning that rows share counts in each of them, though it is computed once."""
    tokens_per_second: float
    """The same by the seconds of the training steps alone."""
    history: list[dict[str, float]]


def write_outcome(recipe: Recipe, trainer: Trainer, model: PeftModel, output: Path) -> TrainingResult:
    """Write the adapter first and the metrics last. Of several processes the first one writes, and the others wait for it.

    Raises:
        TrainingError: ``loss_not_finite``, the weights are not finite numbers.
    """
    history = [dict(entry) for entry in trainer.state.log_history]
    tokens = int(trainer.state.num_input_tokens_seen)
    result = TrainingResult(
        adapter=output / "adapter",
        steps=trainer.state.global_step,
        train_loss=mean_loss(history),
        eval_loss=_eval_loss(trainer, history),
        seconds=latest(history, "seconds"),
        tokens=tokens,
        tokens_per_second=round(tokens / max(latest(history, "step_seconds"), 1e-3), 1),
        history=history,
    )
    if trainer.is_world_process_zero():
        _write(recipe, trainer, model, output, result)
    trainer.accelerator.wait_for_everyone()
    return result


def _write(recipe: Recipe, trainer: Trainer, model: PeftModel, output: Path, result: TrainingResult) -> None:
    save_adapter(recipe, model, output / "adapter")
    trainer.state.save_to_json(str(output / "trainer_state.json"))
    write_loss_curve(result.history, output / "loss.png")
    metrics = {name: value for name, value in asdict(result).items() if name not in ("adapter", "history")}
    write_text(output / "metrics.json", json.dumps(metrics | {"seconds": round(result.seconds, 1)}, indent=2) + "\n")


def latest(history: Sequence[Mapping[str, float]], key: str) -> float:
    """The largest value of what grows over a run; 0.0 if it was never logged."""
    return max((entry.get(key, 0.0) for entry in history), default=0.0)


def mean_loss(history: Sequence[Mapping[str, float]]) -> float:
    """Mean of the logged training losses, each weighted with the steps since the one before it; at least one is logged."""
    total, last = 0.0, 0.0
    for entry in history:
        if "loss" in entry:
            total += entry["loss"] * (entry["step"] - last)
            last = entry["step"]
    return total / last


def _eval_loss(trainer: Trainer, history: Sequence[Mapping[str, float]]) -> float | None:
    """Of the checkpoint that was loaded at the end if there was one, else the last one."""
    losses = {int(entry["step"]): entry["eval_loss"] for entry in history if "eval_loss" in entry}
    best = trainer.state.best_model_checkpoint if trainer.args.load_best_model_at_end else None
    step = int(Path(best).name.rpartition("-")[2]) if best else max(losses, default=0)
    return losses.get(step)


def save_adapter(recipe: Recipe, model: PeftModel, folder: Path) -> None:
    """Write the two files of a PEFT adapter, complete or not at all; without PEFT's model card stub and local paths.

    Raises:
        TrainingError: ``loss_not_finite``, a factor has values that are not finite in ``adapter_dtype``.
    """
    config = model.peft_config["default"]
    config.base_model_name_or_path = recipe.model_name_or_path
    config.inference_mode = True
    for lists in ("target_modules", "feedforward_modules"):
        if getattr(config, lists, None) is not None:
            setattr(config, lists, sorted(getattr(config, lists)))
    dtype = _DTYPES[recipe.adapter_dtype]
    state = {name: tensor.to(dtype).contiguous() for name, tensor in get_peft_model_state_dict(model).items()}
    bad = next((name for name, tensor in state.items() if not torch.isfinite(tensor).all()), None)
    if bad is not None:
        raise TrainingError(f"the trained weights are not finite numbers: {bad}", hint="lower learning_rate", code="loss_not_finite")
    # Not mkdtemp, whose folders only their owner can read.
    staging = folder.with_name(f".{folder.name}-{uuid4().hex}")
    try:
        staging.mkdir(parents=True)
        save_file(state, staging / "adapter_model.safetensors", metadata={"format": "pt"})
        config.save_pretrained(staging)
        _put(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _put(staging: Path, folder: Path) -> None:
    """Put one folder in place of another. Whenever it is killed, the old one or the new one is there, the old one perhaps set aside."""
    retired = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        shutil.rmtree(retired, ignore_errors=True)
        os.replace(folder, retired)
    try:
        os.replace(staging, folder)
    except BaseException:
        if retired.exists():
            os.replace(retired, folder)
        raise
    shutil.rmtree(retired, ignore_errors=True)
