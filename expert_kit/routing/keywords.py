"""Words as features: which terms examples use, and how much they say."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from expert_kit.routing.encoder import Vectors

Terms = Callable[[str], list[str]]

MOST_TERMS: Final = 200_000
LONGEST_TEXT: Final = 2_000
_WORD: Final = re.compile(r"\w+(?:'\w+)?")
# A library without types.
_sparse: Any = importlib.import_module("scipy.sparse")


def words_and_pairs(text: str) -> list[str]:
    """Words, and pairs of neighbours, case folded."""
    words = _WORD.findall(text.casefold()[:LONGEST_TEXT])
    return [*words, *(f"{one} {two}" for one, two in pairwise(words))]


def letter_groups(text: str) -> list[str]:
    """Groups of three to five letters inside words, with a mark at both ends of a word; they survive typing errors."""
    words = [f" {word} " for word in _WORD.findall(text.casefold()[:LONGEST_TEXT])]
    return [word[at : at + size] for word in words for size in (3, 4, 5) for at in range(len(word) - size + 1)]


class WordIndex:
    """Terms of a corpus with their inverse document frequency; texts become unit rows of damped TF-IDF."""

    def __init__(self, terms: Sequence[str], weights: Vectors, split: Terms) -> None:
        self._places = {term: at for at, term in enumerate(terms)}
        self._weights, self._split = weights, split

    @classmethod
    def of(cls, texts: Sequence[str], split: Terms, most: int = MOST_TERMS) -> Self:
        """Count terms; of a big corpus those that occur once are left out, and the rarest beyond ``most``."""
        counts = Counter(term for text in texts for term in set(split(text)))
        least = 1 if len(texts) < 5_000 else 2
        ordered = sorted((term for term, count in counts.items() if count >= least), key=lambda term: (-counts[term], term))[:most]
        seen = np.array([counts[term] for term in ordered], np.float32)
        return cls(ordered, (np.log((1 + len(texts)) / (1 + seen)) + 1).astype(np.float32), split)

    def __len__(self) -> int:
        """Number of terms."""
        return len(self._places)

    def matrix(self, texts: Sequence[str]) -> Any:
        """(n, terms) scipy CSR of float32, unit rows; a row without known terms is zero."""
        rows = [self._row(text) for text in texts]
        starts = np.cumsum([0, *(len(at) for at, _ in rows)])
        at = np.concatenate([at for at, _ in rows]) if rows else np.zeros(0, np.int64)
        values = np.concatenate([values for _, values in rows]) if rows else np.zeros(0, np.float32)
        return _sparse.csr_matrix((values, at, starts), shape=(len(texts), max(len(self), 1)))

    def scores(self, texts: Sequence[str], head: Vectors) -> Vectors:
        """(n, experts): each row times ``head`` (terms, experts)."""
        if len(texts) > 8:
            return np.asarray(self.matrix(texts) @ head, dtype=np.float32)
        found = [self._row(text) for text in texts]
        return np.stack([values @ head[at] if len(at) else np.zeros(head.shape[1], np.float32) for at, values in found])

    def profiles(self, features: Any, labels: NDArray[np.int64], size: int) -> Vectors:
        """(terms, experts): every expert's mean row."""
        counts = np.maximum(np.bincount(labels, minlength=size), 1)
        owner = _sparse.csr_matrix((1 / counts[labels], (labels, np.arange(len(labels)))), shape=(size, len(labels)))
        return np.ascontiguousarray((owner @ features).toarray().T.astype(np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Terms as UTF-8 lines, and their weights."""
        return {"terms": np.frombuffer("\n".join(self._places).encode(), np.uint8), "weights": self._weights}

    @classmethod
    def load(cls, arrays: dict[str, NDArray[Any]], split: Terms) -> Self:
        """The same index again."""
        return cls(arrays["terms"].tobytes().decode().split("\n"), arrays["weights"], split)

    def _row(self, text: str) -> tuple[NDArray[np.int64], Vectors]:
        counts = Counter(place for term in self._split(text) if (place := self._places.get(term)) is not None)
        at = np.fromiter(counts, np.int64, len(counts))
        values = (1 + np.log(np.fromiter(counts.values(), np.float32, len(counts)))) * self._weights[at]
        length = float(np.linalg.norm(values))
        return at, (values / length).astype(np.float32) if length else values.astype(np.float32)
