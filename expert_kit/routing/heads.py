"""Routers with a linear head that is fitted on the examples of all experts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from expert_kit.routing.corpus import Batch, Corpus
from expert_kit.routing.encoder import Vectors
from expert_kit.routing.keywords import WordIndex, letter_groups, words_and_pairs
from expert_kit.routing.logistic import Basis, fit_one_against_rest, fit_softmax, log_softmax
from expert_kit.routing.scorer import Arrays, FittedRouter

MOST_WORK: Final = 60_000_000
"""Examples times experts up to which a logistic head is fitted; beyond, least squares, which grows with examples only."""
MOST_LETTER_WORK: Final = 1_000_000
MOST_WEIGHTS: Final = 30_000_000
"""Terms times experts; the rarest terms go first."""
_L2: Final = 1e-5


class SentenceHead(FittedRouter):
    """A logistic head on the sentence vector."""

    name = "sentence"

    def __init__(self, basis: Basis, head: Vectors, bias: Vectors) -> None:
        self._basis, self._head, self._bias = basis, head, bias

    @classmethod
    def fit(cls, corpus: Corpus) -> Self:
        """See the base class."""
        basis = Basis.of(cls._see(corpus.rows, corpus.parts), cls._parts(corpus.parts))
        head, bias = _fit_head(corpus, lambda rows: basis(cls._see(rows, corpus.parts)))
        return cls(basis, head, bias)

    def logits(self, batch: Batch) -> Vectors:
        """See the base class."""
        return self._basis(self._see(batch.rows, batch.parts)) @ self._head + self._bias

    def arrays(self) -> Arrays:
        """See the base class."""
        return {"centre": self._basis.centre, "directions": self._basis.directions, "head": self._head, "bias": self._bias}

    @classmethod
    def load(cls, arrays: Arrays, corpus: Corpus) -> Self:
        """See the base class."""
        return cls(Basis(arrays["centre"], arrays["directions"]), arrays["head"], arrays["bias"])

    @classmethod
    def fits(cls, corpus: Corpus) -> bool:
        """With two examples an expert, on the average."""
        return corpus.size > 1 and len(corpus.texts) >= 2 * corpus.size

    @staticmethod
    def _see(rows: Vectors, parts: int) -> Vectors:
        return np.ascontiguousarray(rows[:, : rows.shape[1] // parts])

    @staticmethod
    def _parts(parts: int) -> int:
        return 1


class LayerHead(SentenceHead):
    """A logistic head on all parts of a row: also earlier layers of the encoder, which still know the words themselves."""

    name = "layers"

    @classmethod
    def fits(cls, corpus: Corpus) -> bool:
        """Where rows have several parts."""
        return corpus.parts > 1 and super().fits(corpus)

    @staticmethod
    def _see(rows: Vectors, parts: int) -> Vectors:
        return rows

    @staticmethod
    def _parts(parts: int) -> int:
        return parts


class WordHead(FittedRouter):
    """TF-IDF of words and pairs of words with a linear head, or with each expert's mean where there are many experts."""

    name = "words"
    _split = staticmethod(words_and_pairs)

    def __init__(self, index: WordIndex, head: Vectors) -> None:
        self._index, self._head = index, head

    @classmethod
    def fit(cls, corpus: Corpus) -> Self:
        """See the base class."""
        index = WordIndex.of(corpus.texts, cls._split, MOST_WEIGHTS // max(corpus.size, 150))
        features = index.matrix(corpus.texts)
        if corpus.several:
            texts, _, targets = corpus.merged()
            return cls(index, fit_one_against_rest(index.matrix(texts), targets, l2=_L2, rounds=25))
        if len(corpus.texts) * corpus.size > MOST_WORK:
            return cls(index, index.profiles(features, corpus.labels, corpus.size))
        return cls(index, fit_softmax(features, corpus.labels, corpus.size, l2=_L2, rounds=25))

    def logits(self, batch: Batch) -> Vectors:
        """See the base class."""
        return self._index.scores(batch.texts, self._head)

    def arrays(self) -> Arrays:
        """See the base class."""
        return {"head": self._head, **self._index.arrays()}

    @classmethod
    def load(cls, arrays: Arrays, corpus: Corpus) -> Self:
        """See the base class."""
        return cls(WordIndex.load(arrays, cls._split), arrays["head"])


class LetterHead(WordHead):
    """The same with groups of letters: product names, parts of words, typing errors."""

    name = "letters"
    _split = staticmethod(letter_groups)

    @classmethod
    def fits(cls, corpus: Corpus) -> bool:
        """While it is quick to fit; with many examples the layers of the encoder know as much."""
        return super().fits(corpus) and len(corpus.texts) * corpus.size <= MOST_LETTER_WORK


class Categories(FittedRouter):
    """The log-probability of an expert's category, the sum over its members under the sentence head: never a gate."""

    name = "category"

    def __init__(self, inner: SentenceHead, groups: NDArray[np.int64]) -> None:
        self._inner, self._groups = inner, groups

    @classmethod
    def fit(cls, corpus: Corpus) -> Self:
        """See the base class."""
        return cls(SentenceHead.fit(corpus), _groups(corpus))

    def logits(self, batch: Batch) -> Vectors:
        """See the base class."""
        own = np.exp(log_softmax(self._inner.logits(batch)))
        sums = np.zeros((len(own), int(self._groups.max()) + 1), np.float32)
        np.add.at(sums.T, self._groups, own.T)
        return np.log(sums + np.float32(1e-9))[:, self._groups]

    def arrays(self) -> Arrays:
        """See the base class."""
        return self._inner.arrays()

    @classmethod
    def load(cls, arrays: Arrays, corpus: Corpus) -> Self:
        """See the base class."""
        return cls(SentenceHead.load(arrays, corpus), _groups(corpus))

    @classmethod
    def fits(cls, corpus: Corpus) -> bool:
        """Where a category has several members, and there are several categories."""
        return SentenceHead.fits(corpus) and not corpus.several and 1 < len(set(corpus.categories)) < corpus.size


def _fit_head(corpus: Corpus, see: Callable[[Vectors], Vectors]) -> tuple[Vectors, Vectors]:
    if corpus.several:
        _, rows, targets = corpus.merged()
        seen = see(rows)
        head = fit_one_against_rest(np.hstack([seen, np.ones((len(seen), 1), np.float32)]), targets, l2=_L2, rounds=60)
        return head[:-1], head[-1]
    features, labels = see(corpus.rows), corpus.labels
    if len(labels) * corpus.size > MOST_WORK:
        return _least_squares(features, labels, corpus.size)
    return fit_softmax(features, labels, corpus.size, l2=_L2), np.zeros(corpus.size, np.float32)


def _least_squares(features: Vectors, labels: NDArray[np.int64], size: int) -> tuple[Vectors, Vectors]:
    """Ridge regression on +1 for the own expert: closed form, one small system whatever the number of experts."""
    sums = np.zeros((size, features.shape[1]), np.float32)
    np.add.at(sums, labels, features)
    gram = features.T @ features
    gram[np.diag_indices(len(gram))] += 0.3 * np.trace(gram) / len(gram)
    return np.linalg.solve(gram, sums.T).astype(np.float32), np.zeros(size, np.float32)


def _groups(corpus: Corpus) -> NDArray[np.int64]:
    return np.unique(np.array(corpus.categories), return_inverse=True)[1].astype(np.int64)
