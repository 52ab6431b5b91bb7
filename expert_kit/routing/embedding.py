"""The embedding router: a query is scored against every expert's own examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from expert_kit.names import Digest
from expert_kit.routing.background import BACKGROUND
from expert_kit.routing.encoder import Encoder, Vectors, clean_text, embed, sentence_part
from expert_kit.routing.vectors import VectorCache

NOTHING_TO_COMPARE: Final = np.float32(-1.0)
"""Score of an expert without text, and of every expert for an empty query: the lowest cosine there is."""

_BEST_EXAMPLES: Final = 2
_BEST_BACKGROUND: Final = 5


@dataclass(frozen=True)
class Candidate:
    """An expert as far as routing knows it; the card stands in where there are no examples."""

    digest: Digest
    name: str
    examples: tuple[str, ...] = ()
    card: str = ""
    validation: tuple[str, ...] = ()
    """Prompts that no router is fitted on; they calibrate."""
    category: str = ""
    """Experts of one category are alike."""


class Neighbour(NamedTuple):
    """An example near a query, with its cosine to it."""

    text: str
    similarity: float


@dataclass(frozen=True)
class _Profile:
    """An expert's texts, their vectors (n, d), and the direction of their mean (d,)."""

    texts: tuple[str, ...]
    vectors: Vectors
    centroid: Vectors


class EmbeddingRouter:
    """Scores every candidate by half the cosine to its centroid and half the mean of its two best examples.

    The centroid is the better half for narrow experts, the best examples for broad ones; two examples rather than one, so
    that a single stray example does not win alone. Top-1 accuracy on CLINC150 (all-MiniLM-L6-v2, fitted on ``train``,
    measured on ``val``), with 10 and 20 examples for each of 150 intents, and 60 for each of the 10 domains:

    =============================  =====  =====  ====
    score                             10     20  broad
    =============================  =====  =====  ====
    centroid                        88.0   90.2  83.1
    best example                    82.8   85.0  91.6
    mean of the three best          86.1   87.6  91.8
    half centroid, half two best    88.0   90.4  91.5
    =============================  =====  =====  ====

    A candidate's score depends on the query and on its own texts alone, bit for bit, so that installing an expert never
    reorders the others. Everything is embedded on construction; without candidates nothing is.
    """

    def __init__(
        self, candidates: Sequence[Candidate], encoder: Encoder, cache: VectorCache | None = None, generic: Sequence[str] = ()
    ) -> None:
        """Embed what is not yet in the cache.

        Args:
            candidates: in any order, each digest once.
            encoder: the same for examples and queries.
            cache: without one, all examples are embedded now. Queries are never cached on disk.
            generic: prompts that no expert should answer, besides ``BACKGROUND``.

        Raises:
            CheckUnavailableError: the encoder is missing or unusable.
        """
        if len({candidate.digest for candidate in candidates}) != len(candidates):
            raise ValueError("a digest stands twice among the candidates")
        self.encoder = encoder
        self.names = {candidate.digest: candidate.name for candidate in sorted(candidates, key=lambda one: one.digest)}
        self.cards = {candidate.digest: candidate.card for candidate in candidates}
        texts = {candidate.digest: _texts(candidate) for candidate in candidates}
        self._cache = cache
        self._profiles = {digest: self._profile(texts[digest]) for digest in self.names if texts[digest]}
        self._background = self._profile((*BACKGROUND, *generic)) if self._profiles else None
        self._last: tuple[str, Vectors] | None = None

    def scores(self, query: str) -> dict[Digest, np.float32]:
        """Every candidate's score, -1 to 1, float32; higher is better."""
        scores = dict.fromkeys(self.names, NOTHING_TO_COMPARE)
        if self._profiles and (vector := self._vector(query)) is not None:
            scores |= {digest: _score(profile, vector) for digest, profile in self._profiles.items()}
        return scores

    def background(self, query: str) -> np.float32:
        """Mean cosine to the five nearest generic prompts: how much any prompt of this style is like the query."""
        vector = self._vector(query)
        if self._background is None or vector is None:
            return np.float32(0.0)
        return np.float32(_best(self._background.vectors @ vector, _BEST_BACKGROUND).mean())

    def nearest(self, query: str, digest: Digest, count: int) -> tuple[Neighbour, ...]:
        """Up to ``count`` examples of one expert, nearest first."""
        return _nearest(self._profiles.get(digest), self._vector(query), count)

    def nearest_background(self, query: str, count: int) -> tuple[Neighbour, ...]:
        """Up to ``count`` generic prompts, nearest first."""
        return _nearest(self._background, self._vector(query), count)

    def _profile(self, texts: tuple[str, ...]) -> _Profile:
        rows = embed(self.encoder, texts) if self._cache is None else self._cache.vectors(self.encoder, texts)
        vectors = sentence_part(self.encoder, rows)
        mean = vectors.mean(axis=0)
        length = float(np.linalg.norm(mean))
        return _Profile(texts, vectors, mean / np.float32(length) if length > 1e-6 else np.zeros_like(mean))

    def row(self, query: str) -> Vectors | None:
        """(1, D) whole row of the encoder, None for a query without text. The last one is kept: a decision asks several times."""
        text = clean_text(query)
        if not text or not self._profiles:
            return None
        last = self._last
        if last is None or last[0] != text:
            last = (text, embed(self.encoder, [text]))
            self._last = last
        return last[1]

    def _vector(self, query: str) -> Vectors | None:
        """(d,) sentence vector, None for a query without text."""
        row = self.row(query)
        return None if row is None else sentence_part(self.encoder, row)[0]


def _texts(candidate: Candidate) -> tuple[str, ...]:
    """Sorted and without duplicates, so that neither the order nor a repetition of examples changes a score."""
    cleaned = {clean_text(text) for text in candidate.examples} - {""} or {clean_text(candidate.card)} - {""}
    return tuple(sorted(cleaned))


def _score(profile: _Profile, vector: Vectors) -> np.float32:
    examples = _best(profile.vectors @ vector, _BEST_EXAMPLES).mean()
    return np.float32((profile.centroid @ vector + examples) / np.float32(2.0))


def _best(similarities: Vectors, count: int) -> Vectors:
    return np.sort(similarities)[::-1][:count]


def _nearest(profile: _Profile | None, vector: Vectors | None, count: int) -> tuple[Neighbour, ...]:
    if profile is None or vector is None:
        return ()
    similarities = profile.vectors @ vector
    order = sorted(range(len(profile.texts)), key=lambda row: (-similarities[row], profile.texts[row]))[:count]
    return tuple(Neighbour(profile.texts[row], float(similarities[row])) for row in order)
