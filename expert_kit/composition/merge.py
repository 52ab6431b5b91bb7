"""Several adapters -> one new adapter, by a named method."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from expert_kit.adapters import Adapter, LoraWeights
from expert_kit.composition.cat import cat
from expert_kit.composition.dare import dare
from expert_kit.composition.linear import linear
from expert_kit.composition.options import MergedLayer, MergeOptions, Method
from expert_kit.composition.svd import svd
from expert_kit.composition.ties import ties
from expert_kit.errors import IncompatibleAdapterError, NotComposableError, UsageError


@dataclass(frozen=True, eq=False)
class Merged:
    """A merged adapter in float32 and what truncation lost, module by module."""

    adapter: dict[str, LoraWeights]
    residuals: dict[str, float]

    @property
    def residual(self) -> float:
        """The largest loss of any module, 0 to 1."""
        return max(self.residuals.values())


def _cat(factors: Sequence[LoraWeights], weights: Sequence[float], options: MergeOptions, random: torch.Generator) -> MergedLayer:
    joined = cat([LoraWeights(one.a.float(), one.b.float()) for one in factors], weights)
    if options.rank is not None and joined.rank > options.rank:
        raise NotComposableError(
            f"the exact sum has rank {joined.rank}, more than {options.rank}", hint="use --method svd, or no --rank", code="rank_too_small"
        )
    return MergedLayer(joined, 0.0)


METHODS: dict[str, Method] = {"cat": _cat, "svd": svd, "linear": linear, "ties": ties, "dare": dare}
"""Name -> method. Each keeps a module that only some parents change: the others add nothing there."""


def merge_adapters(
    adapters: Sequence[Adapter],
    weights: Sequence[float],
    method: str = "svd",
    options: MergeOptions | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Merged:
    """Merge adapters of one base.

    Args:
        adapters: factors by module, scaling in ``b``.
        weights: one per adapter, any sign.
        method: a key of ``METHODS``.
        options: see ``MergeOptions``.
        report: called with modules done and modules in all.

    Raises:
        UsageError: ``method_unknown``. NotComposableError: fewer than two adapters, a weight that is not finite, or what the
            method refuses. IncompatibleAdapterError: layer sizes differ.
    """
    if method not in METHODS:
        raise UsageError(f"unknown merge method {method!r}", hint=f"use one of {', '.join(METHODS)}", code="method_unknown")
    if len(adapters) < 2 or len(adapters) != len(weights):
        raise NotComposableError(f"a merge takes two or more adapters and as many weights, not {len(adapters)} and {len(weights)}")
    if not all(math.isfinite(weight) for weight in weights):
        raise NotComposableError(f"the weights of a merge must be finite numbers, not {list(weights)}", code="weight_invalid")
    options = options or MergeOptions()
    modules = sorted({module for adapter in adapters for module in adapter})
    layers: dict[str, MergedLayer] = {}
    for module in modules:
        layers[module] = _merge_layer(module, adapters, weights, METHODS[method], options)
        if report:
            report(len(layers), len(modules))
    return Merged({name: one.weights for name, one in layers.items()}, {name: one.residual for name, one in layers.items()})


def _merge_layer(module: str, adapters: Sequence[Adapter], weights: Sequence[float], method: Method, options: MergeOptions) -> MergedLayer:
    there = [adapter[module] for adapter in adapters if module in adapter]
    if len({(one.a.shape[1], one.b.shape[0]) for one in there}) != 1:
        raise IncompatibleAdapterError(f"{module} differs in size: the adapters are for different bases", code="layer_sizes_differ")
    absent = LoraWeights(torch.zeros(1, there[0].a.shape[1]), torch.zeros(there[0].b.shape[0], 1))
    factors = [adapter.get(module, absent) for adapter in adapters]
    # Numbers of its own for every module, so that their order is no matter.
    seed = int.from_bytes(hashlib.sha256(f"{options.seed}/{module}".encode()).digest()[:8], "big") >> 1
    return method(factors, weights, options, torch.Generator().manual_seed(seed))
