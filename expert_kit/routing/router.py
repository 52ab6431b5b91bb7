"""From scores to a decision: who answers, with which weight, or nobody. A router only scores; the policy is here, once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from expert_kit.errors import UsageError
from expert_kit.names import Digest, printable
from expert_kit.routing.embedding import EmbeddingRouter, Neighbour
from expert_kit.routing.encoder import clean_text

Reason = Literal["covered", "ambiguous", "not_covered", "empty"]
"""Covered: one expert is clearly best, or a few are close. Ambiguous: more than ``top_k`` are close. Not covered: the
best one is below the threshold. Empty: the query has no text, or there is no expert."""


class Router(Protocol):
    """One way of scoring; it never picks, weighs or abstains."""

    def scores(self, query: str) -> dict[Digest, np.float32]:
        """Every candidate's score; higher is better."""
        ...


@dataclass(frozen=True)
class RoutingConfig:
    """How many experts answer, and when none should."""

    min_score: float = 0.24
    """Coverage below which the base model answers alone, -1 to 1. Coverage is the best score minus ``background_share``
    times the query's similarity to generic prompts. Evidence: ``tests/integration/test_routing_real_encoder.py``."""

    background_share: float = 0.5
    """How much of the similarity to generic prompts is taken off, 0 to 1; 0 makes coverage the bare score."""

    top_k: int = 3
    """Most experts that may answer together, at least 1."""

    margin: float = 0.04
    """Scores this close to the best one count as close, 0 or more. With 150 CLINC150 intents of 20 examples each, 89 %
    of the decisions are for one expert, right in 95 % of them, and the set holds the right one in 94 %."""

    temperature: float = 0.04
    """Weights are ``softmax(score / temperature)`` over the chosen, above 0; the value of least log-loss there."""

    neighbours: int = 3
    """Examples shown per expert in an explanation, 0 or more."""

    def __post_init__(self) -> None:
        """Refuse values outside the ranges above.

        Raises:
            UsageError: ``routing_config_invalid``.
        """
        bounds: tuple[tuple[str, float, float, float], ...] = (
            ("min_score", self.min_score, -1, 1),
            ("background_share", self.background_share, 0, 1),
            ("top_k", self.top_k, 1, 1000),
            ("margin", self.margin, 0, 2),
            ("temperature", self.temperature, 1e-3, 100),
            ("neighbours", self.neighbours, 0, 1000),
        )
        for name, value, low, high in bounds:
            if not low <= value <= high:  # also refuses NaN
                raise UsageError(
                    f"routing: {name} is {value}", hint=f"choose {name} between {low:g} and {high:g}", code="routing_config_invalid"
                )


class ChosenExpert(NamedTuple):
    """An expert that answers; the weights of a decision sum to 1."""

    digest: Digest
    name: str
    weight: float


class RankedExpert(NamedTuple):
    """An expert and its score, a float32 value."""

    digest: Digest
    name: str
    score: float


class Evidence(NamedTuple):
    """The nearest examples of one expert."""

    digest: Digest
    name: str
    nearest: tuple[Neighbour, ...]


@dataclass(frozen=True)
class RouteDecision:
    """Who answers and why; it carries all its inputs but the query, so that explaining recomputes nothing."""

    experts: tuple[ChosenExpert, ...]
    """Best first; empty when abstained."""

    scores: tuple[RankedExpert, ...]
    """All candidates: higher score first, then lower digest."""

    abstained: bool
    reason: Reason
    coverage: float
    """Best score minus the background's share; -1 when there was nothing to score."""

    background: float
    """Similarity of the query to generic prompts."""

    margin: float | None
    """Distance from the best score to the second; None with fewer than two candidates."""

    evidence: tuple[Evidence, ...]
    """For the chosen experts, and always for the best and the runner-up."""

    background_nearest: tuple[Neighbour, ...]
    encoder_id: Digest | None
    """None when nothing was encoded."""

    config: RoutingConfig

    @classmethod
    def nobody(cls, config: RoutingConfig) -> RouteDecision:
        """The decision where there is no candidate at all; no encoder is needed for it."""
        return cls((), (), True, "empty", -1.0, 0.0, None, (), (), None, config)

    @property
    def threshold(self) -> float:
        """Coverage from which on experts answer."""
        return self.config.min_score

    def to_json(self) -> dict[str, Any]:
        """Plain data, numbers rounded to six places."""
        return {
            "abstained": self.abstained,
            "reason": self.reason,
            "experts": [_plain(expert) for expert in self.experts],
            "coverage": round(self.coverage, 6),
            "threshold": self.threshold,
            "background": round(self.background, 6),
            "margin": None if self.margin is None else round(self.margin, 6),
            "scores": [_plain(expert) for expert in self.scores],
            "evidence": [{**_plain(one), "nearest": [_plain(near) for near in one.nearest]} for one in self.evidence],
            "background_nearest": [_plain(near) for near in self.background_nearest],
            "encoder_id": self.encoder_id,
            "config": asdict(self.config),
        }


