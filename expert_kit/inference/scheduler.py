"""Continuous batching: requests join and leave a batch that goes on running.

There is no thread of its own: whoever waits for an answer moves the whole batch on, one step at a time and one thread at a
time, and finds tokens of its own request among the results. One caller alone pays for nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch

from expert_kit.adapters import BaseModel, RowPlan, SoftPrompt
from expert_kit.errors import CapacityError, ExpertKitError, NotComposableError, UsageError
from expert_kit.inference.base_weights import changed_error, weights_of
from expert_kit.inference.continuation import window_of
from expert_kit.inference.kv_cache import BatchCache, PrefixCache, Snapshot
from expert_kit.inference.request import Request
from expert_kit.inference.results import token_logprob
from expert_kit.inference.sampling import not_finite

PREFILL_TOKENS = 512
"""Tokens of a prompt in one forward pass; longer prompts take several, which bounds the memory of attention."""


@dataclass(frozen=True)
class BatchLimits:
    """What a running batch may take."""

    rows: int = 32
    """Requests at once; more wait."""
    cache_bytes: int = 1 << 30
    """Keys and values of the rows, at the length that each may reach."""
    prefix_bytes: int = 256 << 20
    """Keys and values kept of ended answers."""

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could ever run.

        Raises:
            UsageError: ``batch_limits``.
        """
        given = (self.rows, self.cache_bytes, self.prefix_bytes)
        if not all(type(one) is int for one in given):
            raise UsageError(
                f"the limits of a batch are {given}, not integers", hint="give rows and bytes as integers", code="batch_limits"
            )
        if self.rows < 1 or self.cache_bytes < 1 or self.prefix_bytes < 0:
            message = f"no batch can run with {self.rows} rows, {self.cache_bytes} bytes of cache and {self.prefix_bytes} of kept prefixes"
            raise UsageError(message, hint="give at least one row and one byte of cache", code="batch_limits")


