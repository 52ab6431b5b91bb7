"""What an adapter does to the logits behind the last token of a prompt, measured on the bare base and with the adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from expert_kit.adapters.base_model import BaseModel
from expert_kit.adapters.besides import AnyAdapter
from expert_kit.adapters.chat import chat_ids, plain_ids
from expert_kit.adapters.plans import RowPlan
from expert_kit.adapters.slots import install_slots
from expert_kit.adapters.soft_prompt import SoftPrompt, prompted_inputs

_MILLI = 1000.0
# For experts without examples of their own.
_FALLBACK = ("The answer is", "Once upon a time", "def main():", "What is the capital of France?")


class Logits(NamedTuple):
    """Logits (vocabulary,) float32 behind the last token, of the bare base and with the adapter."""

    base: torch.Tensor
    adapted: torch.Tensor

    def top(self, count: int) -> list[int]:
        """Ids of the likeliest tokens of both, ``count`` each at most, sorted, each once."""
        count = min(count, len(self.base))
        return sorted({int(token) for side in self for token in side.topk(count).indices})

    def milli(self, tokens: Sequence[int]) -> list[tuple[int, int, int]]:
        """Token id, logit of the base and logit with the adapter, in thousandths."""
        return [(token, *(round(float(side[token]) * _MILLI) for side in self)) for token in tokens]  # type: ignore[misc]


def probe_logits(base: BaseModel, adapter: AnyAdapter, prompts: Sequence[Sequence[int]]) -> list[Logits]:
    """Two forward passes per prompt, one at a time, without a cache.

    Args:
        base: float32 on the CPU, so that the numbers are the same on every machine up to rounding; its linear layers are
            wrapped in place.
        adapter: in float32.
        prompts: token ids of the base's vocabulary, one at least each.
    """
    install_slots(base.model, base.record.linears)
    return [Logits(_last(base, ids, None), _last(base, ids, adapter)) for ids in prompts]


@torch.inference_mode()
def _last(base: BaseModel, ids: Sequence[int], adapter: AnyAdapter | None) -> torch.Tensor:
    prompt, layered = (adapter, None) if isinstance(adapter, SoftPrompt) else (None, adapter)
    inputs = prompted_inputs(base.model, torch.tensor([list(ids)]), prompt)
    with RowPlan.of([layered]).active():
        output: Any = base.model(**inputs, use_cache=prompt is not None, logits_to_keep=1)
    logits: torch.Tensor = output.logits[0, -1]
    return logits


def probe_prompts(tokenizer: Any, texts: Sequence[str], count: int, longest: int) -> list[list[int]]:
    """Token ids to measure at: where the answer to some of these texts begins, or of fixed texts if there are too few.

    The same texts give the same ids. A prompt is the end of the chat-formatted text, because that is what an adapter is
    trained to go on from.

    Args:
        tokenizer: of the base model.
        texts: what users may ask, such as the routing examples.
        count: prompts wanted; they are taken from the whole list.
        longest: tokens of a prompt.
    """
    first = [texts[at * len(texts) // count] for at in range(count)] if texts else []
    asked = (chat_ids(tokenizer, [{"role": "user", "content": text}])[-longest:] for text in [*first, *texts])
    fixed = (plain_ids(tokenizer, text)[:longest] for text in _FALLBACK)
    prompts: list[list[int]] = []
    for source in (asked, fixed):
        for ids in source:
            if len(prompts) < count and ids and ids not in prompts:
                prompts.append(ids)
    return prompts
