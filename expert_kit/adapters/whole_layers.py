"""Embeddings and output heads that an adapter has of its own (PEFT's ``modules_to_save``), row by row of a batch."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from expert_kit.adapters.base_model import BaseModel
from expert_kit.adapters.besides import WholeAdapter
from expert_kit.adapters.lora import has_effect, lora_of, lora_shapes
from expert_kit.adapters.plans import ACTIVE
from expert_kit.adapters.slots import base_layers
from expert_kit.adapters.tensors import PREFIX, read_exactly
from expert_kit.bases import AdapterSpec
from expert_kit.errors import IncompatibleAdapterError, UnsupportedMemberError

_PREPARING = threading.Lock()


def read_whole(data: bytes | memoryview, spec: AdapterSpec, base: BaseModel) -> WholeAdapter:
    """Read the safetensors bytes of a LoRA adapter with whole layers; from then on the base's own ones ask the plan in force.

    Args:
        data: bytes that were checked against their digest.
        spec: the adapter's configuration.
        base: in whose type and place everything is put.

    Raises:
        IncompatibleAdapterError: ``tensor_set_mismatch``, ``adapter_no_effect``.
        UnsupportedMemberError: ``kind_unsupported``, the base has no such layer.
    """
    linears, place = base.record.linears, {"device": base.device, "dtype": base.model.dtype}
    targets = spec.targets(linears)
    shapes = {path: base.record.embedding_shape for path in spec.whole_layers}
    tensors = read_exactly(data, spec, lora_shapes(spec, targets) | {f"{PREFIX}{path}.weight": shape for path, shape in shapes.items()})
    factors = lora_of(tensors, spec, targets, **place, layers=lambda: base_layers(base.model, linears))
    own = {path: _own_layer(_layer_of(base, path), tensors[f"{PREFIX}{path}.weight"], base) for path in shapes}
    if not has_effect(factors) and all(_is_base_layer(layer, base.model.get_submodule(path)) for path, layer in own.items()):
        raise IncompatibleAdapterError(
            "the adapter does nothing: all its B factors are zero, and its own layers are the base's",
            hint="train it first",
            code="adapter_no_effect",
        )
    for path in own:
        _prepare(base.model.get_submodule(path), path)
    return WholeAdapter(factors, own)


def _layer_of(base: BaseModel, path: str) -> nn.Module:
    """The base's own layer."""
    found = dict(base.model.named_modules()).get(path)
    if found is not None and found in (base.model.get_input_embeddings(), base.model.get_output_embeddings()):
        return found
    raise UnsupportedMemberError(
        f"this base reads or says its words by another layer than {path}, which the expert has of its own",
        hint="use the base model that the expert was made for",
        code="kind_unsupported",
    )


def _own_layer(layer: nn.Module, weight: torch.Tensor, base: BaseModel) -> nn.Module:
    """A layer that does what the base's does, with this weight (vocabulary, hidden); never quantized."""
    own: nn.Module
    if isinstance(layer, nn.Embedding) or type(layer) is nn.Linear:
        # A copy of the rest: some embeddings scale what they give.
        own = copy.copy(layer)
        own.__dict__.update(_parameters=dict(layer._parameters), _buffers=dict(layer._buffers))
        own.__dict__.pop("forward", None)
    else:
        own = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    # A copy of the weight, so that it does not keep the whole file in memory.
    own.weight = nn.Parameter(weight.to(base.device, base.model.dtype, copy=True), requires_grad=False)
    return own


def _is_base_layer(own: nn.Module, layer: nn.Module) -> bool:
    """Whether the two have one weight; not known of a quantized layer."""
    weight = getattr(layer, "weight", None)
    mine = own.get_parameter("weight")
    return isinstance(weight, nn.Parameter) and weight.dtype == mine.dtype and torch.equal(weight, mine)


@dataclass(frozen=True, eq=False)
class _RowLayers:
    """The forward pass of a layer of the base: each row gets what the layer of its expert says, rows without one the base's."""

    path: str
    plain: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, tokens) or (rows, tokens, hidden) -> (rows, tokens, ...)."""
        plan = ACTIVE.get()
        found = plan.layers_at(self.path, len(x)) if plan is not None else ()
        if plan is None or not found:
            return self.plain(x)
        if len(found[0].rows) == plan.rows:
            y: torch.Tensor = found[0].layer(x)
            return y
        # For all rows, so that those of the base keep what they had, to the bit.
        y = self.plain(x)
        for layer, rows in found:
            index = torch.tensor(rows, device=x.device)
            y.index_copy_(0, index, layer(x[index]))
        return y


def _prepare(layer: nn.Module, path: str) -> None:
    """Let a layer of the base ask the plan, once. It stays the module that it was, for all that look for it in the model."""
    with _PREPARING:
        if not isinstance(layer.forward, _RowLayers):
            layer.forward = _RowLayers(path, layer.forward)
