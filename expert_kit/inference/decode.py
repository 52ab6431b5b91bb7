"""The decoding loop: a batch of prompts, each row with its own adapter, sampler and end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from expert_kit.adapters import Adapter, BaseModel, RowPlan
from expert_kit.errors import CapacityError
from expert_kit.inference.sampling import Sampler


@dataclass(eq=False)
class Row:
    """One prompt on its way to an answer."""

    index: int
    """Place in the caller's list."""
    prompt: list[int]
    adapter: Adapter | None
    sampler: Sampler
    tokens: int = 0
    """Tokens picked so far, the end token included."""
    done: bool = False
    """Set by the caller to take the row out of the batch."""
    ended: bool = False
    """Set by the caller: at an end token or stop text, not at the limit."""


def decode(base: BaseModel, rows: Sequence[Row]) -> Iterator[list[tuple[Row, int]]]:
    """Pick one token a step for each row that is not done, until all are.

    Rows that are done leave the batch before the next step, and their memory with them.

    Raises:
        CapacityError: ``prompt_too_long``, prompt and answer do not fit into the model's window; ``capacity_exceeded``, memory.
    """
    for row in rows:
        _check_window(base, row)
    batch = _Batch(base, list(rows))
    try:
        while batch.rows:
            yield batch.step()
            batch.drop_done()
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise CapacityError(f"out of memory while generating for {len(rows)} prompts", hint="send fewer prompts at once") from error


class _Batch:
    """Left-padded rows with their key-value cache."""

    def __init__(self, base: BaseModel, rows: list[Row]) -> None:
        self.base, self.rows = base, rows
        longest = max((len(row.prompt) for row in rows), default=0)
        pad: Any = base.tokenizer.pad_token_id
        self.ids = torch.tensor([[pad] * (longest - len(row.prompt)) + row.prompt for row in rows], device=base.device)
        self.mask = torch.tensor([[0] * (longest - len(row.prompt)) + [1] * len(row.prompt) for row in rows], device=base.device)
        self.fresh = self.ids
        self.cache = DynamicCache(config=base.model.config)
        self.plan = RowPlan.of([row.adapter for row in rows])

    @torch.inference_mode()
    def step(self) -> list[tuple[Row, int]]:
        """One forward pass over the tokens that the cache does not hold yet, then one token a row."""
        positions = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -self.fresh.shape[1] :]
        with self.plan.active():
            output = self.base.model(
                input_ids=self.fresh, attention_mask=self.mask, position_ids=positions, past_key_values=self.cache, use_cache=True,
                logits_to_keep=1,
            )  # fmt: skip
        picked = [row.sampler.pick(self.ids[at, self.mask[at] == 1], output.logits[at, -1]) for at, row in enumerate(self.rows)]
        for row in self.rows:
            row.tokens += 1
        self.fresh = torch.tensor(picked, device=self.base.device)[:, None]
        self.ids = torch.cat([self.ids, self.fresh], dim=1)
        self.mask = torch.cat([self.mask, torch.ones_like(self.fresh)], dim=1)
        return list(zip(self.rows, picked, strict=True))

    @torch.inference_mode()
    def drop_done(self) -> None:
        """Take rows that are done out of all tensors."""
        keep = [at for at, row in enumerate(self.rows) if not row.done]
        if len(keep) == len(self.rows):
            return
        self.rows = [self.rows[at] for at in keep]
        if not keep:
            return
        index = torch.tensor(keep, device=self.base.device)
        self.ids, self.mask, self.fresh = self.ids[index], self.mask[index], self.fresh[index]
        self.cache.batch_select_indices(index)
        self.plan = RowPlan.of([row.adapter for row in self.rows])


def _check_window(base: BaseModel, row: Row) -> None:
    window = base.model.config.get_text_config().max_position_embeddings
    wanted = row.sampler.options.max_new_tokens
    if len(row.prompt) + wanted > window:
        raise CapacityError(
            f"a prompt of {len(row.prompt)} tokens and an answer of up to {wanted} do not fit into the model's window of {window}",
            hint=f"shorten the prompt, or pass max_new_tokens of at most {max(1, window - len(row.prompt))}",
            code="prompt_too_long",
        )
