"""Training of an adapter, on transformers' Trainer and PEFT, and for some methods on TRL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from expert_kit.adapters import BaseModel
from expert_kit.errors import RecipeError
from expert_kit.training.data import PadRight, encode_file
from expert_kit.training.faults import within_memory, writing
from expert_kit.training.kinds import is_prompted, peft_config
from expert_kit.training.outcome import TrainingResult, latest, write_outcome
from expert_kit.training.recipe import Recipe
from expert_kit.training.run_record import check_folders, describe_run, last_checkpoint, refuse_another_run, write_run
from expert_kit.training.start import start_from
from expert_kit.training.trainer import CompletionTrainer
from expert_kit.training.trl_methods import check_trl, trl_trainer

_PASSED_THROUGH = (
    "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm", "num_train_epochs", "max_steps",
    "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "train_sampling_strategy", "seed",
    "logging_steps", "eval_strategy", "eval_steps", "save_steps", "save_total_limit",
)  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """The beginning of a run, without values, or one of its log lines."""

    step: int
    """More than 0 at the beginning of a run that is resumed."""
    max_steps: int
    values: dict[str, float]
    """As the Trainer logs them: ``loss``, ``eval_loss``, ``learning_rate``, ``grad_norm``, ``epoch``."""


class _Report(TrainerCallback):
    def __init__(self, report: Callable[[Progress], None]) -> None:
        self.report = report

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.report(Progress(state.global_step, state.max_steps, {}))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        self.report(Progress(state.global_step, state.max_steps, dict(logs or {})))


class _WholeHistory(TrainerCallback):
    """Lets the history in a checkpoint cover every step up to it, with the seconds so far, so that resumed runs report the whole."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.start = time.monotonic() - latest(state.log_history, "seconds")
        self.step_seconds = latest(state.log_history, "step_seconds")

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.step_start = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.step_seconds += time.monotonic() - self.step_start
        self.on_epoch_end(args, state, control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_log |= control.should_save or control.should_training_stop

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if logs and logs.keys() & {"loss", "eval_loss"}:
            state.log_history[-1]["seconds"] = round(time.monotonic() - self.start, 3)
            state.log_history[-1]["step_seconds"] = round(self.step_seconds, 3)


def train(
    recipe: Recipe,
    recipe_folder: Path,
    base: BaseModel,
    output: Path,
    *,
    teacher: BaseModel | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train and write ``adapter/``, ``trainer_state.json``, ``metrics.json``, ``loss.png`` and ``run.json`` into ``output``.

    Args:
        recipe: checked recipe; its data files must be there (see ``prepare_data``).
        recipe_folder: what the paths in the recipe are relative to.
        base: its weights are frozen; quantized only with ``bnb-8bit`` or ``bnb-4bit``. It comes out as it went in, after an error too.
        teacher: the recipe's ``teacher``, loaded.
        output: created; checkpoints go to ``output/checkpoints``.
        resume: go on from the last complete checkpoint there; recipe, data and base must be those of ``run.json``.
        report: called at the beginning and for each log line.

    Raises:
        TrainingError: ``output_not_a_folder``; ``output_not_empty``, there is an earlier run and ``resume`` is off;
            ``nothing_to_resume``; ``resume_differs``; ``checkpoint_unreadable``; ``loss_not_finite``.
        RecipeError: the base has no such target modules; ``init_adapter_unreadable``; ``init_adapter_differs``; ``teacher_tokens``.
        CheckUnavailableError: ``trl_missing``. DataError: bad rows. CapacityError: out of memory or disk.
    """
    check_folders(output)
    last = last_checkpoint(output, resume=resume)
    if recipe.method != "sft":
        check_trl()
    run = describe_run(recipe, recipe_folder, base, teacher)
    if last:
        refuse_another_run(output, run)
    else:
        write_run(output, run)
    set_seed(recipe.seed)
    with within_memory(), _opened(recipe, recipe_folder, base, teacher, output / "checkpoints", report) as (trainer, model):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        with writing(f"the results into {output}"):
            return write_outcome(recipe, trainer, model, output)


@contextmanager
def _opened(
    recipe: Recipe,
    folder: Path,
    base: BaseModel,
    teacher: BaseModel | None,
    checkpoints: Path,
    report: Callable[[Progress], None] | None,
) -> Iterator[tuple[Trainer, PeftModel]]:
    """The trainer of the recipe's method and the model with the adapter, which is taken out again behind the block."""
    options, callbacks = options_of(recipe, checkpoints, base), _callbacks(recipe, report)
    if recipe.method == "sft":
        files = {"train": recipe.dataset.train, "validation": recipe.dataset.validation}
        datasets = {name: encode_file(folder / file, base.tokenizer, recipe.max_length) for name, file in files.items()}
        with adapter_in(recipe, folder, base) as model:
            yield _trainer(base, model, datasets, TrainingArguments(**options), callbacks), model
        return
    files = {"train": folder / recipe.dataset.train, "validation": folder / recipe.dataset.validation}
    with _as_it_was(base), trl_trainer(recipe, base, teacher, files, options, callbacks) as trainer:
        yield trainer, trainer.model


@contextmanager
def adapter_in(recipe: Recipe, folder: Path, base: BaseModel) -> Iterator[PeftModel]:
    """The base with an adapter put in for the time of the block: a fresh one, or the ``init_adapter`` of a recipe in ``folder``."""
    with _as_it_was(base):
        model = _put_in(recipe, base)
        try:
            if recipe.init_adapter is not None:
                start_from(model, folder / recipe.init_adapter)
            base.model.config.use_cache = False
            yield model
        finally:
            if not is_prompted(model):
                model.unload()


@contextmanager
def _as_it_was(base: BaseModel) -> Iterator[None]:
    """Settings that training changes are what they were behind the block, and no weight takes a gradient."""
    config, generation = base.model.config, base.model.generation_config
    before = config.use_cache, config.pad_token_id, getattr(generation, "pad_token_id", None)
    try:
        yield
    finally:
        config.use_cache, config.pad_token_id = before[:2]
        if generation is not None:
            generation.pad_token_id = before[2]
        base.model.eval().requires_grad_(False)


def _put_in(recipe: Recipe, base: BaseModel) -> PeftModel:
    try:
        return get_peft_model(base.model, peft_config(recipe, base.model))
    except ValueError as error:
        keys = f"{recipe.peft_type}_target_modules" if recipe.peft_type in {"lora", "ia3"} else f"peft_type: {recipe.peft_type}"
        raise RecipeError(f"{keys} do not fit {recipe.model_name_or_path}: {error}") from error


def _trainer(
    base: BaseModel, model: PeftModel, datasets: dict[str, Any], arguments: TrainingArguments, callbacks: list[TrainerCallback]
) -> CompletionTrainer:
    trainer = CompletionTrainer(
        model=model,
        args=arguments,
        train_dataset=datasets["train"],
        eval_dataset=datasets["validation"],
        data_collator=PadRight(base.tokenizer.pad_token_id),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def options_of(recipe: Recipe, checkpoints: Path, base: BaseModel) -> dict[str, Any]:
    """Arguments of ``TrainingArguments``."""
    device = base.device
    early = recipe.early_stopping_patience > 0
    return dict(
        output_dir=str(checkpoints.absolute()),
        **{name: getattr(recipe, name) for name in _PASSED_THROUGH},
        bf16=base.model.dtype == torch.bfloat16 if recipe.bf16 == "auto" else recipe.bf16,
        use_cpu=device.type == "cpu",
        save_strategy="epoch" if early and recipe.eval_strategy == "epoch" else "steps",
        load_best_model_at_end=early,
        metric_for_best_model="eval_loss" if early else None,
        length_column_name="length",
        remove_unused_columns=False,
        prediction_loss_only=True,
        label_names=["labels"],
        disable_tqdm=True,
        logging_nan_inf_filter=False,
        restore_callback_states_from_checkpoint=True,
        # TRL's trainer for distillation counts the tokens itself: it gets rows without any, and makes the answers.
        include_num_input_tokens_seen="no" if recipe.method == "distill" else "non_padding",
        report_to="none",
        dataloader_pin_memory=device.type == "cuda",
    )


def _callbacks(recipe: Recipe, report: Callable[[Progress], None] | None) -> list[TrainerCallback]:
    callbacks: list[TrainerCallback] = [_WholeHistory(), *([_Report(report)] if report else [])]
    if recipe.early_stopping_patience:
        callbacks.append(EarlyStoppingCallback(recipe.early_stopping_patience, recipe.early_stopping_threshold))
    return callbacks
