"""How likely a model thinks that one row of tokens goes on with another: what multiple-choice questions are scored by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from expert_kit.adapters import BaseModel, RowMix, RowPlan, SoftPrompt, prompt_of
from expert_kit.adapters.soft_prompt import prompted_inputs
from expert_kit.errors import CapacityError, UsageError
from expert_kit.inference.sampling import not_finite

PASS_TOKENS = 2048
"""Tokens of all rows of one batch."""
PASS_SCORES = 512
"""Places of one pass whose scores over the whole vocabulary are in memory together."""


@dataclass(frozen=True)
class Continuation:
    """Token ids, one at least of each."""

    given: Sequence[int]
    ids: Sequence[int]
    """What is scored."""

    @property
    def read(self) -> list[int]:
        """What the model reads: all but the last token, which nothing follows."""
        return [*self.given, *self.ids][:-1]


@dataclass(frozen=True)
class ContinuationScore:
    """Of one continuation."""

    logprob: float
    """Sum over its tokens, natural logarithm."""
    is_likeliest: bool
    """Whether greedy decoding would have written it."""


@torch.inference_mode()
def score_continuations(base: BaseModel, rows: Sequence[Continuation], slots: RowMix) -> list[ContinuationScore]:
    """Score rows that all have the same experts, several in one pass where they are short.

    Args:
        base: runs them.
        rows: best in the order of their lengths: neighbours share a pass, and the shorter ones are padded.
        slots: experts and weights, for every row; a soft prompt stands before each.

    Raises:
        UsageError: ``continuation_empty``. CapacityError: ``prompt_too_long``. NotComposableError: ``logits_not_finite``.
    """
    prompt = prompt_of(slots)
    _check(rows, window_of(base) - (prompt.tokens if prompt else 0))
    return [score for batch in _batches(rows) for score in _score(base, batch, slots, prompt)]


def window_of(base: BaseModel) -> int:
    """Tokens that the model sees together at most."""
    return int(base.model.config.get_text_config().max_position_embeddings)


def _check(rows: Sequence[Continuation], most: int) -> None:
    for row in rows:
        if not row.given or not row.ids:
            raise UsageError("a continuation and what it follows need a token each", code="continuation_empty")
        if len(row.read) > most:
            message = f"a text of {len(row.read)} tokens does not fit into the model's window, which has room for {most}"
            raise CapacityError(message, hint="shorten what the continuation follows", code="prompt_too_long")


def _batches(rows: Sequence[Continuation]) -> Iterator[list[Continuation]]:
    batch: list[Continuation] = []
    for row in rows:
        if batch and not _fits([*batch, row]):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _fits(batch: list[Continuation]) -> bool:
    width = max(len(row.read) for row in batch)
    return len(batch) * width <= PASS_TOKENS and len(batch) * (width - _first(batch)) <= PASS_SCORES


def _first(batch: list[Continuation]) -> int:
    """The first place whose scores some row needs."""
    return min(len(row.given) for row in batch) - 1


def _score(base: BaseModel, batch: list[Continuation], slots: RowMix, prompt: SoftPrompt | None) -> list[ContinuationScore]:
    logprobs, likeliest = [0.0] * len(batch), [True] * len(batch)
    with RowPlan.of_slots([slots] * len(batch)).active():
        for start, logits in _passes(base, batch, prompt):
            for at, row in enumerate(batch):
                end = min(start + logits.shape[1], len(row.read))
                begin = max(start, len(row.given) - 1)
                if begin >= end:
                    continue
                scores = logits[at, begin - start : end - start].float().log_softmax(-1)
                shift = len(row.given) - 1
                wanted = torch.tensor(row.ids[begin - shift : end - shift], device=scores.device)
                logprobs[at] += float(scores.gather(1, wanted[:, None]).sum())
                likeliest[at] &= bool((scores.argmax(-1) == wanted).all())
    if not all(map(math.isfinite, logprobs)):
        raise not_finite()
    return [ContinuationScore(*pair) for pair in zip(logprobs, likeliest, strict=True)]


def _passes(base: BaseModel, batch: list[Continuation], prompt: SoftPrompt | None) -> Iterator[tuple[int, torch.Tensor]]:
    """Where scores begin, and the scores (rows, places, vocabulary), piece by piece.

    Shorter rows are filled up behind their end, where nothing that counts can see it: attention looks back only.
    """
    width, first = max(len(row.read) for row in batch), _first(batch)
    ids = torch.tensor([row.read + [0] * (width - len(row.read)) for row in batch], device=base.device)
    cache: Any = None
    for start in range(0, width, PASS_SCORES):
        part = ids[:, start : start + PASS_SCORES]
        inputs = {"input_ids": part, "past_key_values": cache} if start else prompted_inputs(base.model, part, prompt)
        kept = max(1, part.shape[1] - max(0, first - start))
        more = start + PASS_SCORES < width
        output: Any = base.model(**inputs, use_cache=more or prompt is not None, logits_to_keep=kept)
        cache = output.past_key_values
        yield start + part.shape[1] - kept, output.logits
