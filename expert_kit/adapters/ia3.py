"""IA3: what a layer says, or what it reads, times a learned vector (arXiv:2205.05638)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from expert_kit.adapters.lora import Gain, LoraWeights
from expert_kit.adapters.tensors import PREFIX, read_exactly
from expert_kit.bases import AdapterSpec, Linear
from expert_kit.errors import IncompatibleAdapterError


def read_ia3(
    data: bytes | memoryview, spec: AdapterSpec, linears: Sequence[Linear], *, device: torch.device, dtype: torch.dtype
) -> dict[str, LoraWeights]:
    """Read the safetensors bytes of an IA3 adapter; arguments as for ``read_lora``.

    Returns:
        For each target factors of rank 0 and a gain in float32, on the output with its bias, or on the input.

    Raises:
        IncompatibleAdapterError: ``tensor_set_mismatch``; ``adapter_no_effect``, all scales are 1.
    """
    targets = spec.targets(linears)
    wanted = {f"{PREFIX}{module}.ia3_l": (1, columns) if spec.scales_input(module) else (rows, 1) for module, rows, columns in targets}
    tensors = read_exactly(data, spec, wanted)
    adapter = {}
    for module, rows, columns in targets:
        scale = tensors[f"{PREFIX}{module}.ia3_l"].flatten().to(device, torch.float32, copy=True)
        gain = Gain(None, reads=scale) if spec.scales_input(module) else Gain(scale)
        a, b = (torch.zeros(shape, device=device, dtype=dtype) for shape in ((0, columns), (rows, 0)))
        adapter[module] = LoraWeights(a, b, gain)
    if all(bool((scale == 1).all()) for scale in tensors.values()):
        raise IncompatibleAdapterError("the adapter does nothing: all its scales are 1", hint="train it first", code="adapter_no_effect")
    return adapter
