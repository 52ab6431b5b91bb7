"""Verified bytes of an adapter -> its tensors, exactly those that its configuration implies on this base."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from expert_kit.bases import AdapterSpec
from expert_kit.errors import IncompatibleAdapterError

PREFIX = "base_model.model."
_TORCH_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def read_tensors(data: bytes | memoryview) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file as views of its bytes: nothing is copied, and nobody may write to them.

    Raises:
        IncompatibleAdapterError: ``tensor_header``. That the header is the only one for these tensors was checked at install.
    """
    try:
        start = 8 + int.from_bytes(data[:8], "little")
        body = _from(data, start)
        # Each entry becomes its tensor as it is read. A thousand entries that wait for that would set off the garbage
        # collector, which then looks through all that torch has imported: several times as long as the rest of this.
        tensors: dict[str, torch.Tensor] = json.loads(bytes(data[8:start]), object_hook=partial(_view, body, {}))
        tensors.pop("__metadata__", None)
        if not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
            raise ValueError("an entry of the header is no tensor")
        return tensors
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, RuntimeError) as error:
        raise IncompatibleAdapterError(f"not the safetensors file of an adapter: {error}", code="tensor_header") from error


def read_exactly(data: bytes | memoryview, spec: AdapterSpec, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """The same, if these are their names and shapes.

    Raises:
        IncompatibleAdapterError: ``tensor_header``; ``tensor_set_mismatch``, a tensor is missing, left over, or of another shape or type.
    """
    tensors = read_tensors(data)
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
    return tensors


def _from(data: bytes | memoryview, start: int) -> torch.Tensor:
    if not memoryview(data).readonly:
        return torch.frombuffer(data, dtype=torch.uint8, offset=start)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given buffer is not writable")
        return torch.frombuffer(data, dtype=torch.uint8, offset=start)


def _view(body: torch.Tensor, typed: dict[torch.dtype, torch.Tensor], entry: dict[str, Any]) -> torch.Tensor | dict[str, Any]:
    if not isinstance(entry.get("dtype"), str):
        return entry  # the header itself, or its metadata
    dtype, shape, (begin, end) = _TORCH_DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    size = dtype.itemsize
    if begin % size or end - begin != math.prod(shape) * size:
        raise ValueError("the place of a tensor does not fit its shape")
    if dtype not in typed:
        typed[dtype] = body[: body.numel() // size * size].view(dtype)
    # One call of torch for each tensor: there are hundreds, and slices of slices take three times as long.
    strides = [1] if shape else []
    for extent in shape[:0:-1]:
        strides.insert(0, strides[0] * extent)
    return typed[dtype].as_strided(shape, strides, begin // size)
