"""TIES: trim, elect a sign, merge what agrees with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from expert_kit.adapters import LoraWeights
from expert_kit.composition.options import MergedLayer, MergeOptions, largest_rank, weighted_delta
from expert_kit.composition.truncation import truncate_delta


def ties(factors: Sequence[LoraWeights], weights: Sequence[float], options: MergeOptions, random: torch.Generator) -> MergedLayer:
    """Trim each delta to its largest entries, elect a sign for each entry, average those that have it; then cut to a rank.

    The weights multiply the trimmed deltas after the election, as in PEFT. Source: arXiv:2306.01708.
    """
    trimmed = torch.stack([_trim(weighted_delta(one, 1.0), options.density) for one in factors])
    agrees = trimmed.sign() == torch.where(trimmed.sum(dim=0) >= 0, 1.0, -1.0)
    scaled = trimmed * torch.tensor(weights).view(-1, 1, 1)
    merged = (scaled * agrees).sum(dim=0) / agrees.sum(dim=0).clamp(min=1)
    return truncate_delta(merged, options.rank or largest_rank(factors))


def _trim(delta: torch.Tensor, density: float) -> torch.Tensor:
    kept = max(1, int(density * delta.numel()))
    mask = torch.zeros(delta.numel(), dtype=torch.bool)
    mask[delta.abs().flatten().topk(kept).indices] = True
    return delta * mask.view_as(delta)
