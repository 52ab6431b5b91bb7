"""The router that sees a prompt's signals alone: its language, the formats in it, and the format that it asks for."""

from __future__ import annotations

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from expert_kit.routing.corpus import Batch, Corpus
from expert_kit.routing.encoder import Vectors
from expert_kit.routing.scorer import Arrays, FittedRouter
from expert_kit.routing.signals import detect

FEWEST_WITH_SIGNALS: Final = 0.1
"""Share of examples that must show a format or another language than most, before it is worth looking."""
_SAMPLE: Final = 200
_PER_EXPERT: Final = 30
"""Examples that are looked at, evenly spread."""


class SignalHead(FittedRouter):
    """Naive Bayes over what was found: how often an expert's examples show a format, against what the prompt shows.

    A missing format lowers a score by as much as the examples say, so none is a veto; how much all of it counts beside the
    other routers is fitted with their weights.
    """

    name = "signals"

    def __init__(self, features: tuple[str, ...], odds: Vectors, absent: Vectors) -> None:
        """Take the fitted numbers.

        Args:
            features: sorted.
            odds: (features, experts) what a feature adds.
            absent: (experts,) the score of a prompt without any.
        """
        self._places = {feature: at for at, feature in enumerate(features)}
        self._odds, self._absent = odds, absent

    @classmethod
    def fit(cls, corpus: Corpus) -> Self:
        """See the base class."""
        at = np.concatenate([_spread(np.flatnonzero(corpus.labels == expert), _PER_EXPERT) for expert in range(corpus.size)])
        found = [_features(corpus.texts[place]) for place in at]
        features = tuple(sorted(set().union(*found)))
        counts = np.full((len(features), corpus.size), 0.5, np.float32)
        places = {feature: row for row, feature in enumerate(features)}
        for place, shown in zip(at, found, strict=True):
            for feature in shown:
                counts[places[feature], corpus.labels[place]] += 1
        shares = counts / (np.bincount(corpus.labels[at], minlength=corpus.size) + 1)
        odds = np.log(shares) - np.log1p(-shares)
        return cls(features, odds.astype(np.float32), np.log1p(-shares).sum(axis=0).astype(np.float32))

    def logits(self, batch: Batch) -> Vectors:
        """See the base class."""
        found = [[self._places[feature] for feature in sorted(_features(text)) if feature in self._places] for text in batch.texts]
        return np.stack([self._absent + self._odds[rows].sum(axis=0) for rows in found]).astype(np.float32)

    def arrays(self) -> Arrays:
        """See the base class."""
        return {"features": np.frombuffer("\n".join(self._places).encode(), np.uint8), "odds": self._odds, "absent": self._absent}

    @classmethod
    def load(cls, arrays: Arrays, corpus: Corpus) -> Self:
        """See the base class."""
        return cls(tuple(arrays["features"].tobytes().decode().split("\n")), arrays["odds"], arrays["absent"])

    @classmethod
    def fits(cls, corpus: Corpus) -> bool:
        """Where some examples show what others do not."""
        if corpus.size < 2 or not corpus.texts:
            return False
        sample = [_features(corpus.texts[at]) for at in _spread(np.arange(len(corpus.texts)), _SAMPLE)]
        usual = max(sample, key=sample.count)
        return sum(shown != usual for shown in sample) >= FEWEST_WITH_SIGNALS * len(sample)


def _features(text: str) -> frozenset[str]:
    signals = detect(text)
    formats = [f"has {one}" for one in signals.formats] + [f"asks for {one}" for one in signals.asks_for]
    return frozenset([*formats, f"language {signals.language.code}"])


def _spread(at: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return at[np.linspace(0, len(at) - 1, min(len(at), most)).astype(np.int64)] if len(at) else at
