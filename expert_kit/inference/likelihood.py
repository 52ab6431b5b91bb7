"""How likely a model thinks a given text: what perplexity is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch users know

from expert_kit.adapters import BaseModel, RowMix, RowPlan, plain_ids, prompt_of
from expert_kit.adapters.soft_prompt import prompted_inputs
from expert_kit.errors import UsageError
from expert_kit.inference.sampling import not_finite

WINDOW = 256
"""Tokens that are seen together; a longer text is cut, and the first token of each piece counts as given."""


@dataclass(frozen=True)
class Likelihood:
    """Of one text."""

    logprob: float
    """Sum over the tokens that count, natural logarithm."""
    tokens: int


@torch.inference_mode()
def text_likelihood(base: BaseModel, text: str, slots: RowMix) -> Likelihood:
    """Of a plain text, not put into the chat template, behind the soft prompt if there is one.

    Raises:
        UsageError: ``text_too_short``, it has no two tokens. NotComposableError: ``logits_not_finite``.
    """
    ids = plain_ids(base.tokenizer, text)
    pieces = [piece for start in range(0, len(ids), WINDOW) if len(piece := ids[start : start + WINDOW]) > 1]
    if not pieces:
        raise UsageError("a text of less than two tokens has no perplexity", hint="give a longer one", code="text_too_short")
    prompt = prompt_of(slots)
    total = 0.0
    with RowPlan.of_slots([slots]).active():
        for piece in pieces:
            row = torch.tensor([piece], device=base.device)
            inputs = prompted_inputs(base.model, row, prompt)
            output: Any = base.model(**inputs, use_cache=prompt is not None, logits_to_keep=len(piece))
            total -= float(F.cross_entropy(output.logits[0, :-1].float(), row[0, 1:], reduction="sum"))
    if not math.isfinite(total):
        raise not_finite()
    return Likelihood(total, sum(len(piece) - 1 for piece in pieces))
