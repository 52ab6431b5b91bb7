"""Is anybody here for this prompt? A score of its own, since a calibrated P(right | covered) stays high for prompts that nobody covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from expert_kit.routing.corpus import Batch, Corpus
from expert_kit.routing.encoder import Vectors
from expert_kit.routing.measures import lower_quantile

Parts = Mapping[str, NDArray[np.float32]]

SHRINK: Final = 0.1
CLOSEST_EXPERTS: Final = 8
"""Only examples of the experts with the highest logits are compared with a prompt."""
FAR: Final = 1e5
"""Where the mean of an expert without examples stands, so that it is nobody's nearest."""

FORMULAS: Final[dict[str, tuple[str, ...]]] = {
    "cosine+logit": ("cosine", "logit"),
    "distance+cosine+logit": ("distance", "cosine", "logit"),
    "logit": ("logit",),
    "contrast": ("contrast",),
}
"""Ways to add up the standardised parts. AUROC on CLINC150, 100 examples for each of 150 intents, far prompts and those of 38
intents that were taken away: .988 and .931 for the first, .989 and .921, .980 and .933, .973 and .873."""
USUAL: Final = "cosine+logit"
UNSCALED: Final = "contrast"
"""Used for few experts, and in its own unit: that of ``RoutingConfig.min_score``."""


@dataclass(frozen=True, eq=False)
class CoverageModel:
    """Parts of the coverage score, each higher for a prompt that looks like the experts' examples.

    distance: minus the Mahalanobis distance to the nearest expert's mean, covariance shared and shrunk by 10 %. cosine:
    to the nearest example, all parts of the rows. logit: the highest one, before any softmax. contrast: half the cosine to
    the nearest expert's centroid and half that to its two nearest examples, minus half the cosine to generic prompts.
    """

    corpus: Corpus
    whiten: Vectors
    """(d, d)"""
    means: Vectors
    """(experts, d), whitened."""
    centroids: Vectors
    """(experts, d), unit or zero."""
    background: Vectors
    """(b, d) sentence vectors of generic prompts."""

    @classmethod
    def fit(cls, corpus: Corpus, background: Vectors) -> Self:
        """Fit on the examples.

        Args:
            corpus: with at least one example.
            background: (b, d) unit sentence vectors.
        """
        rows = corpus.sentences
        counts = np.bincount(corpus.labels, minlength=corpus.size)
        means = np.zeros((corpus.size, rows.shape[1]), np.float32)
        np.add.at(means, corpus.labels, rows)
        means /= np.maximum(counts, 1)[:, None]
        spread = rows - means[corpus.labels]
        covariance = spread.T @ spread / max(len(rows), 1)
        even = float(np.trace(covariance)) / len(covariance)
        covariance = (1 - SHRINK) * covariance + SHRINK * max(even, 1e-4) * np.eye(len(covariance), dtype=np.float32)
        values, vectors = np.linalg.eigh(covariance)
        whiten = (vectors / np.sqrt(values)).astype(np.float32)
        whitened = (means @ whiten).astype(np.float32)
        whitened[counts == 0] = FAR
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return cls(corpus, whiten, whitened, means / np.maximum(lengths, 1e-6), background)

    def without(self, gone: NDArray[np.int64]) -> CoverageModel:
        """As if these experts had no examples."""
        corpus = self.corpus.take(np.flatnonzero(~np.isin(self.corpus.labels, gone)))
        means = self.means.copy()
        means[gone] = FAR
        return replace(self, corpus=corpus, means=means)

    def parts(self, batch: Batch, logits: Vectors) -> dict[str, NDArray[np.float32]]:
        """Each (n,) float32; ``logits`` (n, experts) are those of the fusion."""
        sentences = batch.sentences
        count = min(CLOSEST_EXPERTS, logits.shape[1])
        closest = np.argpartition(-logits, count - 1, axis=1)[:, :count]
        generic = _generic(sentences @ self.background.T)
        near = self._nearest(self.corpus.rows, batch.rows, closest)
        best = self._nearest(self.corpus.sentences, sentences, closest).mean(axis=2)
        centroid = np.take_along_axis(sentences @ self.centroids.T, closest, axis=1)
        return {
            "distance": self._distance(sentences),
            "cosine": near[:, :, 1].max(axis=1),
            "logit": logits.max(axis=1),
            "contrast": ((best + centroid) / 2).max(axis=1) - np.float32(0.5) * generic,
        }

    def _distance(self, sentences: Vectors) -> NDArray[np.float32]:
        seen = sentences @ self.whiten
        squares = (seen * seen).sum(axis=1)[:, None] - 2 * seen @ self.means.T + (self.means * self.means).sum(axis=1)
        return -squares.min(axis=1)

    def _nearest(self, examples: Vectors, rows: Vectors, closest: NDArray[np.int64]) -> Vectors:
        """(n, closest, 2): cosines to each expert's two nearest examples, the nearest last; one example counts twice."""
        found = np.full((*closest.shape, 2), -1, np.float32)
        for at, (row, experts) in enumerate(zip(rows, closest, strict=True)):
            for place, expert in enumerate(experts):
                cosines = examples[self._starts[expert] : self._starts[expert + 1]] @ row
                if len(cosines):
                    best = np.partition(cosines, len(cosines) - 2)[-2:] if len(cosines) > 1 else cosines
                    found[at, place] = best.min(), best.max()
        return found

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """(experts + 1,) where each one's examples begin."""
        return np.searchsorted(self.corpus.labels, np.arange(self.corpus.size + 1))


@dataclass(frozen=True)
class CoverageRule:
    """How the parts are standardised and added up, and from which sum on a prompt counts as covered."""

    formula: str
    """A key of ``FORMULAS``."""
    centres: dict[str, float]
    spreads: dict[str, float]
    threshold: float
    loss: float
    """Share of covered held-out prompts below the threshold, as it was asked for."""

    @classmethod
    def fit(cls, formula: str, parts: Parts, loss: float, highest: float = 0.0) -> Self:
        """From the parts of held-out covered prompts; no uncovered ones are needed.

        Args:
            formula: a key of ``FORMULAS``.
            parts: (n,) each.
            loss: share of covered prompts that may be refused, 0 to 1.
            highest: the threshold of ``UNSCALED`` is not above it, as that of a few clear experts need not be.
        """
        names, plain = FORMULAS[formula], formula == UNSCALED
        centres = {name: 0.0 if plain else float(parts[name].mean()) for name in names}
        spreads = {name: 1.0 if plain else max(float(parts[name].std()), 1e-6) for name in names}
        threshold = lower_quantile(cls(formula, centres, spreads, 0.0, loss).scores(parts), loss)
        return cls(formula, centres, spreads, min(threshold, highest) if plain else threshold, loss)

    def scores(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """(n,) mean of the standardised parts; 0 is then an average covered prompt, one unit its usual deviation."""
        summed = sum((parts[name] - centre) / self.spreads[name] for name, centre in self.centres.items())
        return np.asarray(summed / len(self.centres), dtype=np.float32)


def _generic(cosines: Vectors) -> NDArray[np.float32]:
    """Mean cosine to the five nearest generic prompts; one of them is not compared with itself."""
    nearest = np.sort(cosines, axis=1)[:, -6:]
    itself = nearest[:, -1:] > 0.9999
    return np.where(itself, nearest[:, :5], nearest[:, 1:]).mean(axis=1).astype(np.float32)
