"""The table of routers. A new one is a class and a row of ``ROUTERS``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from expert_kit.names import Digest
from expert_kit.routing.corpus import Batch, Labelled
from expert_kit.routing.cosines import Centroids, Neighbours
from expert_kit.routing.heads import Categories, LayerHead, LetterHead, SentenceHead, TypingHead, WordHead
from expert_kit.routing.scorer import FittedRouter

ROUTERS: Final[dict[str, type[FittedRouter]]] = {
    router.name: router for router in (SentenceHead, LayerHead, TypingHead, WordHead, LetterHead, Centroids, Neighbours, Categories)
}
"""Every router of the fusion by its name."""


def scores_of(router: FittedRouter, digests: Sequence[Digest], batch: Batch) -> dict[Digest, np.float32]:
    """One prompt's scores by expert."""
    return dict(zip(digests, router.logits(batch)[0], strict=True))


def labelled_rows(labelled: Labelled, at: NDArray[np.int64]) -> Labelled:
    """Some of the prompts."""
    batch = labelled.batch
    return Labelled(Batch(tuple(batch.texts[place] for place in at), batch.rows[at], batch.parts), labelled.targets[at])
