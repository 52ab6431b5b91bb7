"""How the next token is picked."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from expert_kit.errors import NotComposableError, UsageError

GrammarOption = str | Path | None
"""``"expert"`` is the grammar that the chosen expert carries, if it does, and ``None`` none. A path is that of a ``.lark`` file; any other
text is a grammar.
"""


BY_TASK = ("max_new_tokens", "temperature", "top_p")
"""Options that a kind of task decides where nobody else does."""


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _whole_or_none(value: Any) -> bool:
    return value is None or _whole(value)


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(text, str) for text in value)


_TYPES: dict[str, tuple[Callable[[Any], bool], str, Callable[[Any], Any] | None]] = {
    **dict.fromkeys(("max_new_tokens", "top_k", "no_repeat_ngram_size", "top_logprobs"), (_whole, "an integer", int)),
    **dict.fromkeys(("temperature", "top_p", "min_p", "repetition_penalty"), (_number, "a number", float)),
    "seed": (_whole_or_none, "an integer, or None", int),
    "stop": (_texts, "a text, or several", None),
    "by_task": (_texts, f"True, False, or some of {', '.join(BY_TASK)}", None),
    "logprobs": (lambda value: isinstance(value, bool), "True or False", None),
    "grammar": (lambda value: value is None or isinstance(value, str | Path), "a text, a path, or None", None),
}
"""Option -> what it must be, the same in words, and what makes a plain number of it: torch does not take NumPy's everywhere."""


