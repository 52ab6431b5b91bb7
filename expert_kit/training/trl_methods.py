"""Preference optimisation and distillation with TRL's trainers, on our rows, our chat template and our run folder.

TRL is an extra, ``expert-kit[methods]``. Its trainers would tokenise with the plain chat template, in which a user's text can hold
control tokens; here they get the ids that inference makes of the same text.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback

from expert_kit.adapters import BaseModel, answer_ids, chat_ids
from expert_kit.curation import read_rows
from expert_kit.errors import CheckUnavailableError, RecipeError
from expert_kit.training.data import tell_left_out
from expert_kit.training.kinds import peft_config
from expert_kit.training.recipe import Recipe
from expert_kit.training.trainer import refuse_not_finite

Files = dict[str, Path]
"""``train`` and ``validation``."""


def check_trl() -> None:
    """Refuse before anything is loaded.

    Raises:
        CheckUnavailableError: ``trl_missing``.
    """
    if importlib.util.find_spec("trl") is None:
        hint = "pip install 'expert-kit[methods]'"
        raise CheckUnavailableError("methods dpo and distill run on TRL, which is not installed", hint=hint, code="trl_missing")


@contextmanager
def trl_trainer(
    recipe: Recipe, base: BaseModel, teacher: BaseModel | None, files: Files, arguments: dict[str, Any], callbacks: list[TrainerCallback]
) -> Iterator[Any]:
    """A trainer for ``dpo`` or ``distill``; afterwards the base is what it was.

    Args:
        recipe: of that method.
        base: its model gets the adapter, and a head of TRL's, for the time of the block.
        teacher: for ``distill``: another model with the same tokens.
        files: rows with prompt, chosen and rejected for ``dpo``; of ``distill`` the prompts alone count.
        arguments: of ``TrainingArguments``.
        callbacks: ours.

    Raises:
        RecipeError: the base has no such target modules, or the teacher has other tokens. DataError: bad rows.
    """
    check_trl()
    trainer = None
    own = dict(vars(base.model))
    try:
        try:
            trainer = _METHODS[recipe.method](recipe, base, teacher, files, arguments, [*callbacks, _RefuseNotFinite()])
        except ValueError as error:
            raise RecipeError(f"method: {recipe.method} does not work on {recipe.model_name_or_path}: {error}") from error
        trainer.remove_callback(PrinterCallback)
        yield trainer
    finally:
        if trainer is not None:
            trainer.model.unload()
        for name in vars(base.model).keys() - own.keys():
            delattr(base.model, name)
        vars(base.model).update(own)


class _RefuseNotFinite(TrainerCallback):
    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        for name in ("loss", "eval_loss"):
            if name in (logs or {}):
                refuse_not_finite("loss", (logs or {})[name], state.global_step)


def _dpo(recipe: Recipe, base: BaseModel, _: BaseModel | None, files: Files, arguments: dict[str, Any], callbacks: Any) -> Any:
    """Direct preference optimisation, arXiv:2305.18290; the reference is the base without the adapter."""
    from trl import DPOConfig, DPOTrainer

    class OurIds(DPOTrainer):
        def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
            return dataset

    rows = {name: _preferences(path, base.tokenizer, recipe.max_length) for name, path in files.items()}
    return OurIds(
        model=base.model,
        args=DPOConfig(**_options(recipe, arguments), max_length=None),
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        processing_class=base.tokenizer,
        peft_config=peft_config(recipe, base.model),
        callbacks=callbacks,
    )


def _distill(recipe: Recipe, base: BaseModel, teacher: BaseModel | None, files: Files, arguments: dict[str, Any], callbacks: Any) -> Any:
    """On-policy distillation, arXiv:2306.13649: the student answers, and learns what the teacher thinks of every token."""
    from trl import DistillationConfig, DistillationTrainer

    class OurIds(DistillationTrainer):
        def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            return [_asked(base.tokenizer, prompt) for prompt in prompts], None, {}

    assert teacher is not None
    mine, theirs = base.record.fingerprint, teacher.record.fingerprint
    if (mine.tokenizer_sha256, mine.vocab_size) != (theirs.tokenizer_sha256, theirs.vocab_size):
        raise RecipeError(f"teacher: {recipe.teacher} has other tokens than {recipe.model_name_or_path}", code="teacher_tokens")
    rows = {name: _prompts(path, base.tokenizer, recipe.max_length) for name, path in files.items()}
    return OurIds(
        model=base.model,
        teacher_model=teacher.model,
        args=DistillationConfig(**_options(recipe, arguments), max_completion_length=recipe.max_completion_length),
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        processing_class=base.tokenizer,
        peft_config=peft_config(recipe, base.model),
        callbacks=callbacks,
    )


_METHODS: dict[str, Callable[..., Any]] = {"dpo": _dpo, "distill": _distill}


def _options(recipe: Recipe, arguments: dict[str, Any]) -> dict[str, Any]:
    options = {**arguments, "gradient_checkpointing": False}
    if arguments["train_sampling_strategy"] == "group_by_length":
        options["train_sampling_strategy"] = "random"  # our grouping goes by a column that these rows do not have
    return options | ({"beta": recipe.beta} if recipe.beta is not None else {})


def _asked(tokenizer: Any, prompt: str) -> list[int]:
    return chat_ids(tokenizer, [{"role": "user", "content": prompt}])


def _preferences(path: Path, tokenizer: Any, max_length: int) -> Dataset:
    columns: dict[str, list[list[int]]] = {"prompt_ids": [], "chosen_ids": [], "rejected_ids": []}
    answer = partial(answer_ids, tokenizer)
    rows = read_rows(path, ("prompt", "chosen", "rejected"))
    for row in rows:
        ids = (_asked(tokenizer, row["prompt"]), answer(row["chosen"]), answer(row["rejected"]))
        if len(ids[0]) + max(map(len, ids[1:])) <= max_length:
            for column, found in zip(columns.values(), ids, strict=True):
                column.append(found)
    tell_left_out(path, len(rows) - len(columns["prompt_ids"]), len(rows), max_length)
    return Dataset.from_dict(columns)


def _prompts(path: Path, tokenizer: Any, max_length: int) -> Dataset:
    prompts = [row["prompt"] for row in read_rows(path, ("prompt",))]
    kept = [prompt for prompt in prompts if len(_asked(tokenizer, prompt)) <= max_length]
    tell_left_out(path, len(prompts) - len(kept), len(prompts), max_length)
    return Dataset.from_dict({"prompt": kept})
