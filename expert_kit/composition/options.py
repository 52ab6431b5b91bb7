"""What a merge method may be told, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from expert_kit.adapters import LoraWeights
from expert_kit.errors import UsageError


@dataclass(frozen=True)
class MergeOptions:
    """Options of a merge; a method ignores those that it has no use for."""

    rank: int | None = None
    """Of the result, at most; ``None`` is the method's own: the sum of the ranks, or their maximum where the result is not low-rank."""
    density: float = 0.5
    """Share of a delta's entries that ``ties`` and ``dare`` keep, above 0 to 1."""
    seed: int = 0
    """Of what ``dare`` drops."""

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            UsageError: ``merge_range``.
        """
        if self.rank is not None and not 1 <= self.rank <= 512:
            raise UsageError(f"rank={self.rank} is out of range", hint="allowed: 1 to 512", code="merge_range")
        if not 0 < self.density <= 1:
            raise UsageError(f"density={self.density} is out of range", hint="allowed: above 0 to 1", code="merge_range")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"seed={self.seed} is out of range", hint="allowed: 0 to 2**63 - 1", code="merge_range")


@dataclass(frozen=True, eq=False)
class MergedLayer:
    """The result at one layer."""

    weights: LoraWeights
    residual: float
    """Norm of what truncation lost, over the norm of the method's exact result: 0 is exact, 1 is all."""


Method = Callable[[Sequence[LoraWeights], Sequence[float], MergeOptions, torch.Generator], MergedLayer]
"""Factors of one layer, a weight for each, options, and this layer's random numbers -> the merged layer, in float32."""


def largest_rank(factors: Sequence[LoraWeights]) -> int:
    """The rank that a result gets if nobody chose one."""
    return max(one.rank for one in factors)


def weighted_delta(one: LoraWeights, weight: float) -> torch.Tensor:
    """(out, in) float32 delta of one adapter."""
    return weight * (one.b.float() @ one.a.float())
