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

CORRECTED_SHARE: Final = 0.7
"""How much a prompt with its spelling corrected counts beside the prompt as it was written."""
END_SHARE: Final = 0.8
"""How much the end of a long prompt counts beside its whole."""
START_SHARE: Final = 0.25
"""How much a prompt without its last three words counts beside its whole: words of another expert, added at the end, are the
cheapest way to steer a router."""
SURE: Final = 0.95
"""Where the best chance is at least that, the start of a covered prompt is not looked at, nor its spelling."""
LEFT_DOUBT: Final = 0.5
"""The end or the start of a prompt only counts where it leaves at most this share of the whole prompt's doubt. On plain prompts
these looks see less than the whole, and are rarely that sure."""


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
    read_as: dict[int, str]
    """Number of a prompt with words that look mistyped -> the prompt with the likely ones."""


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
        self._add_ends(prompts, fused, parts)
        read_as = self._add_corrected(prompts, fused, parts)
        self._add_starts(prompts, fused, read_as)
        return Verdicts(found, fused, probabilities(fused, self.several), self.rule.scores(parts), parts, read_as)

    def _add_corrected(self, prompts: Prompts, fused: Vectors, parts: dict[str, NDArray[np.float32]]) -> dict[int, str]:
        if prompts.embed is None:
            return {}
        doubtful = (self._best(fused) < SURE) | (self.rule.scores(parts) < self.rule.threshold)
        whole = np.setdiff1d(np.flatnonzero(doubtful), prompts.end_owners)
        found = {int(at): text for at in whole if (text := self.corpus.speller.corrected(prompts.whole.texts[at])) is not None}
        if not found:
            return {}
        at, texts = np.array(list(found)), tuple(found.values())
        corrected = Batch(texts, prompts.embed(texts), prompts.whole.parts)
        logits = self._fused(corrected)
        for name, values in self.coverage.parts(corrected, logits).items():
            parts[name][at] = (1 - CORRECTED_SHARE) * parts[name][at] + CORRECTED_SHARE * values
        fused[at] = (1 - CORRECTED_SHARE) * fused[at] + CORRECTED_SHARE * logits
        return found

    def _add_ends(self, prompts: Prompts, fused: Vectors, parts: dict[str, NDArray[np.float32]]) -> None:
        if not len(prompts.end_owners):
            return
        ends = self._fused(prompts.ends)
        surer = self._surer(ends, fused[prompts.end_owners])
        owners = prompts.end_owners[surer]
        for name, values in self.coverage.parts(prompts.ends, ends).items():
            parts[name][owners] = np.maximum(parts[name][owners], values[surer])
        fused[owners] = (1 - END_SHARE) * fused[owners] + END_SHARE * ends[surer]

    def _add_starts(self, prompts: Prompts, fused: Vectors, read_as: Mapping[int, str]) -> None:
        unsure = np.flatnonzero(prompts.has_start & (self._best(fused) < SURE))
        if prompts.starts is None or self.several or not len(unsure):
            return
        whole = [read_as.get(int(at), prompts.whole.texts[at]) for at in unsure]
        texts = tuple(" ".join(text.split()[:-DROPPED_WORDS]) for text in whole)
        starts = self._fused(Batch(texts, prompts.starts(whole), prompts.whole.parts))
        surer = self._surer(starts, fused[unsure])
        owners = unsure[surer]
        fused[owners] = (1 - START_SHARE) * fused[owners] + START_SHARE * starts[surer]

    def _surer(self, look: Vectors, whole: Vectors) -> NDArray[np.bool_]:
        return 1 - self._best(look) <= LEFT_DOUBT * (1 - self._best(whole))

    def _best(self, fused: Vectors) -> Vectors:
        return probabilities(fused, self.several).max(axis=1)

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