class RoutingPolicy:
    """Ranks one router's scores and decides."""

    def __init__(self, router: EmbeddingRouter, config: RoutingConfig | None = None) -> None:
        self.router = router
        self.config = config or RoutingConfig()

    def decide(self, query: str) -> RouteDecision:
        """Choose for any text: huge, empty, in any language.

        Raises:
            CheckUnavailableError: the encoder cannot be used.
        """
        router, config = self.router, self.config
        ranked = rank(router.scores(query), router.names)
        empty = not ranked or not clean_text(query)
        background = float(router.background(query))
        coverage = -1.0 if empty else ranked[0].score - config.background_share * background
        chosen, reason = ((), "empty") if empty else choose(ranked, background, config)
        shown = () if empty else ranked[: max(2, len(chosen))]
        return RouteDecision(
            experts=chosen,
            scores=ranked,
            abstained=not chosen,
            reason=reason,
            coverage=coverage,
            background=background,
            margin=ranked[0].score - ranked[1].score if len(ranked) > 1 else None,
            evidence=tuple(Evidence(one.digest, one.name, router.nearest(query, one.digest, config.neighbours)) for one in shown),
            background_nearest=router.nearest_background(query, config.neighbours),
            encoder_id=None if empty else router.encoder.id,
            config=config,
        )


def rank(scores: Mapping[Digest, np.float32], names: Mapping[Digest, str]) -> tuple[RankedExpert, ...]:
    """Higher score first; of equal ones the lower digest, so that the order of installing means nothing."""
    order = sorted(scores, key=lambda digest: (-scores[digest], digest))
    return tuple(RankedExpert(digest, names[digest], float(scores[digest])) for digest in order)


def choose(ranked: Sequence[RankedExpert], background: float, config: RoutingConfig) -> tuple[tuple[ChosenExpert, ...], Reason]:
    """Those above the threshold and close to the best one, at most ``top_k`` of them; nobody if the best is below it."""
    taken = config.background_share * background
    close = [one for one in ranked if one.score - taken >= config.min_score and one.score >= ranked[0].score - config.margin]
    if not close:
        return (), "not_covered"
    chosen = close[: config.top_k]
    powers = [math.exp((one.score - chosen[0].score) / config.temperature) for one in chosen]
    weights = [power / math.fsum(powers) for power in powers]
    experts = tuple(ChosenExpert(one.digest, one.name, weight) for one, weight in zip(chosen, weights, strict=True))
    return experts, "covered" if len(close) <= config.top_k else "ambiguous"


def explain(decision: RouteDecision) -> str:
    """The decision for a person, several lines; package text in it is escaped."""
    lines = [_headline(decision)]
    weights = {one.digest: one.weight for one in decision.experts}
    for one in decision.scores[:5]:
        used = f"  weight {weights[one.digest]:.2f}" if one.digest in weights else ""
        lines.append(f"  {one.score:+.3f}  {printable(one.name)}{used}")
    if decision.margin is not None and decision.reason != "empty":
        lines.append(f"margin {decision.margin:.3f}; closer than {decision.config.margin:g} would be mixed")
    for evidence in decision.evidence:
        lines += _examples(f"nearest examples of {printable(evidence.name)}", evidence.nearest)
    lines += _examples("nearest generic prompts", decision.background_nearest)
    return "\n".join(lines)


def _headline(decision: RouteDecision) -> str:
    if decision.reason == "empty":
        return "no expert: " + ("the prompt has no text" if decision.scores else "none is installed")
    share = decision.config.background_share
    sum_of = f"best score {decision.scores[0].score:.3f} - {share:g} x background {decision.background:.3f}"
    verdict = f"coverage {decision.coverage:.3f} ({sum_of}), threshold {decision.threshold:g}"
    if decision.abstained:
        return f"no expert fits (the base model answers alone): {verdict}"
    close = " (more experts are as close)" if decision.reason == "ambiguous" else ""
    return f"{', '.join(printable(one.name) for one in decision.experts)}{close}: {verdict}"


def _examples(title: str, nearest: Sequence[Neighbour]) -> list[str]:
    shown = [f"  {one.similarity:+.3f}  {printable(one.text if len(one.text) <= 100 else one.text[:97] + '...')}" for one in nearest]
    return [title, *shown] if shown else []


def _plain(item: ChosenExpert | RankedExpert | Evidence | Neighbour) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in item._asdict().items()}
