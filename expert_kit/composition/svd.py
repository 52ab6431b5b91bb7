"""The weighted sum of deltas, cut to a rank."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from expert_kit.adapters import LoraWeights
from expert_kit.composition.cat import cat
from expert_kit.composition.options import MergedLayer, MergeOptions, largest_rank
from expert_kit.composition.truncation import truncate_factors


def svd(factors: Sequence[LoraWeights], weights: Sequence[float], options: MergeOptions, random: torch.Generator) -> MergedLayer:
    """The best approximation of ``sum(w_i * b_i @ a_i)`` by ``options.rank`` ranks, the largest of the parents' if not given.

    Source: PEFT ``add_weighted_adapter(combination_type="svd")``, which decomposes the dense delta instead.
    """
    wide = [LoraWeights(one.a.float(), one.b.float()) for one in factors]
    return truncate_factors(cat(wide, weights), options.rank or largest_rank(factors))
