"""Smaller weights for the frozen base: which formats there are, and our two weight-only ones.

``int8`` and ``int4`` keep the linear layers in PyTorch's own packed formats (CPU kernels ``_weight_int8pack_mm`` and
``_weight_int4pack_mm_for_cpu``); ``bnb-8bit`` and ``bnb-4bit`` are the layers of bitsandbytes. The packed kernels are made for
bfloat16 and many times slower in float32, so they get and give that, whatever type the rest of the model has.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from expert_kit.errors import UsageError

INT4_GROUP = 32
"""Input columns that share a scale; divides the layer sizes of all known bases (576 is no multiple of 128)."""


_EXPANDED_ROWS = 32
"""From so many rows a processor without matrix units is faster with the weights as float32 than with the packed kernel."""
_INT8_WIDTH = 16
"""Layer widths must be multiples of it: the packed kernel reads so many columns at once, also beyond the end."""
_FINE = 254
"""Fine steps in a coarse one: what rounding leaves is half a coarse step at most, which is then 127."""


def has_matrix_units() -> bool:
    """Whether the processor multiplies bfloat16 in units of its own (AMX)."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


_MATRIX_UNITS = has_matrix_units()
_INTEGER_PRODUCTS = bool(torch.cpu.get_capabilities().get("avx512_vnni"))
"""Whether the processor sums products of whole numbers of 8 bits in one instruction (VNNI)."""


@dataclass(frozen=True)
class Quantization:
    """One format: extra arguments of ``from_pretrained``, then what to do with the loaded model."""

    load_options: Callable[[torch.device, torch.dtype], dict[str, Any]]
    convert: Callable[[Any], Any]
    dtype: str | None = None
    """What its kernels want the whole model to be; ``None`` leaves it to the device."""


class Int8Linear(nn.Module):
    """Weight-only int8, one scale per output row, symmetric. ``weight`` (out, in) int8, ``scales`` (out,) bfloat16."""

    weight: torch.Tensor
    scales: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        _check_width(linear, _INT8_WIDTH, "int8", "use --quantization none")
        scales = (linear.weight.float().abs().amax(dim=1) / 127).clamp(min=1e-8).bfloat16()
        self.register_buffer("weight", (linear.weight.float() / scales.float()[:, None]).round().clamp(-127, 127).to(torch.int8))
        self.register_buffer("scales", scales)
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        y = _int8_product(x.reshape(-1, self.in_features), self.weight, self.scales)
        y = y.to(x.dtype).view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias

    def dequantized(self) -> torch.Tensor:
        """The weight (out, in) that the layer stands for, float32."""
        return self.weight.float() * self.scales.float()[:, None]


