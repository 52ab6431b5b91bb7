"""From scores to a decision: who answers, with which weight, or nobody. A router only scores; the policy is here, once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from expert_kit.names import Digest
from expert_kit.routing.decision import (
    ChosenExpert,
    Evidence,
    RankedExpert,
    Reason,
    RouteDecision,
    RouterView,
    RoutingConfig,
)
from expert_kit.routing.embedding import EmbeddingRouter
from expert_kit.routing.encoder import clean_text
from expert_kit.routing.fitted import Fitted, Verdicts
from expert_kit.routing.journal import LONGEST_TEXT
from expert_kit.routing.reading import Reader
from expert_kit.routing.rules import FiredRule, Rule, RuleOutcome, apply_rules, break_ties
from expert_kit.routing.second_opinion import Ranker, is_close, with_opinion
from expert_kit.routing.signals import Signals, detect

_BEST_OF_A_ROUTER = 5


class Router(Protocol):
    """One way of scoring; it never picks, weighs or abstains."""

    def scores(self, query: str) -> dict[Digest, np.float32]:
        """Every candidate's score; higher is better."""
        ...


class FittedScores:
    """One router of a fit, or all of them together, as a ``Router``."""

    def __init__(self, fitted: Fitted, reader: Reader, name: str | None = None) -> None:
        """Choose a router by its name in ``Fitted.routers``; without a name their fusion, whose scores are calibrated logits."""
        self._fitted, self._reader = fitted, reader
        self._router = None if name is None else fitted.routers[name]

    def scores(self, query: str) -> dict[Digest, np.float32]:
        """See ``Router``.

        Raises:
            CheckUnavailableError: the encoder cannot be used.
        """
        prompts = self._reader.read([query])
        rows = self._fitted.judge(prompts).fused if self._router is None else self._router.logits(prompts.whole)
        return dict(zip(self._fitted.corpus.digests, rows[0], strict=True))


class RoutingPolicy:
    """Ranks and decides: with a fitted router by its probabilities, without one by cosines and fixed thresholds."""

    def __init__(
        self,
        router: EmbeddingRouter,
        config: RoutingConfig | None = None,
        *,
        fitted: Fitted | None = None,
        rules: Sequence[Rule] = (),
        told: Mapping[str, tuple[str, ...]] | None = None,
        notes: Sequence[str] = (),
        ranker: Ranker | None = None,
    ) -> None:
        """Take what is known.

        Args:
            router: over all candidates; finds the nearest examples, and decides where nothing is fitted.
            config: how many, and when none.
            fitted: over the same candidates.
            rules: the user's own.
            told: prompt -> names of the experts that the user said are right for it; they come before the rules.
            notes: for every decision.
            ranker: asked about close decisions where the configuration wants that.
        """
        self.router, self.fitted = router, fitted
        self.config = config or RoutingConfig()
        self._rules, self._notes, self._told = tuple(rules), tuple(notes), dict(told or {})
        self._reader, self._ranker = Reader(router.encoder), ranker

    def decide(self, query: str) -> RouteDecision:
        """Choose for any text: huge, empty, in any language.

        Raises:
            CheckUnavailableError: the encoder cannot be used.
        """
        if not self.router.names or not clean_text(query):
            return self._empty()
        signals = detect(query)
        outcome = self._outcome(query, signals)
        decision = self._plain(query, outcome) if self.fitted is None else self._calibrated(self.fitted, query, outcome)
        decision = _with_rules(replace(decision, notes=(*self._notes, *outcome.notes)), outcome, signals)
        if self.config.policy == "none" or self._ranker is None or not is_close(decision):
            return decision
        return with_opinion(decision, query, self.router.cards, self._ranker)

    def _outcome(self, query: str, signals: Signals) -> RuleOutcome:
        names = sorted(set(self.router.names.values())) if self._rules or self._told else []
        outcome = apply_rules(self._rules, query, signals, names) if self._rules else RuleOutcome()
        known = self._told.get(clean_text(query)[:LONGEST_TEXT].rstrip())
        if known is None or not (set(known) <= set(names)):
            return outcome
        said = FiredRule("feedback", 0, "expert" if known else "base", known, ("you said so about this very prompt",), "decides")
        return replace(outcome, fired=(said, *outcome.fired), forced=known)

    def _empty(self) -> RouteDecision:
        scores = rank({digest: np.float32(-1.0) for digest in self.router.names}, self.router.names)
        margin = 0.0 if len(scores) > 1 else None
        return replace(RouteDecision.nobody(self.config), scores=scores, margin=margin, notes=self._notes)

    def _plain(self, query: str, outcome: RuleOutcome) -> RouteDecision:
        router, config = self.router, self.config
        ranked = rank(router.scores(query), router.names)
        background = float(router.background(query))
        allowed = [one for one in ranked if one.name not in outcome.forbidden]
        chosen, reason = choose(allowed, background, config) if allowed else ((), "rule")
        return RouteDecision(
            experts=chosen,
            scores=ranked,
            abstained=not chosen,
            reason=reason,
            coverage=ranked[0].score - config.background_share * background,
            background=background,
            margin=ranked[0].score - ranked[1].score if len(ranked) > 1 else None,
            evidence=self._evidence(query, ranked, len(chosen)),
            background_nearest=router.nearest_background(query, config.neighbours),
            encoder_id=router.encoder.id,
            config=config,
            threshold=config.min_score,
        )

    def _calibrated(self, fitted: Fitted, query: str, outcome: RuleOutcome) -> RouteDecision:
        config, corpus = self.config, fitted.corpus
        verdicts = fitted.judge(self._reader.read([query], self.router.row(query)))
        chances = verdicts.chances[0].astype(float)
        # Stable, and numbers follow digests: of equal ones the lower digest.
        order = np.argsort(-verdicts.chances[0], kind="stable")
        values = zip(order.tolist(), verdicts.chances[0][order].tolist(), strict=True)
        ranked = tuple(RankedExpert(corpus.digests[at], corpus.names[at], value) for at, value in values)
        coverage = float(verdicts.coverage[0])
        chosen, reason = choose_calibrated(ranked, outcome, fitted, config.top_k)
        if coverage < fitted.rule.threshold:
            chosen, reason = (), "not_covered"
        inside = fitted.conformal_set(verdicts.chances[0])
        return RouteDecision(
            experts=chosen,
            scores=ranked,
            abstained=not chosen,
            reason=reason,
            coverage=coverage,
            background=float(self.router.background(query)),
            margin=ranked[0].score - ranked[1].score if len(ranked) > 1 else None,
            evidence=self._evidence(query, ranked, len(chosen)),
            background_nearest=self.router.nearest_background(query, config.neighbours),
            encoder_id=self.router.encoder.id,
            config=config,
            threshold=fitted.rule.threshold,
            calibrated=True,
            p_right=float(chances.max()),
            set_size=len(inside),
            read_as=verdicts.read_as.get(0),
            routers=views(fitted, verdicts, self.router.names),
            coverage_parts=tuple(
                (name, (float(verdicts.parts[name][0]) - centre) / fitted.rule.spreads[name])
                for name, centre in fitted.rule.centres.items()
            ),
        )

    def _evidence(self, query: str, ranked: Sequence[RankedExpert], chosen: int) -> tuple[Evidence, ...]:
        shown = ranked[: max(2, chosen)]
        return tuple(Evidence(one.digest, one.name, self.router.nearest(query, one.digest, self.config.neighbours)) for one in shown)


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
    return _weighted(chosen, powers), "covered" if len(close) <= config.top_k else "ambiguous"


