"""Verified bytes of an adapter -> its factors, module by module."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from expert_kit.adapters.quantization import Int4Linear, Int8Linear
from expert_kit.bases import AdapterSpec, Linear
from expert_kit.errors import IncompatibleAdapterError, UnsupportedMemberError

MAGNITUDE = ".lora_magnitude_vector"
_PREFIX = "base_model.model."
_TORCH_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True, eq=False)
class Gain:
    """``y * factor + shift`` on an output of the base, both (out,) float32; the shift leaves the bias as it was."""

    factor: torch.Tensor
    shift: torch.Tensor | None

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return self.factor.nbytes + (0 if self.shift is None else self.shift.nbytes)


@dataclass(frozen=True, eq=False)
class LoraWeights:
    """Factors at one linear layer: ``a`` (r, in) and ``b`` (out, r), scaling already in ``b``, so the delta is ``b @ a``."""

    a: torch.Tensor
    b: torch.Tensor
    gain: Gain | None = None
    """DoRA: what the base's own output is multiplied by; the same factor is in ``b`` already."""

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
    data: bytes,
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
    tensors = read_tensors(data)
    targets = spec.targets(linears)
    _check_set(tensors, spec, targets)
    adapter = {}
    own = layers() if spec.use_dora and layers is not None else None
    for module, _, _ in targets:
        a, b = (tensors[f"{_PREFIX}{module}.lora_{side}.weight"] for side in "AB")
        scaled, gain = b.float() * spec.scaling_of(module), None
        if own is not None:
            gain = dora_gain(own[module], tensors[f"{_PREFIX}{module}{MAGNITUDE}"], a, scaled)
            scaled = scaled.to(device) * gain.factor[:, None]
        # A copy, so that no factor keeps the whole file in memory.
        adapter[module] = LoraWeights(a.to(device, dtype, copy=True), scaled.to(device, dtype), gain)
    if not any(factors.gain or bool(factors.b.any()) for factors in adapter.values()):
        raise IncompatibleAdapterError(
            "the adapter does nothing: all its B factors are zero", hint="train it first", code="adapter_no_effect"
        )
    return adapter


def read_tensors(data: bytes) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file as views of its bytes: nothing is copied, and nobody may write to them.

    Raises:
        IncompatibleAdapterError: ``tensor_header``. That the header is the only one for these tensors was checked at install.
    """
    try:
        start = 8 + int.from_bytes(data[:8], "little")
        header: dict[str, Any] = json.loads(data[8:start])
        header.pop("__metadata__", None)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given buffer is not writable")
            body = torch.frombuffer(data, dtype=torch.uint8, offset=start)
        return {name: _view(body, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, RuntimeError) as error:
        raise IncompatibleAdapterError(f"not the safetensors file of an adapter: {error}", code="tensor_header") from error


def _view(body: torch.Tensor, entry: Mapping[str, Any]) -> torch.Tensor:
    begin, end = entry["data_offsets"]
    return body[begin:end].view(_TORCH_DTYPES[entry["dtype"]]).view(entry["shape"])


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


def _check_set(tensors: Mapping[str, torch.Tensor], spec: AdapterSpec, targets: Sequence[Linear]) -> None:
    wanted: dict[str, tuple[int, ...]] = {}
    for module, rows, columns in targets:
        rank = spec.rank_of(module)
        wanted[f"{_PREFIX}{module}.lora_A.weight"] = (rank, columns)
        wanted[f"{_PREFIX}{module}.lora_B.weight"] = (rows, rank)
        if spec.use_dora:
            wanted[f"{_PREFIX}{module}{MAGNITUDE}"] = (rows,)
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
