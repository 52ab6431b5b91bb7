"""What an answer comes with: text, and exactly who produced it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from expert_kit.inference.defaults import Defaults
from expert_kit.inference.grammar import UsedGrammar
from expert_kit.names import Digest
from expert_kit.routing import RouteDecision

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class UsedExpert:
    """One expert that acted on the answer."""

    name: str
    """``ns/name``, or the path of a local adapter folder."""
    version: str
    """Empty for a local folder."""
    digest: Digest
    """Identity of the expert (digest of its manifest, which binds its weights); of configuration and weights for a folder."""
    weight: float


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer; the end token counts."""

    prompt_tokens: int
    completion_tokens: int
    reused_tokens: int = 0
    """Of the prompt: computed already for an earlier answer of the same mix."""


@dataclass(frozen=True)
class TokenLogprob:
    """How likely the model thought a token, before any sampling option."""

    id: int
    token: str
    """Its text alone; a part of a character shows as a replacement mark."""
    logprob: float
    """Natural logarithm."""
    top: tuple[tuple[int, str, float], ...] = ()
    """The likeliest tokens at this place: id, text, logprob."""


def token_logprob(tokenizer: Any, logits: torch.Tensor, token: int, top: int) -> TokenLogprob:
    """Of the token picked from ``logits`` (vocabulary,), with the ``top`` likeliest beside it."""
    scores = logits.float().log_softmax(-1)
    likeliest = scores.topk(top)
    pairs = zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
    others = tuple((one, str(tokenizer.decode([one])), score) for one, score in pairs)
    return TokenLogprob(token, str(tokenizer.decode([token])), float(scores[token]), others)


@dataclass(frozen=True)
class GenerationResult:
    """One answer."""

    text: str
    base: str
    experts: tuple[UsedExpert, ...]
    """Empty: the base answered alone."""
    route: RouteDecision | None
    """The router's decision, if it was asked."""
    abstained: bool
    """The router was asked and no expert fits."""
    finish_reason: FinishReason
    usage: Usage
    seed: int
    """Given to the same prompt alone, it reproduces a sampled answer."""
    dtype: str = ""
    """Type of the weights and activations that gave it, ``bfloat16`` for example."""
    warnings: tuple[str, ...] = ()
    grammar: UsedGrammar | None = None
    """What the answer was held to; if ``finish_reason`` is ``length``, it was cut off in the middle of it."""
    defaults: Defaults | None = None
    """Options that were taken from the expert or the kind of task, if ``by_task`` asked for it."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """One for each token of the answer, the end token included, if ``logprobs=True`` was asked for."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        fields = asdict(self)
        fields["route"] = self.route.to_json() if self.route else None
        return fields


@dataclass(frozen=True)
class StreamEvent:
    """A piece of a running answer; the last one carries the result and no text."""

    text: str
    result: GenerationResult | None = None
