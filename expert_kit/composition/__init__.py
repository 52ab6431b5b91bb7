"""Turns adapters and weights into one adapter."""

from expert_kit.composition.cat import cat, cat_adapters
from expert_kit.composition.into_base import BaseMerge
from expert_kit.composition.merge import METHODS, Merged, merge_adapters
from expert_kit.composition.options import MergedLayer, MergeOptions
from expert_kit.composition.rules import check_in_weights, check_mix, whole_in_weights

__all__ = [
    "METHODS",
    "BaseMerge",
    "MergeOptions",
    "Merged",
    "MergedLayer",
    "cat",
    "cat_adapters",
    "check_in_weights",
    "check_mix",
    "merge_adapters",
    "whole_in_weights",
]