@dataclass(frozen=True)
class SamplingOptions:
    """Options of one answer, spelled as in transformers' ``GenerationConfig``."""

    max_new_tokens: int = 256
    """1 or more; an answer that reaches it ends with ``finish_reason="length"``."""
    temperature: float = 0.0
    """0 is greedy: always the likeliest token, whatever ``top_k``, ``top_p``, ``min_p`` and ``seed`` are."""
    top_k: int = 0
    """Keep the k likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the smallest set with this probability, above 0 to 1."""
    min_p: float = 0.0
    """Drop tokens below this share of the likeliest one's probability, 0 to 1."""
    repetition_penalty: float = 1.0
    """Above 1 makes tokens that were seen less likely (CTRL, arXiv:1909.05858)."""
    no_repeat_ngram_size: int = 0
    """No run of so many tokens occurs twice in prompt and answer; 0 allows all."""
    seed: int | None = None
    """Fixes a sampled answer; ``None`` draws a seed, which the result names."""
    stop: tuple[str, ...] | str = ()
    """The answer ends before the first of these texts; one text alone may be given as it is."""

    grammar: GrammarOption = "expert"
    """The answer follows this grammar. One that the caller gives holds every answer, also those of the base alone."""
    by_task: bool | tuple[str, ...] = ()
    """Which of ``max_new_tokens``, ``temperature`` and ``top_p`` the one expert's manifest or the kind of task decides; ``True`` as an
    argument of a call means those of them that are not given beside it."""
    logprobs: bool = False
    """Tell with the result how likely the model thought each token."""
    top_logprobs: int = 0
    """With ``logprobs``: also the likeliest tokens at each place, 0 to 20."""

    def __post_init__(self) -> None:
        """Refuse values of another type or out of range.

        Raises:
            UsageError: ``option_type`` or ``sampling_range``, naming the option.
        """
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))
        if isinstance(self.by_task, bool):
            object.__setattr__(self, "by_task", BY_TASK if self.by_task else ())
        for name, (is_right, wanted, plain) in _TYPES.items():
            if not is_right(getattr(self, name)):
                raise UsageError(f"{name}={getattr(self, name)!r} is not {wanted}", hint=f"give {name} {wanted}", code="option_type")
            if plain and getattr(self, name) is not None:
                object.__setattr__(self, name, plain(getattr(self, name)))
        checks = {
            "max_new_tokens": (self.max_new_tokens >= 1, "1 or more"),
            "temperature": (self.temperature == 0 or 0.01 <= self.temperature <= 100, "0, or 0.01 to 100"),
            "top_k": (self.top_k >= 0, "0 or more"),
            "top_p": (0 < self.top_p <= 1, "above 0 to 1"),
            "min_p": (0 <= self.min_p <= 1, "0 to 1"),
            "repetition_penalty": (0 < self.repetition_penalty <= 100, "above 0 to 100"),
            "no_repeat_ngram_size": (self.no_repeat_ngram_size >= 0, "0 or more"),
            "top_logprobs": (0 <= self.top_logprobs <= (20 if self.logprobs else 0), "0 to 20, and 0 without logprobs=True"),
            "seed": (self.seed is None or 0 <= self.seed < 2**63, "0 to 2**63 - 1"),
            "by_task": (set(self.options_by_task) <= set(BY_TASK), ", ".join(BY_TASK)),
            "stop": (all(self.stop), "texts that are not empty"),
        }
        for name, (in_range, allowed) in checks.items():
            if not in_range:
                raise UsageError(f"{name}={getattr(self, name)!r} is out of range", hint=f"allowed: {allowed}", code="sampling_range")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was asked for and does nothing."""
        idle = [name for name, off in (("top_k", 0), ("top_p", 1.0), ("min_p", 0.0)) if getattr(self, name) != off]
        return (
            (f"{', '.join(idle)}: no effect at temperature 0, where the likeliest token is taken",) if idle and not self.temperature else ()
        )

    @property
    def options_by_task(self) -> tuple[str, ...]:
        """``by_task`` as names."""
        return BY_TASK if self.by_task is True else self.by_task or ()


OPTION_NAMES = frozenset(field.name for field in fields(SamplingOptions))


class Sampler:
    """Picks tokens for one answer; owns the answer's random numbers."""

    def __init__(self, options: SamplingOptions) -> None:
        self.options = options
        self.seed = options.seed if options.seed is not None else secrets.randbits(63)
        self._random = torch.Generator().manual_seed(self.seed)
        self._processors = _processors(options)
        self.takes_likeliest = options.temperature == 0 and not self._processors
        """Nothing but the largest score matters."""

    def pick(self, ids: torch.Tensor, logits: torch.Tensor, allowed: torch.Tensor | None = None) -> int:
        """Next token.

        Args:
            ids: (n,) int64, prompt and answer so far.
            logits: (vocabulary,) of the next position.
            allowed: (vocabulary,) bool, on the CPU: the tokens to pick from, one at least; all if not given.

        Raises:
            NotComposableError: ``logits_not_finite``, as with weights of a mix that are far too large.
        """
        if not bool(torch.isfinite(logits).all()):
            raise not_finite()
        raw = logits[None].float().cpu()
        if allowed is not None:
            raw = raw.masked_fill(~allowed, -torch.inf)
        scores = self._processors(ids[None].cpu(), raw)[0]
        if allowed is not None and not bool(torch.isfinite(scores).any()):
            scores = raw[0]  # the only token that may come would repeat a run of tokens: the grammar decides
        if self.options.temperature == 0:
            return int(scores.argmax())
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._random))


def not_finite() -> NotComposableError:
    """What a row gets whose scores are no numbers."""
    return NotComposableError("the model's scores are not finite numbers", hint="use smaller weights in the mix", code="logits_not_finite")


def _processors(options: SamplingOptions) -> LogitsProcessorList:
    chosen = LogitsProcessorList()
    if options.repetition_penalty != 1:
        chosen.append(RepetitionPenaltyLogitsProcessor(options.repetition_penalty))
    if options.no_repeat_ngram_size:
        chosen.append(NoRepeatNGramLogitsProcessor(options.no_repeat_ngram_size))
    if options.temperature == 0:
        return chosen
    if options.temperature != 1:
        chosen.append(TemperatureLogitsWarper(options.temperature))
    if options.top_k:
        chosen.append(TopKLogitsWarper(options.top_k))
    if options.top_p < 1:
        chosen.append(TopPLogitsWarper(options.top_p))
    if options.min_p:
        chosen.append(MinPLogitsWarper(options.min_p))
    return chosen
