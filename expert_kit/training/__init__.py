"""Turns a recipe and data into an adapter folder, and a table into a recipe."""

from expert_kit.training.data import prepare_data
from expert_kit.training.new_recipe import Plan, Splits, contradictions, given_parts, shared_prompts, split_rows, write_recipe
from expert_kit.training.outcome import TrainingResult
from expert_kit.training.recipe import Recipe, load_recipe
from expert_kit.training.sft import Progress, train
from expert_kit.training.table import choose_columns, make_rows, read_table

__all__ = [
    "Plan",
    "Progress",
    "Recipe",
    "Splits",
    "TrainingResult",
    "choose_columns",
    "contradictions",
    "given_parts",
    "load_recipe",
    "make_rows",
    "prepare_data",
    "read_table",
    "shared_prompts",
    "split_rows",
    "train",
    "write_recipe",
]
