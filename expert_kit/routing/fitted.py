"""A fitted router: what it was fitted on, what it says about a prompt, and whether its numbers are still true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expert_kit.routing.bert import DROPPED_WORDS
from expert_kit.routing.corpus import Batch, Corpus
from expert_kit.routing.coverage import CoverageModel, CoverageRule
from expert_kit.routing.encoder import Vectors
from expert_kit.routing.fusion import Fusion, probabilities
from expert_kit.routing.reading import Prompts
from expert_kit.routing.scorer import FittedRouter

END_SHARE: Final = 0.8
"""How much the end of a long prompt counts beside its whole, 0 to 1."""
START_SHARE: Final = 0.25
START_BELOW: Final = 0.95
START_PART: Final = 0.15
"""The least sure prompts, ``START_PART`` of the held-out ones but none above ``START_BELOW``, are also judged without their last
three words, which then counts ``START_SHARE``: words of another expert, added at the end, are the cheapest way to steer a router."""


class Verdicts(NamedTuple):
    """What the fitted router says about n prompts."""

    logits: dict[str, Vectors]
    """Router -> (n, experts), before the fusion."""
    fused: Vectors
    """(n, experts) calibrated logits."""
    chances: Vectors
    """(n, experts) P(right | covered)."""
    coverage: NDArray[np.float32]
    """(n,)"""
    parts: dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Report:
    """How the fit went, as measured on prompts that were not fitted on; plain data."""

    rows: int
    """Held-out prompts."""
    source: str
    """``validation`` rows of the experts, or ``folds`` of their examples."""
    losses: dict[str, float]
    """Held-out log-loss of each router alone, calibrated, and of the fusion."""
    accuracy: dict[str, float]
    chosen: dict[str, float]
    """Router -> its share in the decision."""
    ece: float
    coverage_auroc: dict[str, float]
    """Coverage formula -> how well it tells covered prompts from those of experts that were taken away."""
    seconds: float


@dataclass(frozen=True, eq=False)
class Fitted:
    """Routers, their fusion, coverage and the conformal quantile."""

    key: str
    """Digest over everything it was fitted on: experts, examples, encoder, feedback and settings."""
    corpus: Corpus
    routers: dict[str, FittedRouter]
    """Only those with a weight."""
    fusion: Fusion
    coverage: CoverageModel
    rule: CoverageRule
    quantile: float | None
    """Experts with ``1 - p <= quantile`` form the conformal set; None with too few held-out prompts."""
    start_below: float
    """A prompt whose best chance is lower is also judged without its last words."""
    report: Report

    @property
    def several(self) -> bool:
        """Whether several experts may be right at once."""
        return self.fusion.several

    def judge(self, prompts: Prompts) -> Verdicts:
        """Everything about some prompts."""
        found = {name: router.logits(prompts.whole) for name, router in self.routers.items()}
        fused = self.fusion.logits(found)
        parts = self.coverage.parts(prompts.whole, fused)
        if len(prompts.end_owners):
            ends = self._fused(prompts.ends)
            owners = prompts.end_owners
            for name, values in self.coverage.parts(prompts.ends, ends).items():
                parts[name][owners] = np.maximum(parts[name][owners], values)
            fused[owners] = (1 - END_SHARE) * fused[owners] + END_SHARE * ends
        self._add_starts(prompts, fused)
        return Verdicts(found, fused, probabilities(fused, self.several), self.rule.scores(parts), parts)

    def _add_starts(self, prompts: Prompts, fused: Vectors) -> None:
        unsure = np.flatnonzero(prompts.has_start & (probabilities(fused, self.several).max(axis=1) < self.start_below))
        if prompts.starts is None or self.several or not len(unsure):
            return
        texts = tuple(" ".join(prompts.whole.texts[at].split()[:-DROPPED_WORDS]) for at in unsure)
        starts = self._fused(Batch(texts, prompts.starts(unsure), prompts.whole.parts))
        fused[unsure] = (1 - START_SHARE) * fused[unsure] + START_SHARE * starts

    def _fused(self, batch: Batch) -> Vectors:
        return self.fusion.logits({name: router.logits(batch) for name, router in self.routers.items()})

    def conformal_set(self, chances: Vectors) -> NDArray[np.int64]:
        """Numbers of the experts in one prompt's set, most likely first; never empty."""
        order = np.lexsort((np.arange(len(chances)), -chances))
        size = 1 if self.quantile is None else int((1 - chances <= self.quantile).sum())
        return order[: max(size, 1)]

    def contributions(self, verdict_logits: Mapping[str, Vectors], expert: int) -> dict[str, float]:
        """Router -> what it adds to one expert's logit above the mean of all experts, for the first prompt."""
        return {
            name: weight * float(verdict_logits[name][0, expert] - verdict_logits[name][0].mean())
            for name, weight in self.fusion.weights.items()
        }


def report_json(report: Report) -> dict[str, Any]:
    """Plain data, numbers rounded to four places."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(one) for name, one in value.items()}
        return round(value, 4) if isinstance(value, float) else value

    return {name: plain(value) for name, value in report.__dict__.items()}
