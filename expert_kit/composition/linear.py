"""The weighted mean of deltas."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from expert_kit.adapters import LoraWeights
from expert_kit.composition.options import MergedLayer, MergeOptions
from expert_kit.composition.svd import svd
from expert_kit.errors import NotComposableError


def linear(factors: Sequence[LoraWeights], weights: Sequence[float], options: MergeOptions, random: torch.Generator) -> MergedLayer:
    """As ``svd`` with the weights divided by their sum: an average of models (model soups, arXiv:2203.05482).

    Averaging ``a`` and ``b`` each by themselves, as PEFT's ``linear`` does, would add the cross terms ``b_i @ a_j``.

    Raises:
        NotComposableError: ``weights_cancel``, the weights add up to nothing.
    """
    total = sum(weights)
    if abs(total) < 1e-6:
        raise NotComposableError("the weights add up to 0, so they have no mean", hint="use --method svd", code="weights_cancel")
    return svd(factors, [weight / total for weight in weights], options, random)
