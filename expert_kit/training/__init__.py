"""Turns a recipe and data into an adapter folder."""

from expert_kit.training.data import prepare_data
from expert_kit.training.outcome import TrainingResult
from expert_kit.training.recipe import Recipe, load_recipe
from expert_kit.training.sft import Progress, train

__all__ = ["Progress", "Recipe", "TrainingResult", "load_recipe", "prepare_data", "train"]
