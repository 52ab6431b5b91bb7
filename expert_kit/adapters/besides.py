"""What an adapter is made of: factors, which lie in a slot's row of numbers, and what is kept beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from torch import nn

from expert_kit.adapters.lora import Adapter, Gain
from expert_kit.adapters.soft_prompt import SoftPrompt

_SMALLEST_RANK = 8


class SlotKind(StrEnum):
    """What an adapter does, as far as it matters for what may stand beside it."""

    SUM = "LoRA"
    """Adds to what layers say."""
    GAIN_AND_SUM = "DoRA"
    SCALE = "IA3"
    SOFT_PROMPT = "soft prompt"
    WHOLE = "layers of its own"


@dataclass(frozen=True, eq=False)
class WholeAdapter:
    """LoRA or DoRA, and layers that it has in place of the base's."""

    factors: Adapter
    layers: Mapping[str, nn.Module]
    """By module path: input embeddings, output head, or both; only their weights are their own."""


AnyAdapter = Adapter | SoftPrompt | WholeAdapter
"""What changes layers, by module path; what stands before the text; or what has layers of its own besides."""


@dataclass(frozen=True, eq=False)
class Besides:
    """What an adapter brings that is not factors; it is kept as it is."""

    gains: Mapping[str, Gain] = field(default_factory=dict)
    """By module path."""
    prompt: SoftPrompt | None = None
    layers: Mapping[str, nn.Module] = field(default_factory=dict)
    """By module path."""

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        layers = sum(layer.get_parameter("weight").nbytes for layer in self.layers.values())
        return sum(gain.nbytes for gain in self.gains.values()) + (self.prompt.nbytes if self.prompt else 0) + layers


def rank_class(adapter: AnyAdapter) -> int:
    """The power of two, 8 at least, that the largest rank of an adapter is padded to; 0 if it has no factors."""
    stacked, _ = parts_of(adapter)
    largest = max((factors.rank for factors in stacked.values()), default=0)
    return max(_SMALLEST_RANK, 1 << (largest - 1).bit_length()) if largest else 0


def parts_of(adapter: AnyAdapter) -> tuple[Adapter, Besides]:
    """Factors, and the rest."""
    if isinstance(adapter, SoftPrompt):
        return {}, Besides(prompt=adapter)
    factors, layers = (adapter.factors, adapter.layers) if isinstance(adapter, WholeAdapter) else (adapter, {})
    gains = {path: one.gain for path, one in factors.items() if one.gain}
    return {path: one for path, one in factors.items() if one.rank}, Besides(gains, layers=layers)