def choose_calibrated(
    ranked: Sequence[RankedExpert], outcome: RuleOutcome, fitted: Fitted, top_k: int
) -> tuple[tuple[ChosenExpert, ...], Reason]:
    """The conformal set, at most ``top_k`` of it, weighted by probability; rules may forbid some and break ties."""
    ordered: Sequence[RankedExpert] = ranked
    if outcome.forbidden or outcome.preferred:
        allowed = [one for one in ranked if one.name not in outcome.forbidden]
        preferred = {one for one in allowed if one.name in outcome.preferred}
        ordered = [one for one, _ in break_ties([(one, one.score) for one in allowed], preferred)]
    if not ordered:
        return (), "rule"
    close = [one for one in ordered[: top_k + 1] if fitted.quantile is not None and 1 - one.score <= fitted.quantile] or ordered[:1]
    chosen = close[:top_k]
    return _weighted(chosen, [max(one.score, 1e-9) for one in chosen]), "covered" if len(close) <= top_k else "ambiguous"


def views(fitted: Fitted, verdicts: Verdicts, names: Mapping[Digest, str]) -> tuple[RouterView, ...]:
    """What every router of the fusion says about the first prompt, the one with the greatest share first."""
    order = np.argsort(-verdicts.fused[0], kind="stable")
    gains = [fitted.contributions(verdicts.logits, int(expert)) for expert in order[:2]]
    found = []
    for name, share in sorted(fitted.report.chosen.items(), key=lambda item: -item[1]):
        logits = verdicts.logits[name][0]
        best = np.argsort(-logits, kind="stable")[:_BEST_OF_A_ROUTER]
        top = tuple(RankedExpert(digest, names[digest], float(logits[at])) for at in best for digest in [fitted.corpus.digests[at]])
        gain = gains[0][name] - gains[1][name] if len(gains) > 1 else None
        found.append(RouterView(name, share, top, gain))
    return tuple(found)


def _with_rules(decision: RouteDecision, outcome: RuleOutcome, signals: Signals) -> RouteDecision:
    """What the user's rules force stands above everything else."""
    decision = replace(decision, signals=signals, rules=outcome.fired)
    if outcome.forced is None:
        return decision
    forced = [one for one in decision.scores if one.name in outcome.forced][: decision.config.top_k]
    experts = _weighted(forced, [1.0] * len(forced))
    return replace(decision, experts=experts, abstained=not experts, reason="rule")


def _weighted(chosen: Sequence[RankedExpert], powers: Sequence[float]) -> tuple[ChosenExpert, ...]:
    total = math.fsum(powers)
    return tuple(ChosenExpert(one.digest, one.name, power / total) for one, power in zip(chosen, powers, strict=True))
