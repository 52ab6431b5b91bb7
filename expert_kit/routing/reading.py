"""Prompts and examples -> rows of numbers, each text embedded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expert_kit.routing.corpus import Batch, end_of
from expert_kit.routing.encoder import Encoder, Vectors, clean_text, embed, start_rows
from expert_kit.routing.vectors import VectorCache

SHORTEST_WITH_END: Final = 6
"""Words from which on a prompt is also looked at without its last three."""


class Prompts(NamedTuple):
    """Prompts to be judged, and more looks at them."""

    whole: Batch
    embed: Callable[[Sequence[str]], Vectors] | None
    """For another look at other words; None where that is not wanted."""
    starts: Callable[[Sequence[str]], Vectors] | None
    """Texts -> their rows without the last three words; None where that is not wanted."""
    has_start: NDArray[np.bool_]
    """(n,) long enough for it."""
    ends: Batch
    """The requests at the end of long prompts."""
    end_owners: NDArray[np.int64]
    """(m,) which prompt each end belongs to."""


class Reader:
    """Turns texts into rows with one encoder; examples' rows are kept on disk, prompts' are not."""

    def __init__(self, encoder: Encoder, cache: VectorCache | None = None) -> None:
        self.encoder, self._cache = encoder, cache

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n, D) rows of examples; from the cache, if there is one.

        Raises:
            CheckUnavailableError: from the encoder.
        """
        if not texts:
            return np.zeros((0, self.encoder.parts), np.float32)
        return embed(self.encoder, texts) if self._cache is None else self._cache.vectors(self.encoder, texts)

    def read(self, texts: Sequence[str], rows: Vectors | None = None) -> Prompts:
        """Prompts as routers see them; ``rows`` if they are known already.

        Raises:
            CheckUnavailableError: from the encoder.
        """
        cleaned = tuple(clean_text(text) for text in texts)
        found = {at: end for at, text in enumerate(cleaned) if (end := end_of(text)) is not None}
        parts = self.encoder.parts
        ends = Batch(tuple(found.values()), self._now(tuple(found.values())), parts)
        whole = Batch(cleaned, self._now(cleaned) if rows is None else rows, parts)
        lengths = np.array([len(text.split()) for text in cleaned])
        has_start = (lengths >= SHORTEST_WITH_END) & ~np.isin(np.arange(len(cleaned)), list(found))

        def starts(texts: Sequence[str]) -> Vectors:
            return start_rows(self.encoder, texts)

        return Prompts(whole, self._now, starts, has_start, ends, np.array(list(found), dtype=np.int64))

    def _now(self, texts: Sequence[str]) -> Vectors:
        return embed(self.encoder, texts) if texts else np.zeros((0, self.encoder.parts), np.float32)


def plain_prompts(batch: Batch) -> Prompts:
    """Prompts that are looked at as they are and in no other way."""
    nothing = Batch((), np.zeros((0, batch.rows.shape[1]), np.float32), batch.parts)
    return Prompts(batch, None, None, np.zeros(len(batch.texts), np.bool_), nothing, np.zeros(0, np.int64))