class Scheduler:
    """Runs requests through one base model. Safe under threads."""

    def __init__(self, base: BaseModel, limits: BatchLimits | None = None) -> None:
        self.base = base
        self.limits = limits or BatchLimits()
        self.prefixes = PrefixCache(self.limits.prefix_bytes)
        self.steps = 0
        self.weights = weights_of(base.model)
        self.weights.schedulers.add(self)
        self._cache = BatchCache()
        self._running: list[Request] = []
        self._waiting: deque[Request] = deque()
        self._plan = RowPlan.of([])
        self._turn = self.weights.turn

    def submit(self, *requests: Request) -> None:
        """Put requests into the queue, all or none; :meth:`pieces` or :meth:`finish` move them on.

        Raises:
            CapacityError: ``prompt_too_long``, it does not fit into the model's window; ``batch_memory``, nor into the limits even alone.
        """
        for request in requests:
            self._check_size(request)
        self._waiting.extend(requests)

    def pieces(self, request: Request) -> Generator[str, None, None]:
        """The answer's text as it grows; closing the iterator cancels the request.

        Raises:
            CapacityError: out of memory. NotComposableError: ``logits_not_finite``.
        """
        try:
            while True:
                while request.pieces:
                    yield request.pieces.popleft()
                if request.finished:
                    break
                self._advance(request)
        finally:
            if not request.finished:
                self.cancel([request])
        if request.error:
            raise request.error

    def finish(self, requests: list[Request]) -> None:
        """Run until all of these are answered; when one fails, the others are cancelled.

        Raises:
            see :meth:`pieces`.
        """
        try:
            for request in requests:
                for _ in self.pieces(request):
                    pass
        finally:
            self.cancel(requests)

    def cancel(self, requests: list[Request]) -> None:
        """Give up those of the requests that are not answered yet."""
        for request in requests:
            if not request.finished:
                request.cancel()
        self._sweep()

    @contextmanager
    def alone(self, *, break_off: bool = False) -> Iterator[None]:
        """Nothing runs inside the block, so that the base's weights may be changed; kept keys and values are forgotten.

        Raises:
            UsageError: ``batch_running``, there are running rows; with ``break_off`` these end with an error instead.
        """
        with self._turn:
            if not break_off and any(one._running for one in self.weights.schedulers):
                raise UsageError("answers are being generated", hint="wait until they have ended", code="batch_running")
            self._abandon(changed_error())
            self.prefixes.clear()
            yield

    @contextmanager
    def between_steps(self, assumed: object | None = None) -> Iterator[None]:
        """No step of the running batch inside the block, for a pass of another kind; the rows go on behind it.

        Args:
            assumed: what the pass takes the base's weights to hold, as ``Composition.weights``.

        Raises:
            NotComposableError: ``base_merged`` or ``weights_changed``.
        """
        with self._turn:
            self.weights.check(assumed)
            yield

    def _advance(self, request: Request) -> None:
        with self._turn:
            if request.finished or request.pieces:
                return
            try:
                self._step()
            except (MemoryError, torch.OutOfMemoryError) as error:
                count = len(self._running)
                self._abandon(CapacityError(f"out of memory while generating for {count} prompts", hint="send fewer prompts at once"))
                raise self._error_of(request) from error
            except BaseException as error:
                # The cache may be half written. Nobody's answer may go on from it.
                self._abandon(ExpertKitError(f"the batch was broken off by {type(error).__name__}", hint="send the prompt again"))
                raise

    def _error_of(self, request: Request) -> BaseException:
        return request.error or CapacityError("out of memory", hint="send fewer prompts at once")

    @torch.inference_mode()
    def _step(self) -> None:
        self._drop_finished()
        joined = self._admit()
        if self._running and not joined:
            self._decode()
        self._drop_finished()

    def _admit(self) -> bool:
        """Let waiting requests in, in their order, as far as the limits allow; each gets its first token."""
        joined = False
        self._drop_waiting()
        while self._waiting and self._fits(self._waiting[0]):
            request = self._waiting.popleft()
            try:
                self.weights.check(request.weights)
            except NotComposableError as error:
                request.fail(error)
                request.held.close()
                continue
            self._prefill(request)
            joined = True
        return joined

    def _drop_waiting(self) -> None:
        """Take what nobody waits for any more out of the queue."""
        for request in self._waiting.copy():
            if request.finished:
                self._waiting.remove(request)
                request.held.close()

    def _prefill(self, request: Request) -> None:
        row = self._cache.add_row()
        self._running.append(request)
        plan = request.plan = RowPlan.of_slots([request.slots])
        found = self.prefixes.find(request.mix, request.places) if request.may_reuse else None
        if found:
            self._cache.fill_row(row, *found)
            # The soft prompt belongs to the mix, so that whole it is found or not at all.
            request.reused = found[1] - request.soft_tokens
        elif request.soft_prompt:
            self._begin_row(row, request.soft_prompt, plan)
        logits = None
        for start in range(request.reused, len(request.tokens), PREFILL_TOKENS):
            part = torch.tensor([request.tokens[start : start + PREFILL_TOKENS]], device=self.base.device)
            logits = self._forward(part, row, row + 1, plan)
        assert logits is not None
        self._pick([request], logits)
        self._make_plan()

    def _begin_row(self, row: int, prompt: SoftPrompt, plan: RowPlan) -> None:
        """Put a soft prompt into the first places of an empty row."""
        if prompt.embeddings is None:
            self._cache.fill_row(row, Snapshot((), prompt.layers), prompt.tokens)
            return
        for start in range(0, prompt.tokens, PREFILL_TOKENS):
            part = prompt.embeddings[None, start : start + PREFILL_TOKENS]
            self._forward(part, row, row + 1, plan)

    def _make_plan(self) -> None:
        """The plan of the rows that run now; what a row alone had prepared is of no use beside others."""
        if len(self._running) == 1 and self._running[0].plan:
            self._plan = self._running[0].plan
            return
        for request in self._running:
            request.plan = None
        self._plan = RowPlan.of_slots([request.slots for request in self._running])

    def _decode(self) -> None:
        self.steps += 1
        last = torch.tensor([[request.tokens[-1]] for request in self._running], device=self.base.device)
        logits = self._forward(last, 0, len(self._running), self._plan)
        self._pick(self._running, logits)

    def _forward(self, ids: torch.Tensor, first: int, end: int, plan: RowPlan) -> torch.Tensor:
        """Append ``ids`` (rows, tokens) to the rows from ``first`` to ``end - 1``; logits (rows, vocabulary) of the last token of each.

        In place of the ids may be what the model reads for them, (rows, tokens, hidden).
        """
        positions, mask = self._cache.aim(first, end, ids.shape[1], self.base.device)
        with plan.active():
            output = self.base.model(
                **{"inputs_embeds" if ids.is_floating_point() else "input_ids": ids}, attention_mask=self._masks(mask),
                position_ids=positions, past_key_values=self._cache, use_cache=True, logits_to_keep=1,
            )  # fmt: skip
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _masks(self, mask: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """The mask as the model takes it: numbers for eager attention, one for each kind of layer where some see a window only."""
        config = self.base.model.config.get_text_config()
        kinds = set(getattr(config, "layer_types", None) or ())
        made = {"full_attention": mask}
        if "sliding_attention" in kinds:
            keys, columns = torch.arange(mask.shape[-1], device=mask.device), self._cache.columns
            made["sliding_attention"] = mask & (keys > columns[:, None, :, None] - config.sliding_window)
        if config._attn_implementation != "sdpa":
            dtype = self.base.model.dtype
            made = {kind: torch.where(one, 0.0, torch.finfo(dtype).min).to(dtype) for kind, one in made.items()}
        return made if "sliding_attention" in kinds else made["full_attention"]

    def _pick(self, requests: Sequence[Request], logits: torch.Tensor) -> None:
        """The next token of each request from its row of ``logits`` (rows, vocabulary)."""
        likeliest = logits.max(dim=-1)
        tops = zip(likeliest.values.tolist(), likeliest.indices.tolist(), strict=True)
        for request, row, top in zip(requests, logits, tops, strict=True):
            try:
                token = _token(request, row, top)
                if request.sampler.options.logprobs:
                    request.logprobs.append(token_logprob(self.base.tokenizer, row, token, request.sampler.options.top_logprobs))
                request.accept(token)
            except ExpertKitError as error:
                request.fail(error)  # of this row alone

    def _drop_finished(self) -> None:
        dropped = []
        for row in reversed(range(len(self._running))):
            request = self._running[row]
            if not request.finished:
                continue
            if request.error is None and self.limits.prefix_bytes:
                # The last token was picked, but never run through the model.
                self.prefixes.put(request.mix, self._cache.copy_row(row, request.places))
            self._cache.remove_row(row)
            self._running[row] = self._running[-1]
            self._running.pop()
            dropped.append(request)
        if dropped:
            self._make_plan()
        _let_go(dropped)

    def _sweep(self) -> None:
        """Take finished rows out now if no other thread is at it; that one would do it at its next step."""
        if self._turn.acquire(blocking=False):
            try:
                with torch.inference_mode():
                    self._drop_finished()
                    self._drop_waiting()
            finally:
                self._turn.release()

    def _abandon(self, error: ExpertKitError) -> None:
        broken = self._running
        self._running, self._cache, self._plan = [], BatchCache(), RowPlan.of([])
        for request in broken:
            if not request.finished:
                request.fail(error)
        _let_go(broken)

    def _fits(self, request: Request) -> bool:
        if len(self._running) >= self.limits.rows:
            return False
        longest = max(one.reach for one in [request, *self._running])
        return not self._running or (len(self._running) + 1) * longest * self._token_bytes <= self.limits.cache_bytes

    def _check_size(self, request: Request) -> None:
        window, limit = window_of(self.base), self.limits.cache_bytes // self._token_bytes
        prompt, wanted = request.prompt_length + request.soft_tokens, request.sampler.options.max_new_tokens
        if request.reach <= min(window, limit):
            return
        what, most = (f"the model's window of {window}", window) if window <= limit else (f"the batch's memory for {limit} tokens", limit)
        shown = f"{prompt} tokens" + (" with those of its expert" if request.soft_tokens else "")
        fewer = f"ask for at most {most - prompt} new tokens (max_new_tokens, --max-new-tokens)"
        raise CapacityError(
            f"a prompt of {shown} and an answer of up to {wanted} do not fit into {what}",
            hint=f"shorten the prompt, or {fewer}" if most > prompt else "shorten the prompt",
            code="prompt_too_long" if window <= limit else "batch_memory",
        )

    @property
    def longest_row(self) -> int:
        """Places that a row may take at most."""
        return min(window_of(self.base), self.limits.cache_bytes // self._token_bytes)

    @property
    def _token_bytes(self) -> int:
        config = self.base.model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(2 * config.num_hidden_layers * heads * size * self.base.model.dtype.itemsize)


def _let_go(requests: Sequence[Request]) -> None:
    """Drop what the requests hold, that of all of them also where one cannot."""
    with ExitStack() as closing:
        for request in requests:
            closing.callback(request.held.close)


def _token(request: Request, logits: torch.Tensor, top: tuple[float, int]) -> int:
    likeliest, constraint = request.sampler.takes_likeliest, request.constraint
    if likeliest and not math.isfinite(top[0]):
        raise not_finite()
    if likeliest and (constraint is None or constraint.allows(top[1])):
        return top[1]
    allowed = None if constraint is None else constraint.allowed(logits.shape[-1])
    return request.sampler.pick(torch.tensor(request.tokens), logits, allowed)
