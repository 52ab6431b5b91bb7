"""Candidates -> what a fit is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from expert_kit.routing.corpus import Batch, Corpus, Labelled, build_corpus, unique_texts
from expert_kit.routing.decision import RoutingConfig
from expert_kit.routing.embedding import Candidate
from expert_kit.routing.encoder import Encoder
from expert_kit.routing.fitted import Fitted
from expert_kit.routing.fitting import FitSettings, can_fit, fit, fit_key
from expert_kit.routing.reading import Reader


@dataclass(frozen=True, eq=False)
class FitInputs:
    """Everything a fit depends on."""

    candidates: tuple[Candidate, ...]
    corpus: Corpus
    validation: Labelled | None
    generic: tuple[str, ...]
    """Prompts that the user said no expert should answer."""
    settings: FitSettings
    reader: Reader

    @classmethod
    def of(cls, candidates: Sequence[Candidate], reader: Reader, config: RoutingConfig | None = None, generic: Sequence[str] = ()) -> Self:
        """Embed what is new. An expert without examples is represented by its card.

        Raises:
            CheckUnavailableError: from the encoder.
        """
        config = config or RoutingConfig()
        ordered = tuple(sorted(candidates, key=lambda one: one.digest))
        experts = [(one.digest, one.name, one.category, one.examples or (one.card,)) for one in ordered]
        corpus = build_corpus(experts, reader.embed, reader.encoder.parts, _words_of(reader.encoder))
        settings = FitSettings(loss=config.loss, alpha=config.alpha, min_score=config.min_score)
        return cls(ordered, corpus, _validation(ordered, reader), tuple(generic), settings, reader)

    @cached_property
    def key(self) -> str:
        """Names these inputs; see ``fit_key``."""
        return fit_key(self.corpus, self.validation, self.settings, self.reader.encoder.id, self.generic)

    @property
    def can_fit(self) -> bool:
        """Whether there is enough."""
        return can_fit(self.corpus, self.validation)

    @property
    def work(self) -> int:
        """Examples times experts: what fitting costs grows with it."""
        return len(self.corpus.texts) * self.corpus.size

    def fit(self) -> Fitted:
        """Fit everything; only where :attr:`can_fit`."""
        return fit(self.corpus, self.validation, self.reader, self.settings, self.key, self.generic)


def _validation(candidates: Sequence[Candidate], reader: Reader) -> Labelled | None:
    """Each text once, with all experts that name it."""
    owners: dict[str, list[int]] = {}
    for at, one in enumerate(candidates):
        for text in unique_texts(one.validation):
            owners.setdefault(text, []).append(at)
    if not owners:
        return None
    texts = tuple(sorted(owners))
    targets = np.zeros((len(texts), len(candidates)), np.bool_)
    for row, text in enumerate(texts):
        targets[row, owners[text]] = True
    return Labelled(Batch(texts, reader.embed(texts), reader.encoder.parts), targets)


def _words_of(encoder: Encoder) -> tuple[str, ...]:
    """Words that are right though no example has them; empty where the encoder cannot say."""
    own: Callable[[], tuple[str, ...]] | None = getattr(encoder, "words", None)
    return own() if own is not None else ()
