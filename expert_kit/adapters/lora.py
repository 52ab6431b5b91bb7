"""Verified bytes of an adapter -> its factors, module by module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from expert_kit.adapters.quantization import Int4Linear, Int8Linear
from expert_kit.adapters.tensors import PREFIX, read_exactly
from expert_kit.bases import AdapterSpec, Linear
from expert_kit.errors import IncompatibleAdapterError, UnsupportedMemberError

MAGNITUDE = ".lora_magnitude_vector"


@dataclass(frozen=True, eq=False)
class Gain:
    """``base(x * reads) * factor + shift``, all float32; the shift leaves the bias as it was."""

    factor: torch.Tensor | None
    """(out,)"""
    shift: torch.Tensor | None = None
    """(out,)"""
    reads: torch.Tensor | None = None
    """(in,)"""

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        return sum(one.nbytes for one in (self.factor, self.shift, self.reads) if one is not None)


def combined(gains: Iterable[Gain]) -> Gain:
    """All of these one after another; only one alone may have a shift."""
    factor = shift = reads = None
    for gain in gains:
        factor, reads = _times(factor, gain.factor), _times(reads, gain.reads)
        shift = gain.shift if shift is None else shift
    return Gain(factor, shift, reads)


def summed(gains: Sequence[Gain], weights: Sequence[float]) -> Gain:
    """What a weighted sum of DoRA adapters does to an output: of each its difference to the base, times its weight."""
    if len(gains) == 1 and weights[0] == 1:
        return gains[0]
    factors = [gain.factor for gain in gains if gain.factor is not None]
    shifts = [weight * gain.shift for gain, weight in zip(gains, weights, strict=True) if gain.shift is not None]
    differences = torch.stack([weight * (factor - 1) for factor, weight in zip(factors, weights, strict=True)])
    return Gain(1 + differences.sum(dim=0), torch.stack(shifts).sum(dim=0) if shifts else None)


def _times(one: torch.Tensor | None, other: torch.Tensor | None) -> torch.Tensor | None:
    return other if one is None else one if other is None else one * other


@dataclass(frozen=True, eq=False)
class LoraWeights:
    """Factors at one linear layer: ``a`` (r, in) and ``b`` (out, r), scaling already in ``b``, so the delta is ``b @ a``.

    The rank is 0 where an adapter only scales.
    """

    a: torch.Tensor
    b: torch.Tensor
    gain: Gain | None = None
    """DoRA: what the base's own output is multiplied by; the same factor is in ``b`` already. IA3: all that there is."""

    @property
    def rank(self) -> int:
        """Rank of the factors."""
        return self.a.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        return self.a.nbytes + self.b.nbytes + (self.gain.nbytes if self.gain else 0)


Adapter = Mapping[str, LoraWeights]
"""Factors by module path."""


def read_lora(
    data: bytes | memoryview,
    spec: AdapterSpec,
    linears: Sequence[Linear],
    *,
    device: torch.device,
    dtype: torch.dtype,
    layers: Callable[[], Mapping[str, nn.Module]] | None = None,
) -> dict[str, LoraWeights]:
    """Read the safetensors bytes of a LoRA adapter for the base with these linear layers.

    Args:
        data: bytes that were checked against their digest.
        spec: the adapter's configuration.
        linears: of the base record; says which modules exist and their shapes.
        device: where the factors go.
        dtype: type of the factors there. The scaling is folded in float32 first.
        layers: gives the base's own linear layers by path, which DoRA needs; without it DoRA is refused.

    Raises:
        UnsupportedMemberError: DoRA without the base, or on weights that have no dense form.
        IncompatibleAdapterError: ``tensor_set_mismatch`` (a tensor is missing, left over, or of another shape or type than
            configuration and base imply) or ``adapter_no_effect`` (all B factors are zero).
    """
    if spec.use_dora and layers is None:
        raise UnsupportedMemberError(
            "a DoRA adapter has no meaning without the weights of its base here",
            hint="train the adapter with use_dora: false",
            code="kind_unsupported",
        )
    targets = spec.targets(linears)
    tensors = read_exactly(data, spec, lora_shapes(spec, targets))
    adapter = lora_of(tensors, spec, targets, device=device, dtype=dtype, layers=layers)
    if not has_effect(adapter):
        raise IncompatibleAdapterError(
            "the adapter does nothing: all its B factors are zero", hint="train it first", code="adapter_no_effect"
        )
    return adapter


def has_effect(adapter: Adapter) -> bool:
    """Whether some B factor is not zero; DoRA's magnitudes count as an effect."""
    return any(factors.gain or bool(factors.b.any()) for factors in adapter.values())


def lora_of(
    tensors: Mapping[str, torch.Tensor],
    spec: AdapterSpec,
    targets: Sequence[Linear],
    *,
    device: torch.device,
    dtype: torch.dtype,
    layers: Callable[[], Mapping[str, nn.Module]] | None,
) -> dict[str, LoraWeights]:
    """Factors from tensors of the right names and shapes, as for :func:`read_lora`; they may do nothing."""
    adapter = {}
    own = layers() if spec.use_dora and layers is not None else None
    for module, _, _ in targets:
        a, b = (tensors[f"{PREFIX}{module}.lora_{side}.weight"] for side in "AB")
        scaled, gain = b.float() * spec.scaling_of(module), None
        if own is not None:
            gain = dora_gain(own[module], tensors[f"{PREFIX}{module}{MAGNITUDE}"], a, scaled)
            assert gain.factor is not None
            scaled = scaled.to(device) * gain.factor[:, None]
        # A copy, so that no factor keeps the whole file in memory.
        adapter[module] = LoraWeights(a.to(device, dtype, copy=True), scaled.to(device, dtype), gain)
    return adapter


def dora_gain(layer: nn.Module, magnitude: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> Gain:
    """What DoRA multiplies an output by: the magnitude over the norm of each row of ``W + b @ a`` (arXiv:2402.09353).

    Raises:
        UnsupportedMemberError: ``kind_unsupported``, the weights are in a format that cannot be read.
    """
    weight = dense_weight(layer).float()
    changed = weight + b.to(weight.device) @ a.float().to(weight.device)
    factor = magnitude.float().to(weight.device) / changed.norm(dim=1)
    bias = getattr(layer, "bias", None)
    return Gain(factor, None if bias is None else bias.float() * (1 - factor))


def dense_weight(layer: nn.Module) -> torch.Tensor:
    """(out, in) of a linear layer of the base.

    Raises:
        UnsupportedMemberError: ``kind_unsupported``.
    """
    if isinstance(layer, Int8Linear | Int4Linear):
        return layer.dequantized()
    if type(layer) is nn.Linear:
        return layer.weight
    if isinstance(layer, Conv1D):
        return layer.weight.T
    raise UnsupportedMemberError(
        f"DoRA needs the weights of the base, and {type(layer).__name__} does not give them",
        hint="load the base with quantization none, int8 or int4",
        code="kind_unsupported",
    )


def lora_shapes(spec: AdapterSpec, targets: Sequence[Linear]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of LoRA or DoRA on these layers."""
    wanted: dict[str, tuple[int, ...]] = {}
    for module, rows, columns in targets:
        rank = spec.rank_of(module)
        wanted[f"{PREFIX}{module}.lora_A.weight"] = (rank, columns)
        wanted[f"{PREFIX}{module}.lora_B.weight"] = (rows, rank)
        if spec.use_dora:
            wanted[f"{PREFIX}{module}{MAGNITUDE}"] = (rows,)
    return wanted
