"""The base model as a ranker of cards: one forward pass, of which only a few letters' probabilities are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from expert_kit.adapters import BaseModel, chat_ids, plain_ids


class BaseRanker:
    """A base without experts; see ``expert_kit.routing.Ranker``."""

    def __init__(self, base: BaseModel, between_steps: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        """Take a loaded base.

        Args:
            base: also while an engine uses it.
            between_steps: keeps the engine's batch waiting during a pass.
        """
        self._base, self._between_steps = base, between_steps

    @torch.inference_mode()
    def letter_logprobs(self, question: str, letters: Sequence[str]) -> list[float]:
        """Natural log-probability of each letter as the first token of the answer."""
        ids = chat_ids(self._base.tokenizer, [{"role": "user", "content": question}])
        tokens = [plain_ids(self._base.tokenizer, letter)[-1] for letter in letters]
        with self._between_steps():
            output: Any = self._base.model(input_ids=torch.tensor([ids], device=self._base.device), use_cache=False, logits_to_keep=1)
        logs = torch.log_softmax(output.logits[0, -1].float(), dim=-1)
        return [float(logs[token]) for token in tokens]
