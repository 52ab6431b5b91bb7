"""A second opinion on close decisions: a language model says which expert's card fits the prompt best, within a time budget.

It answers with one letter, so whatever stands in a card or a prompt, it can only choose among the experts that it was asked
about. Every expert stands once at every letter, since small models favour a place.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from expert_kit.names import Digest
from expert_kit.routing.decision import ChosenExpert, Opinion, RankedExpert, RouteDecision
from expert_kit.routing.encoder import clean_text

MOST_CARDS: Final = 4
CARD_LENGTH: Final = 160
PROMPT_LENGTH: Final = 400
"""Characters of a card and of the prompt that the model reads."""
_LETTERS: Final = "ABCD"


class Ranker(Protocol):
    """A language model, as far as it is needed here."""

    def letter_logprobs(self, question: str, letters: Sequence[str]) -> Sequence[float]:
        """Natural log-probability of each letter as the beginning of the answer."""
        ...


def is_close(decision: RouteDecision) -> bool:
    """Whether a second opinion is worth its time: experts answer, and others are as near."""
    if decision.abstained or decision.reason == "rule" or decision.margin is None:
        return False
    near = decision.config.policy_margin if decision.calibrated else decision.config.margin
    return decision.reason == "ambiguous" or decision.margin < near


def with_opinion(decision: RouteDecision, prompt: str, cards: Mapping[Digest, str], ranker: Ranker) -> RouteDecision:
    """The decision with its experts ordered and weighted by the model's shares times the fitted scores.

    As many experts answer as before; a mix of more than four is left alone. A pass that would probably end after the
    budget is not begun, and then the decision stays as it was fitted; only the first pass can exceed it.
    """
    allowed = {one.digest for one in decision.experts}
    asked = [one for one in decision.scores if one.digest in allowed][:MOST_CARDS]
    if not any(rule.action == "forbid" for rule in decision.rules):
        asked += [one for one in decision.scores if one not in asked][: max(0, _wanted(decision) - len(asked))]
    if len(asked) < 2 or len(decision.experts) > MOST_CARDS:
        return decision
    budget = decision.config.policy_seconds
    started = time.perf_counter()
    sums, passes, longest = [0.0] * len(asked), 0, 0.0
    for turn in range(len(asked)):
        before = time.perf_counter() - started
        if before + longest > budget:
            return replace(decision, opinion=Opinion((), passes, before, budget))
        order = [(place + turn) % len(asked) for place in range(len(asked))]
        said = ranker.letter_logprobs(_question(prompt, [asked[at] for at in order], cards), _LETTERS[: len(asked)])
        for at, logprob in zip(order, said, strict=True):
            sums[at] += logprob
        passes, longest = passes + 1, max(longest, time.perf_counter() - started - before)
    highest = max(sums)
    powers = [math.exp((one - highest) / len(asked)) for one in sums]
    shares = tuple((one.name, power / math.fsum(powers)) for one, power in zip(asked, powers, strict=True))
    opinion = Opinion(shares, passes, time.perf_counter() - started, budget)
    return replace(decision, opinion=opinion, experts=_chosen(decision, asked, [share for _, share in shares]))


def _wanted(decision: RouteDecision) -> int:
    """The whole conformal set, as far as the letters go, and the runner-up in any case."""
    return min(MOST_CARDS, max(2, len(decision.experts), decision.set_size or 0))


def _chosen(decision: RouteDecision, asked: Sequence[RankedExpert], shares: Sequence[float]) -> tuple[ChosenExpert, ...]:
    """Both count the same; cosines become comparable with probabilities as they do for the weights of a mix."""
    best = asked[0].score
    fitted = [one.score if decision.calibrated else math.exp((one.score - best) / decision.config.temperature) for one in asked]
    both = [(max(score, 1e-9) * share, one) for score, share, one in zip(fitted, shares, asked, strict=True)]
    kept = sorted(both, key=lambda pair: (-pair[0], pair[1].digest))[: len(decision.experts)]
    total = math.fsum(power for power, _ in kept)
    return tuple(ChosenExpert(one.digest, one.name, power / total) for power, one in kept)


def _question(prompt: str, asked: Sequence[RankedExpert], cards: Mapping[Digest, str]) -> str:
    told = [f"{one.name}: {clean_text(cards.get(one.digest, ''))[:CARD_LENGTH]}" for one in asked]
    lines = [f"{letter}. {card}" for letter, card in zip(_LETTERS, told, strict=False)]
    return "\n".join(
        [
            "One of these experts shall answer a request.",
            *lines,
            f"Request: {clean_text(prompt)[:PROMPT_LENGTH]}",
            "Which expert fits best? Answer with its letter only.",
        ]
    )
