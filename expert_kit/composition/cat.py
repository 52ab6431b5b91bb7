"""Exact weighted sum of adapters, by stacking their factors along the rank."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from expert_kit.adapters import Adapter, Gain, LoraWeights, combined, summed
from expert_kit.composition.rules import scale_error
from expert_kit.errors import IncompatibleAdapterError, NotComposableError


def cat(adapters: Sequence[LoraWeights], weights: Sequence[float]) -> LoraWeights:
    """Join factors of one layer along the rank axis; equals the weighted sum of their deltas.

    Args:
        adapters: factors ``a`` (r_i, in) and ``b`` (out, r_i) with scaling in ``b``, all of one dtype and device; those of DoRA with
            a gain, which has its part in the sum. Or all of rank 0, which only scale: their gains are multiplied.
        weights: one per adapter, any sign, not normalised here.

    Returns:
        ``a`` (sum r_i, in), ``b`` (out, sum r_i): ``b @ a == sum(w_i * b_i @ a_i)`` up to rounding.

    Raises:
        IncompatibleAdapterError: no adapters, or in or out sizes differ. NotComposableError: a weight is not finite;
            ``ia3_in_mix``, what only scales has another weight than 1 or stands beside something else.

    Source: PEFT ``add_weighted_adapter(combination_type="cat")``; LoRA, arXiv:2106.09685.
    """
    if not adapters or len({(factors.a.shape[1], factors.b.shape[0]) for factors in adapters}) != 1:
        raise IncompatibleAdapterError(f"cannot join {len(adapters)} adapters of different layer sizes")
    if any(_only_scales(one) for one in adapters):
        if not all(_only_scales(one) and weight == 1 for one, weight in zip(adapters, weights, strict=True)):
            raise scale_error()
        return LoraWeights(adapters[0].a, adapters[0].b, combined(one.gain for one in adapters if one.gain))
    if not all(math.isfinite(weight) for weight in weights):
        raise NotComposableError(f"the weights of a mix must be finite numbers, not {list(weights)}")
    return LoraWeights(
        a=torch.cat([factors.a for factors in adapters]),
        b=torch.cat([factors.b * weight for factors, weight in zip(adapters, weights, strict=True)], dim=1),
        gain=_summed_gain(adapters, weights),
    )


def _only_scales(one: LoraWeights) -> bool:
    return one.gain is not None and one.rank == 0


def _summed_gain(adapters: Sequence[LoraWeights], weights: Sequence[float]) -> Gain | None:
    found = [(one.gain, weight) for one, weight in zip(adapters, weights, strict=True) if one.gain]
    return summed([gain for gain, _ in found], [weight for _, weight in found]) if found else None


def cat_adapters(adapters: Sequence[Adapter], weights: Sequence[float]) -> dict[str, LoraWeights]:
    """Join whole adapters; a module that only some of them change gets the sum over those.

    Raises:
        see :func:`cat`.
    """
    if len(adapters) != len(weights):
        raise NotComposableError(f"{len(adapters)} adapters but {len(weights)} weights")
    modules = sorted({module for adapter in adapters for module in adapter})
    joined = {}
    for module in modules:
        present = [(adapter[module], weight) for adapter, weight in zip(adapters, weights, strict=True) if module in adapter]
        joined[module] = cat([factors for factors, _ in present], [weight for _, weight in present])
    return joined
