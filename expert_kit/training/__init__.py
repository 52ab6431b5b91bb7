"""Turns a recipe and data into an adapter folder, and a table into a recipe."""

from expert_kit.training.data import prepare_data
from expert_kit.training.lr_finder import RatePoint, RateTest, check_method, find_learning_rate, write_rate_test
from expert_kit.training.new_recipe import (
    Plan,
    Splits,
    contradictions,
    given_parts,
    over_caps,
    shared_prompts,
    split_rows,
    write_recipe,
)
from expert_kit.training.outcome import TrainingResult
from expert_kit.training.recipe import Recipe, load_recipe
from expert_kit.training.run_record import RUN_FILE, has_checkpoint
from expert_kit.training.sft import Progress, train
from expert_kit.training.table import choose_columns, make_rows, read_table

__all__ = [
    "RUN_FILE",
    "Plan",
    "Progress",
    "RatePoint",
    "RateTest",
    "Recipe",
    "Splits",
    "TrainingResult",
    "check_method",
    "choose_columns",
    "contradictions",
    "find_learning_rate",
    "given_parts",
    "has_checkpoint",
    "load_recipe",
    "make_rows",
    "over_caps",
    "prepare_data",
    "read_table",
    "shared_prompts",
    "split_rows",
    "train",
    "write_rate_test",
    "write_recipe",
]
