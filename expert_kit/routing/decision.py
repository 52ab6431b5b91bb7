"""What a routing decision is: who answers, the two numbers, and everything that led to it, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

from expert_kit.errors import UsageError
from expert_kit.names import Digest
from expert_kit.routing.embedding import Neighbour
from expert_kit.routing.rules import FiredRule
from expert_kit.routing.signals import Signals

Reason = Literal["covered", "ambiguous", "not_covered", "empty", "rule"]
"""Covered: one expert is clearly best, or a few are close. Ambiguous: more than ``top_k`` are close. Not covered: the
prompt is below the threshold. Empty: the query has no text, or there is no expert. Rule: one of the user's rules decided."""


POLICIES: Final = ("none", "base")


@dataclass(frozen=True)
class RoutingConfig:
    """How many experts answer, and when none should. Where the router is fitted, ``top_k``, ``loss`` and ``alpha`` count."""

    min_score: float = 0.24
    """Without a fit: coverage below which the base model answers alone, -1 to 1. Coverage is then the best score minus
    ``background_share`` times the query's similarity to generic prompts."""

    background_share: float = 0.5
    """Without a fit: how much of the similarity to generic prompts is taken off, 0 to 1; 0 makes coverage the bare score."""

    top_k: int = 3
    """Most experts that may answer together, at least 1."""

    margin: float = 0.04
    """Without a fit: scores this close to the best one count as close, 0 or more."""

    temperature: float = 0.04
    """Without a fit: weights are ``softmax(score / temperature)`` over the chosen, above 0."""

    neighbours: int = 3
    """Examples shown per expert in an explanation, 0 or more."""

    loss: float = 0.05
    """Share of covered prompts that the fitted threshold may leave to the base model, 0 to 0.5."""

    alpha: float = 0.05
    """Share of covered prompts whose set of experts may miss the right one before it is cut at ``top_k``, 0.001 to 0.5."""

    policy: str = "none"
    """``base``: where the decision is close, the base model ranks the cards of the closest experts. ``none``: it is not asked."""

    policy_seconds: float = 3.0
    """What that may take; beyond, the fitted decision stands. 0 or more, in seconds."""

    policy_margin: float = 0.3
    """With a fit: a decision is close if the two best probabilities differ by less, 0 to 1; without one ``margin`` counts."""

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
            ("loss", self.loss, 0, 0.5),
            ("alpha", self.alpha, 1e-3, 0.5),
            ("policy_seconds", self.policy_seconds, 0, 3600),
            ("policy_margin", self.policy_margin, 0, 1),
        )
        if self.policy not in POLICIES:
            raise UsageError(
                f"routing: policy is {self.policy!r}", hint=f"choose one of {', '.join(POLICIES)}", code="routing_config_invalid"
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
    """An expert and its score: P(right | covered) of a fitted router, otherwise its cosine score."""

    digest: Digest
    name: str
    score: float


class Evidence(NamedTuple):
    """The nearest examples of one expert."""

    digest: Digest
    name: str
    nearest: tuple[Neighbour, ...]


class RouterView(NamedTuple):
    """What one router of the fusion says."""

    name: str
    share: float
    """How much of the decision it makes up, 0 to 1."""
    best: tuple[RankedExpert, ...]
    """Its five highest scores, in its own unit."""
    gain: float | None
    """What it adds to the winner over the runner-up, in log-odds; None without a runner-up."""


@dataclass(frozen=True)
class Opinion:
    """What the base model said about a close decision, and whether it counted; plain data."""

    shares: tuple[tuple[str, float], ...]
    """Name and share of each expert in the order of the fitted scores; empty when the time ran out."""
    passes: int
    """Of the model, one for each order of the cards."""
    seconds: float
    budget: float

    @property
    def counted(self) -> bool:
        """Whether the decision follows it."""
        return bool(self.shares)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        rounded = {"seconds": round(self.seconds, 3), "shares": {name: round(share, 6) for name, share in self.shares}}
        return {**asdict(self), **rounded, "counted": self.counted}


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
    """How much the prompt looks like what the experts are for, in units of ``threshold``; -1 when there was nothing to score."""

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
    threshold: float
    """Coverage from which on experts answer."""

    calibrated: bool = False
    """Whether a fit stands behind the numbers; without one there is no ``p_right``."""

    p_right: float | None = None
    """P(the first of ``scores`` is right | the prompt is covered by some expert)."""

    set_size: int | None = None
    """Experts in the conformal set, before ``top_k`` cuts it."""

    routers: tuple[RouterView, ...] = ()
    coverage_parts: tuple[tuple[str, float], ...] = ()
    """Name and standardised value of each part of ``coverage``."""

    signals: Signals | None = None
    rules: tuple[FiredRule, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know about this decision, such as a stale fit."""

    read_as: str | None = None
    """The prompt as it was corrected for a second look; None where no word looked mistyped."""

    opinion: Opinion | None = None
    """The base model's, where it was asked. It changes ``experts`` alone; scores and probabilities stay the fitted ones."""

    @classmethod
    def nobody(cls, config: RoutingConfig) -> RouteDecision:
        """The decision where there is no candidate at all; no encoder is needed for it."""
        return cls((), (), True, "empty", -1.0, 0.0, None, (), (), None, config, config.min_score)

    def to_json(self) -> dict[str, Any]:
        """Plain data, numbers rounded to six places."""
        return {
            "abstained": self.abstained,
            "reason": self.reason,
            "calibrated": self.calibrated,
            "p_right": _rounded(self.p_right),
            "experts": [_plain(expert) for expert in self.experts],
            "coverage": round(self.coverage, 6),
            "threshold": round(self.threshold, 6),
            "coverage_parts": {name: round(value, 6) for name, value in self.coverage_parts},
            "set_size": self.set_size,
            "background": round(self.background, 6),
            "margin": _rounded(self.margin),
            "scores": [_plain(expert) for expert in self.scores],
            "routers": [{**_plain(view), "best": [_plain(one) for one in view.best]} for view in self.routers],
            "evidence": [{**_plain(one), "nearest": [_plain(near) for near in one.nearest]} for one in self.evidence],
            "background_nearest": [_plain(near) for near in self.background_nearest],
            "signals": self.signals.to_json() if self.signals else None,
            "rules": [rule._asdict() for rule in self.rules],
            "notes": list(self.notes),
            "read_as": self.read_as,
            "opinion": self.opinion.to_json() if self.opinion else None,
            "encoder_id": self.encoder_id,
            "config": asdict(self.config),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _plain(item: ChosenExpert | RankedExpert | Evidence | Neighbour | RouterView) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in item._asdict().items()}
