"""One answer on its way: what was asked, what has come so far, how it ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from typing import Any

from expert_kit.adapters import RowMix, RowPlan, prompt_of
from expert_kit.inference.constraint import FREE, Hold
from expert_kit.inference.defaults import Defaults
from expert_kit.inference.detokenize import TextStream
from expert_kit.inference.results import TokenLogprob
from expert_kit.inference.sampling import Sampler


class Request:
    """A prompt with its own mix, sampler and end, in or on its way into the batch."""

    def __init__(
        self,
        prompt: Sequence[int],
        sampler: Sampler,
        tokenizer: Any,
        end_tokens: frozenset[int],
        *,
        slots: RowMix = (),
        mix: Hashable = None,
        hold: Hold = FREE,
        defaults: Defaults | None = None,
        weights: object | None = None,
    ) -> None:
        """Make a request.

        Args:
            prompt: token ids, one at least.
            sampler: owns the random numbers and the limits.
            tokenizer: turns tokens into text.
            end_tokens: a token of these ends the answer.
            slots: the experts' slots and weights; the caller holds references until the request has ended. Empty for the base.
            mix: identity of the mix, for reuse of keys and values; two requests with equal values have equal experts.
            hold: the grammar of the answer, if it has one.
            defaults: what the sampler has from the kind of task.
            weights: what the base's own weights are taken to hold; see ``BaseWeights``.
        """
        self.tokens = list(prompt)
        """Prompt and answer."""
        self.prompt_length = len(prompt)
        self.sampler = sampler
        self.slots, self.mix, self.weights = slots, mix, weights
        self.soft_prompt = prompt_of(slots)
        """What takes the first places of the row, before its tokens."""
        self.hold, self.constraint = hold, hold.constraint
        self.defaults = defaults
        self.plan: RowPlan | None = None
        """For this row alone, while it is alone."""
        self.may_reuse = sampler.options.seed is None
        """Keys and values of another pass round differently; who fixes a seed wants the same answer twice."""
        self.text = TextStream(tokenizer, sampler.options.stop)
        self.pieces: deque[str] = deque()
        """Text that nobody has taken yet."""
        self.picked: list[int] = []
        """Tokens of the answer, the end token included."""
        self.logprobs: list[TokenLogprob] = []
        self.finished = self.ended = self.cancelled = False
        self.error: BaseException | None = None
        self.reused = 0
        """Tokens of the prompt whose keys and values were there already."""
        self.held = ExitStack()
        """What the row needs while it is in the batch; whoever takes it out closes this."""
        self._end_tokens = end_tokens

    @property
    def soft_tokens(self) -> int:
        """Places of the soft prompt."""
        return self.soft_prompt.tokens if self.soft_prompt else 0

    @property
    def places(self) -> list[int]:
        """What stands at each place of the row: its tokens, and before them the soft prompt's under numbers that no token has."""
        return [*range(-self.soft_tokens, 0), *self.tokens]

    @property
    def reach(self) -> int:
        """Places that the row may come to take."""
        return self.soft_tokens + self.prompt_length + self.sampler.options.max_new_tokens

    def accept(self, token: int) -> None:
        """Take the next token; sets ``finished`` at an end token, a stop text, the end of the grammar or the limit."""
        self.picked.append(token)
        self.tokens.append(token)
        if token in self._end_tokens:
            self._finish(ended=True)
            return
        piece = self.text.push(token)
        if piece:
            self.pieces.append(piece)
        complete = self.text.stopped
        if self.constraint is not None:
            self.constraint.take(token)
            complete |= self.constraint.is_complete
        if complete or len(self.picked) >= self.sampler.options.max_new_tokens:
            self._finish(ended=complete)

    def fail(self, error: BaseException) -> None:
        """End with an error, which the caller who waits for the answer gets."""
        self.finished, self.error = True, error

    def cancel(self) -> None:
        """Nobody waits any more: the row leaves the batch before the next step."""
        self.cancelled = self.finished = True

    def _finish(self, *, ended: bool) -> None:
        rest = self.text.flush()
        if rest:
            self.pieces.append(rest)
        self.finished, self.ended = True, ended
