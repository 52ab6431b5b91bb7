"""DARE: drop entries at random and rescale the rest."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from expert_kit.adapters import LoraWeights
from expert_kit.composition.options import MergedLayer, MergeOptions, largest_rank, weighted_delta
from expert_kit.composition.truncation import truncate_delta


def dare(factors: Sequence[LoraWeights], weights: Sequence[float], options: MergeOptions, random: torch.Generator) -> MergedLayer:
    """Keep each entry of each delta with probability ``density``, divide it by that, add up; then cut to a rank.

    The expectation is the weighted sum. Source: arXiv:2311.03099.
    """
    total = torch.zeros(factors[0].b.shape[0], factors[0].a.shape[1])
    for one, weight in zip(factors, weights, strict=True):
        keep = torch.rand(total.shape, generator=random) < options.density
        total += weighted_delta(one, weight) * keep / options.density
    return truncate_delta(total, options.rank or largest_rank(factors))
