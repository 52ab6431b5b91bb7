"""The learning-rate range test: a short training whose rate grows until the loss goes up.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186, section 3.3. There the rate grows linearly and the
accuracy is read off by eye; here it grows geometrically, over all rates that adapters are trained with, and the loss is read by rule.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback, TrainingArguments, set_seed

from expert_kit.adapters import BaseModel
from expert_kit.errors import DataError, RecipeError, TrainingError
from expert_kit.training.data import PadRight, encode_file
from expert_kit.training.faults import within_memory, writing
from expert_kit.training.plot import write_rate_curve
from expert_kit.training.recipe import Recipe
from expert_kit.training.run_record import write_text
from expert_kit.training.sft import Progress, adapter_in, options_of
from expert_kit.training.trainer import CompletionTrainer

LOWEST, HIGHEST, STEPS = 1e-5, 10.0, 100
"""LoRA learns at about 1e-3, IA3 at 1e-2, a soft prompt at 1e-1; a step grows the rate by 15 %."""
_FEWEST_BATCHES = 10
_SETTLED = 10
"""Steps whose mean loss is that of the beginning; rates are still too small to learn anything."""
_WIDTH = 2.5
"""Of the bell that smooths the losses, in steps."""
_LEAST_FALL = 0.02
"""Fraction of the loss at the beginning; less is noise."""


@dataclass(frozen=True)
class RatePoint:
    """One step of the test."""

    learning_rate: float
    loss: float
    """Of the next batch, the first one that feels this rate."""
    smoothed: float


@dataclass(frozen=True)
class RateTest:
    """What the test has found."""

    suggestion: float
    """``tenth_of_lowest`` if the loss went up again: where training breaks depends on adapter and data, but where the loss falls fastest
    also on what is learned first (how answers look), and one unlucky batch moves it. Otherwise ``steepest``, since the lowest loss is
    then only that of the longest training; a soft prompt bears any rate, because norms follow it."""
    steepest: float
    """Where the loss falls fastest."""
    tenth_of_lowest: float
    """A tenth of the rate at which the loss was lowest, from where on it goes up."""
    diverged: bool
    """Whether the loss went up before the rates were through."""
    seconds: float
    points: list[RatePoint]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def find_learning_rate(recipe: Recipe, folder: Path, base: BaseModel, *, report: Callable[[Progress], None] | None = None) -> RateTest:
    """Train an adapter over a growing rate on the recipe's own rows, and throw it away; nothing is written.

    The recipe's kind of adapter, batches, seed, clipping and weight decay count; its ``learning_rate``, schedule, epochs and evaluations
    do not.

    Args:
        recipe: of ``method: sft``.
        folder: what the paths in the recipe are relative to.
        base: comes out as it went in.
        report: called after each step, with the loss.

    Raises:
        RecipeError: ``lr_finder_method``, or the base has no such target modules. DataError: ``lr_finder_rows``, or bad rows.
        TrainingError: ``lr_finder_no_descent``. CapacityError: out of memory.
    """
    check_method(recipe)
    started = time.monotonic()
    rows = encode_file(folder / recipe.dataset.train, base.tokenizer, recipe.max_length)
    batch = recipe.per_device_train_batch_size * recipe.gradient_accumulation_steps
    if len(rows) < _FEWEST_BATCHES * batch:
        raise DataError(
            f"{len(rows)} rows are {len(rows) // batch} batches of {batch}, too few to tell learning rates apart",
            hint=f"the learning-rate finder needs {_FEWEST_BATCHES}; add rows, or try --set per_device_train_batch_size=1",
            code="lr_finder_rows",
        )
    set_seed(recipe.seed)
    losses = _Losses(report)
    with within_memory(), TemporaryDirectory() as unused, adapter_in(recipe, folder, base) as model:
        trainer = _RangeTrainer(
            model=model,
            args=TrainingArguments(**_arguments(recipe, Path(unused), base)),
            train_dataset=_without_lengths(rows),
            data_collator=PadRight(base.tokenizer.pad_token_id),
            callbacks=[losses],
        )
        trainer.remove_callback(PrinterCallback)
        try:
            trainer.train()
        except TrainingError as error:
            if error.code != "loss_not_finite":
                raise
            losses.diverged = True
    return _judge(losses.values, diverged=losses.diverged, seconds=round(time.monotonic() - started, 1))


def check_method(recipe: Recipe) -> None:
    """Refuse before anything is loaded.

    Raises:
        RecipeError: ``lr_finder_method``.
    """
    if recipe.method != "sft":
        raise RecipeError(
            f"the learning-rate finder trains with method: sft, and the recipe has method: {recipe.method}",
            hint="name the rate yourself with --set learning_rate=1.0e-5",
            code="lr_finder_method",
        )


def _arguments(recipe: Recipe, folder: Path, base: BaseModel) -> dict[str, Any]:
    # Batches of like rows come longest first, and a fall of the loss over them would be that of their lengths.
    sampling = "random" if recipe.train_sampling_strategy == "group_by_length" else recipe.train_sampling_strategy
    changes = {"learning_rate": 1.0, "max_steps": STEPS + 1, "logging_steps": 1, "eval_strategy": "no", "early_stopping_patience": 0}
    arguments = options_of(recipe.model_copy(update={**changes, "train_sampling_strategy": sampling}), folder, base)
    return {**arguments, "save_strategy": "no", "dataloader_drop_last": True}


def _without_lengths(rows: Dataset) -> Dataset:
    return rows.remove_columns("length")


class _RangeTrainer(CompletionTrainer):
    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """The Trainer's, with the growing rate for the recipe's schedule."""
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, _rate)
        return self.lr_scheduler


def _rate(step: int) -> float:
    return LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))


class _Losses(TrainerCallback):
    """Keeps the loss of each step, and stops the test where it goes up."""

    def __init__(self, report: Callable[[Progress], None] | None) -> None:
        self.report = report
        self.values: list[float] = []
        self.diverged = False

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if logs is None or "loss" not in logs:
            return
        self.values.append(logs["loss"])
        self.diverged = _has_diverged(self.values)
        control.should_training_stop |= self.diverged
        if self.report is not None:
            self.report(Progress(state.global_step - 1, STEPS, {"loss": logs["loss"], "learning_rate": _rate(state.global_step - 1)}))


def _has_diverged(losses: Sequence[float]) -> bool:
    """Whether the loss has taken back half of its fall, and is half as large again as its lowest."""
    if len(losses) <= _SETTLED:
        return False
    smoothed = smooth(losses)
    return smoothed[-1] > max((_beginning(losses) + min(smoothed)) / 2, 1.5 * min(smoothed))


def _beginning(losses: Sequence[float]) -> float:
    return sum(losses[:_SETTLED]) / len(losses[:_SETTLED])


def smooth(losses: Sequence[float]) -> list[float]:
    """Means under a bell around each step. Unlike a running mean they do not lag, and so do not move a fall to higher rates."""
    count = len(losses)
    bells = [[math.exp(-(((i - j) / _WIDTH) ** 2) / 2) for j in range(count)] for i in range(count)]
    return [sum(weight * loss for weight, loss in zip(bell, losses, strict=True)) / sum(bell) for bell in bells]


def _judge(losses: Sequence[float], *, diverged: bool, seconds: float) -> RateTest:
    """Read the rates off the losses; each loss is that of the rate before it.

    Raises:
        TrainingError: ``lr_finder_no_descent``.
    """
    smoothed = smooth(losses)[1:]
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__, default=0)
    if not smoothed or lowest == 0 or smoothed[lowest] > (1 - _LEAST_FALL) * _beginning(losses):
        raise TrainingError(
            f"the loss did not fall at any learning rate from {LOWEST:g} to {_rate(max(len(losses) - 1, 0)):.2g}",
            hint="look the rows over with: expert-kit dataset check",
            code="lr_finder_no_descent",
        )
    falls = [smoothed[i - 1] - smoothed[i + 1] if i < lowest else 0.0 for i in range(1, lowest + 1)]
    steepest = _rate(1 + max(range(len(falls)), key=falls.__getitem__))
    tenth = _rate(lowest) / 10
    points = [RatePoint(_rate(step), loss, mean) for step, (loss, mean) in enumerate(zip(losses[1:], smoothed, strict=True))]
    return RateTest(tenth if diverged else steepest, steepest, tenth, diverged, seconds, points)


def write_rate_test(found: RateTest, output: Path) -> None:
    """Write ``lr_finder.json`` and ``lr_finder.png`` into a folder, which is made.

    Raises:
        CapacityError: they could not be written.
    """
    with writing(f"the learning-rate test into {output}"):
        output.mkdir(parents=True, exist_ok=True)
        marks = {"steepest": found.steepest, "a tenth of the lowest": found.tenth_of_lowest}
        write_rate_curve([asdict(point) for point in found.points], marks, output / "lr_finder.png")
        write_text(output / "lr_finder.json", json.dumps(found.to_json(), indent=2) + "\n")
