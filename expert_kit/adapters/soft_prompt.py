"""What stands before the text of a row: learned embeddings (arXiv:2104.08691), or learned keys and values (arXiv:2101.00190)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

from expert_kit.adapters.tensors import read_exactly
from expert_kit.bases import PREFIX_TUNING, AdapterSpec, Attention, Linear, attention_of
from expert_kit.errors import UnsupportedMemberError

_NAME = "prompt_embeddings"


@dataclass(frozen=True, eq=False)
class SoftPrompt:
    """Virtual tokens; they take places 0 to ``tokens - 1`` of a row, and its text begins behind them."""

    tokens: int
    embeddings: torch.Tensor | None = None
    """(tokens, hidden), what the model reads in place of its own embeddings; ``None`` for prefix tuning."""
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...] = ()
    """Prefix tuning: per layer keys and values (tokens, heads, head size), as they go into the cache."""

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        return (0 if self.embeddings is None else self.embeddings.nbytes) + sum(keys.nbytes + values.nbytes for keys, values in self.layers)


def read_soft_prompt(data: bytes | memoryview, spec: AdapterSpec, linears: Sequence[Linear], model: PreTrainedModel) -> SoftPrompt:
    """Read the safetensors bytes of prompt tuning or prefix tuning for a model, in the type of its weights.

    Raises:
        IncompatibleAdapterError: ``tensor_set_mismatch``.
        UnsupportedMemberError: ``kind_unsupported``, the base's attention is not known or not the same in all layers.
    """
    sizes = attention_of(linears)
    heads = _key_heads(model)
    if sizes is None or sizes.keys % heads:
        raise UnsupportedMemberError(
            "this base takes no soft prompts: its layers that make keys are not known, or differ in size",
            hint="train the adapter with peft_type: lora",
            code="kind_unsupported",
        )
    is_prefix, count = spec.peft_type == PREFIX_TUNING, spec.num_virtual_tokens
    each = 2 * sizes.layers * sizes.keys if is_prefix else sizes.hidden_size
    values = read_exactly(data, spec, {_NAME: (count, each)})[_NAME].to(model.device, model.dtype, copy=True)
    return SoftPrompt(count, layers=_layers(values, sizes, heads)) if is_prefix else SoftPrompt(count, values)


def _layers(values: torch.Tensor, sizes: Attention, heads: int) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """One token's numbers are, layer after layer, keys then values, head after head."""
    split = values.view(len(values), sizes.layers, 2, heads, -1)
    return tuple((split[:, layer, 0], split[:, layer, 1]) for layer in range(sizes.layers))


def _key_heads(model: PreTrainedModel) -> int:
    config = model.config.get_text_config()
    return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)


def prompted_inputs(model: PreTrainedModel, ids: torch.Tensor, prompt: SoftPrompt | None) -> dict[str, Any]:
    """Arguments of a forward pass over token ids (rows, n), each row behind the soft prompt."""
    if prompt is None:
        return {"input_ids": ids}
    if prompt.embeddings is not None:
        before = prompt.embeddings.expand(len(ids), -1, -1)
        return {"inputs_embeds": torch.cat([before, model.get_input_embeddings()(ids)], dim=1)}
    cache = DynamicCache()
    for at, (keys, values) in enumerate(prompt.layers):
        cache.update(*(states.transpose(0, 1).expand(len(ids), -1, -1, -1) for states in (keys, values)), at)
    return {"input_ids": ids, "past_key_values": cache}
