"""What a router is: it scores every expert for a prompt, and does nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from expert_kit.routing.corpus import Batch, Corpus
from expert_kit.routing.encoder import Vectors

Arrays = dict[str, NDArray[Any]]


class FittedRouter(ABC):
    """One way of scoring, fitted on a corpus. Scores of different routers have different units; the fusion learns them."""

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, corpus: Corpus) -> Self:
        """Fit on the examples of all experts."""

    @abstractmethod
    def logits(self, batch: Batch) -> Vectors:
        """(n, experts) float32; higher is better."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """What :meth:`load` needs besides the corpus."""

    @classmethod
    @abstractmethod
    def load(cls, arrays: Arrays, corpus: Corpus) -> Self:
        """The same router again."""

    @classmethod
    def fits(cls, corpus: Corpus) -> bool:
        """Whether it can be fitted on this corpus at all."""
        return corpus.size > 0 and len(corpus.texts) > 0
