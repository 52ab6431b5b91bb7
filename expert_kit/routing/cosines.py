"""Routers that compare a prompt with examples by cosine, and learn nothing."""

from __future__ import annotations

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from expert_kit.routing.corpus import Batch, Corpus
from expert_kit.routing.encoder import Vectors
from expert_kit.routing.scorer import Arrays, FittedRouter

NEIGHBOURS: Final = 20
MOST_NEIGHBOUR_ROWS: Final = 20_000
CENTROIDS: Final = 4


class Centroids(FittedRouter):
    """Cosine to the nearest of up to four centroids of an expert; good with few examples, and needs no others to compare."""

    name = "centroid"

    def __init__(self, centroids: Vectors, owners: NDArray[np.int64], size: int) -> None:
        self._centroids, self._size = centroids, size
        self._starts = np.searchsorted(owners, np.arange(size))
        self._owners, self._present = owners, np.unique(owners)

    @classmethod
    def fit(cls, corpus: Corpus) -> Self:
        """See the base class."""
        found = [(at, _clusters(corpus.sentences[corpus.labels == at])) for at in np.unique(corpus.labels)]
        owners = np.concatenate([np.full(len(rows), at) for at, rows in found]).astype(np.int64)
        return cls(np.concatenate([rows for _, rows in found]), owners, corpus.size)

    def logits(self, batch: Batch) -> Vectors:
        """See the base class."""
        cosines = batch.sentences @ self._centroids.T
        best = np.full((len(batch.texts), self._size), -1, np.float32)
        best[:, self._present] = np.maximum.reduceat(cosines, self._starts[self._present], axis=1)
        return best

    def arrays(self) -> Arrays:
        """See the base class."""
        return {"centroids": self._centroids, "owners": self._owners}

    @classmethod
    def load(cls, arrays: Arrays, corpus: Corpus) -> Self:
        """See the base class."""
        return cls(arrays["centroids"], arrays["owners"], corpus.size)


class Neighbours(FittedRouter):
    """Softened votes of the 20 nearest examples; needs no refit when an expert leaves."""

    name = "neighbours"

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    @classmethod
    def fit(cls, corpus: Corpus) -> Self:
        """See the base class."""
        return cls(corpus)

    def logits(self, batch: Batch) -> Vectors:
        """See the base class."""
        cosines = batch.sentences @ self._corpus.sentences.T
        count = min(NEIGHBOURS, cosines.shape[1])
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        votes = np.zeros((len(cosines), self._corpus.size), np.float32)
        at = np.arange(len(cosines))[:, None]
        np.add.at(votes, (at, self._corpus.labels[nearest]), np.exp((cosines[at, nearest] - 1) * 12))
        return np.log(votes + np.float32(1e-6))

    def arrays(self) -> Arrays:
        """See the base class."""
        return {}

    @classmethod
    def load(cls, arrays: Arrays, corpus: Corpus) -> Self:
        """See the base class."""
        return cls(corpus)

    @classmethod
    def fits(cls, corpus: Corpus) -> bool:
        """While comparing with all examples is quick."""
        return super().fits(corpus) and len(corpus.texts) <= MOST_NEIGHBOUR_ROWS


def _clusters(rows: Vectors) -> Vectors:
    """(m, d) unit centroids: one below 20 rows, otherwise k-means from evenly spread rows."""
    count = 1 if len(rows) < 20 else CENTROIDS
    centroids = rows[np.linspace(0, len(rows) - 1, count).astype(int)] if count > 1 else rows.mean(axis=0, keepdims=True)
    for _ in range(8 if count > 1 else 0):
        nearest = (rows @ centroids.T).argmax(axis=1)
        centroids = np.stack([rows[nearest == at].mean(axis=0) if (nearest == at).any() else centroids[at] for at in range(count)])
    lengths = np.linalg.norm(centroids, axis=1, keepdims=True)
    return (centroids / np.maximum(lengths, 1e-9)).astype(np.float32)