def _int8_product(x: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """(n, in) times int8 (out, in) and its scales (out,) -> (n, out).

    Whole-number products do not depend on how many rows there are, so that a row says the same alone and in company.
    """
    if _INTEGER_PRODUCTS and not _MATRIX_UNITS:
        return _split_product(x, weight).mul_(scales)
    if len(x) >= _EXPANDED_ROWS and not _MATRIX_UNITS:
        return nn.functional.linear(x.float(), weight.float()).mul_(scales)
    return torch.ops.aten._weight_int8pack_mm(x.bfloat16(), weight, scales)


def _split_product(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(n, in) times int8 (out, in) -> (n, out) float32, with each row of ``x`` as two rows of whole numbers, coarse and fine.

    Together they keep 15 bits below a row's largest number, so that only the weights are rounded to 8 bits; the weights are read once.
    """
    x = x.float()
    step = x.abs().amax(dim=1, keepdim=True).div_(127).clamp_(min=torch.finfo(torch.float32).tiny)
    exact = x / step
    coarse = exact.round()
    fine = exact.sub_(coarse).mul_(_FINE)
    levels = torch.cat([coarse, fine.round_()]).to(torch.int8)
    sums = torch._int_mm(levels, weight.t()).float()
    return torch.add(sums[: len(x)], sums[len(x) :], alpha=1 / _FINE).mul_(step)


class Int4Linear(nn.Module):
    """Weight-only int4 in groups of ``INT4_GROUP`` input columns, with scale and zero point each."""

    packed: torch.Tensor
    scales_and_zeros: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        _check_width(linear, INT4_GROUP, "int4", "use --quantization int8")
        groups = linear.weight.float().reshape(self.out_features, -1, INT4_GROUP)
        low, high = groups.amin(dim=2), groups.amax(dim=2)
        scales = ((high - low) / 15).clamp(min=1e-6).bfloat16().float()
        # The kernel computes (q - 8) * scale + zero.
        zeros = (low + 8 * scales).bfloat16().float()
        levels = ((groups - zeros[..., None]) / scales[..., None]).round().add(8).clamp(0, 15).to(torch.int32)
        self.register_buffer(
            "packed", torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels.reshape(self.out_features, -1).contiguous(), 1)
        )
        both = torch.stack([scales, zeros], dim=2).transpose(0, 1).contiguous()
        self.register_buffer("scales_and_zeros", both.bfloat16())
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        flat = x.reshape(-1, self.in_features).bfloat16()
        y = torch.ops.aten._weight_int4pack_mm_for_cpu(flat, self.packed, INT4_GROUP, self.scales_and_zeros)
        y = y.to(x.dtype).view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias

    def dequantized(self) -> torch.Tensor:
        """The weight (out, in) that the layer stands for, float32: the layer applied to the unit vectors."""
        unit = torch.eye(self.in_features, dtype=torch.bfloat16)
        return torch.ops.aten._weight_int4pack_mm_for_cpu(unit, self.packed, INT4_GROUP, self.scales_and_zeros).float().T.contiguous()


def _check_width(linear: nn.Linear, multiple: int, name: str, hint: str) -> None:
    if linear.in_features % multiple:
        message = f"{name} needs layer widths that are multiples of {multiple}, not {linear.in_features}"
        raise UsageError(message, hint=hint, code="quantization_shape")


def fused_linear(layers: Sequence[nn.Module]) -> nn.Module | None:
    """One layer with the outputs of all, side by side; the layers go on as views of its weights. ``None`` if their kind cannot."""
    kinds, biases = {type(layer) for layer in layers}, [getattr(layer, "bias", None) for layer in layers]
    if len(kinds) != 1 or kinds.isdisjoint((nn.Linear, Int8Linear)) or any((bias is None) != (biases[0] is None) for bias in biases):
        return None
    fused: Any = copy.copy(layers[0])
    fused.__dict__.update(_parameters=dict(fused._parameters), _buffers=dict(fused._buffers))
    sizes = [len(layer.get_buffer("weight") if isinstance(layer, Int8Linear) else layer.get_parameter("weight")) for layer in layers]
    fused.out_features = sum(sizes)
    for name in ("weight", "scales", "bias"):
        if isinstance(getattr(fused, name, None), torch.Tensor):
            whole = torch.cat([getattr(layer, name) for layer in layers])
            for layer, part in zip([*layers, fused], [*whole.split(sizes), whole], strict=True):
                _set_tensor(layer, name, part)
    return fused


def _set_tensor(layer: nn.Module, name: str, value: torch.Tensor) -> None:
    is_parameter = isinstance(getattr(layer, name), nn.Parameter)
    setattr(layer, name, nn.Parameter(value, requires_grad=False) if is_parameter else value)


def _nothing(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    return {}


def _packed_on_cpu(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    if device.type != "cpu":
        raise UsageError(
            f"int8 and int4 run on the CPU, not on {device.type}",
            hint="use --quantization bnb-8bit or bnb-4bit",
            code="quantization_device",
        )
    return {}


def _bitsandbytes(bits: int) -> Callable[[torch.device, torch.dtype], dict[str, Any]]:
    def options(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
        if importlib.util.find_spec("bitsandbytes") is None:
            raise UsageError("bitsandbytes is not installed", hint='pip install "expert-kit[quant]"', code="quantization_missing")
        from transformers import BitsAndBytesConfig

        config = BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8, bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_type="nf4")
        return {"quantization_config": config, "device_map": {"": str(device)}}

    return options


def _replace_linears(layer: type[Int8Linear] | type[Int4Linear]) -> Callable[[Any], Any]:
    def convert(model: Any) -> Any:
        head = model.get_output_embeddings()
        linears = [(name, module) for name, module in model.named_modules() if type(module) is nn.Linear and module is not head]
        for name, linear in linears:
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, layer(linear))
        if type(head) is nn.Linear:
            # The largest matrix of a small model, read whole for every token. The embeddings stay as they are, also where they shared it.
            model.set_output_embeddings(Int8Linear(head))
        return model

    return convert


def _unchanged(model: Any) -> Any:
    return model


QUANTIZATIONS: dict[str, Quantization] = {
    "none": Quantization(_nothing, _unchanged),
    "int8": Quantization(_packed_on_cpu, _replace_linears(Int8Linear)),
    "int4": Quantization(_packed_on_cpu, _replace_linears(Int4Linear)),
    "bnb-8bit": Quantization(_bitsandbytes(8), _unchanged, dtype="bfloat16"),
    "bnb-4bit": Quantization(_bitsandbytes(4), _unchanged, dtype="bfloat16"),
}
