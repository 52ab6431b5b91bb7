"""What an answer comes with: text, and exactly who produced it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

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
    warnings: tuple[str, ...] = ()

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
