"""Verified bytes of an adapter -> its factors, module by module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from expert_kit.bases import AdapterSpec, Linear
from expert_kit.errors import IncompatibleAdapterError, UnsupportedMemberError

_PREFIX = "base_model.model."
_TORCH_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True, eq=False)
class LoraWeights:
    """Factors at one linear layer: ``a`` (r, in) and ``b`` (out, r), scaling already in ``b``, so the delta is ``b @ a``."""

    a: torch.Tensor
    b: torch.Tensor

    @property
    def rank(self) -> int:
        """Rank of the factors."""
        return self.a.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of both factors."""
        return self.a.nbytes + self.b.nbytes


Adapter = Mapping[str, LoraWeights]
"""Factors by module path."""


def read_lora(
    data: bytes, spec: AdapterSpec, linears: Sequence[Linear], *, device: torch.device, dtype: torch.dtype
) -> dict[str, LoraWeights]:
    """Read the safetensors bytes of a LoRA adapter for the base with these linear layers.

    Args:
        data: bytes that were checked against their digest.
        spec: the adapter's configuration.
        linears: of the base record; says which modules exist and their shapes.
        device: where the factors go.
        dtype: type of the factors there. The scaling is folded in float32 first.

    Raises:
        UnsupportedMemberError: DoRA. IncompatibleAdapterError: ``tensor_set_mismatch`` (a tensor is missing, left over, or of
            another shape or type than configuration and base imply) or ``adapter_no_effect`` (all B factors are zero).
    """
    if spec.use_dora:
        raise UnsupportedMemberError(
            "this engine does not run DoRA adapters", hint="train the adapter with use_dora: false", code="kind_unsupported"
        )
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise IncompatibleAdapterError(f"not a safetensors file: {error}", code="tensor_header") from error
    targets = spec.targets(linears)
    _check_set(tensors, spec, targets)
    adapter = {}
    for module, _, _ in targets:
        a, b = (tensors[f"{_PREFIX}{module}.lora_{side}.weight"].float() for side in "AB")
        adapter[module] = LoraWeights(a.to(device, dtype), (b * spec.scaling_of(module)).to(device, dtype))
    if not any(bool(factors.b.any()) for factors in adapter.values()):
        raise IncompatibleAdapterError(
            "the adapter does nothing: all its B factors are zero", hint="train it first", code="adapter_no_effect"
        )
    return adapter


def _check_set(tensors: Mapping[str, torch.Tensor], spec: AdapterSpec, targets: Sequence[Linear]) -> None:
    wanted: dict[str, tuple[int, int]] = {}
    for module, rows, columns in targets:
        rank = spec.rank_of(module)
        wanted[f"{_PREFIX}{module}.lora_A.weight"] = (rank, columns)
        wanted[f"{_PREFIX}{module}.lora_B.weight"] = (rows, rank)
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    other_types = {str(tensor.dtype) for tensor in tensors.values()} - {str(_TORCH_DTYPES[spec.dtype])}
    if not wanted or found != wanted or other_types:
        differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        example = (
            f", first: {differing[0]!r}" if differing else f", tensors of type {', '.join(sorted(other_types))}" if other_types else ""
        )
        raise IncompatibleAdapterError(
            f"the adapter's tensors are not those of its configuration on this base ({len(differing)} differ of {len(wanted)}{example})",
            hint="use the base model that the adapter was made for",
            code="tensor_set_mismatch",
        )
