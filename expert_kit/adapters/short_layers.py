"""Decoder layers of Llama and Qwen3 in fewer operations: what a single stream waits for is mostly calls, not arithmetic.

A layer keeps its modules, and its mathematics is that of transformers; only the steps between the linear layers are fewer.
Layers of other classes stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers.models.llama.modeling_llama import LlamaDecoderLayer
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer

from expert_kit.adapters.slots import SharedInput, SlotLinear

_KINDS = (LlamaDecoderLayer, Qwen3DecoderLayer)

_Turns = tuple[torch.Tensor, torch.Tensor]
"""Cosines and sines (rows, tokens, 1, head size); the sines of the first half are negative."""


def shorten_layers(model: nn.Module) -> int:
    """Give every layer that allows it the short forward pass; how many these are. Its linear layers must have slots."""
    places = _Places()
    found = [(layer, short) for layer in model.modules() if (short := _short(layer, places))]
    for layer, short in found:
        layer.forward = short
    return len(found)


class _Places:
    """What the layers make of the positions of one pass, made by the first of them."""

    def __init__(self) -> None:
        self._last: tuple[Any, _Turns] | None = None

    def turns(self, embeddings: _Turns) -> _Turns:
        """From the cosines and sines (rows, tokens, head size) that the model hands to all its layers."""
        last = self._last
        if last is None or last[0] is not embeddings:
            cos, sin = embeddings
            half = sin.shape[-1] // 2
            signed = torch.cat([sin[..., :half].neg(), sin[..., half:]], dim=-1)
            last = self._last = embeddings, (cos.unsqueeze(2), signed.unsqueeze(2))
        return last[1]


@dataclass(frozen=True, eq=False)
class _ShortLayer:
    """The forward pass of one layer."""

    layer: Any
    qkv: SharedInput
    out: SharedInput
    gate_up: SharedInput
    down: SharedInput
    places: _Places

    def __call__(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = False,
        position_embeddings: _Turns | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """As the layer's own: (rows, tokens, hidden) -> the same."""
        assert position_embeddings is not None
        read = _normed(self.layer.input_layernorm, hidden_states)
        hidden = self.out.outputs(self._attend(read, attention_mask, past_key_values, position_embeddings))[0].add_(hidden_states)
        gate, up = self.gate_up.outputs(_normed(self.layer.post_attention_layernorm, hidden))
        return self.down.outputs(functional.silu(gate).mul_(up))[0].add_(hidden)

    def _attend(self, read: torch.Tensor, mask: torch.Tensor | None, cache: Any, embeddings: _Turns) -> torch.Tensor:
        """(rows, tokens, hidden) -> (rows, tokens, heads * head size)."""
        attention, turns = self.layer.self_attn, self.places.turns(embeddings)
        rows, tokens, _ = read.shape
        q, k, v = (one.view(rows, tokens, -1, attention.head_dim) for one in self.qkv.outputs(read))
        if hasattr(attention, "q_norm"):
            q, k = _normed(attention.q_norm, q), _normed(attention.k_norm, k)
        q, k, v = _turned(q, turns).transpose(1, 2), _turned(k, turns).transpose(1, 2), v.transpose(1, 2)
        if cache is not None:
            k, v = cache.update(k, v, attention.layer_idx)
        seen = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None and tokens > 1, scale=attention.scaling, enable_gqa=True
        )
        return seen.transpose(1, 2).reshape(rows, tokens, -1)


def _normed(norm: Any, x: torch.Tensor) -> torch.Tensor:
    return functional.rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _turned(x: torch.Tensor, turns: _Turns) -> torch.Tensor:
    """Rotary embedding of (rows, tokens, heads, head size): halves are the two parts of a number."""
    cos, sin = turns
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


def _short(layer: Any, places: _Places) -> _ShortLayer | None:
    """The short pass of a layer, or ``None`` where it would not say the same."""
    if type(layer) not in _KINDS:
        return None
    attention, mlp = layer.self_attn, layer.mlp
    if attention.config._attn_implementation != "sdpa" or attention.config.hidden_act != "silu":
        return None
    qkv, out = _shared(attention.q_proj, attention.k_proj, attention.v_proj), _shared(attention.o_proj)
    gate_up, down = _shared(mlp.gate_proj, mlp.up_proj), _shared(mlp.down_proj)
    if qkv is None or out is None or gate_up is None or down is None:
        return None
    return _ShortLayer(layer, qkv, out, gate_up, down, places)


def _shared(*linears: nn.Module) -> SharedInput | None:
    """The one group that these layers are, in this order."""
    slots = [one for one in linears if isinstance(one, SlotLinear)]
    if len(slots) < len(linears) or len(slots[0].shared.group.members) != len(linears):
        return None
    shared = slots[0].shared
    return shared if all(one.shared is shared and one.member == at for at, one in enumerate(slots)) else None
