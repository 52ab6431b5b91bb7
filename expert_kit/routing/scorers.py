"""The table of routers. A new one is a class and a row of ``ROUTERS``."""

from __future__ import annotations

from typing import Final

from expert_kit.routing.cosines import Centroids, Neighbours
from expert_kit.routing.heads import Categories, LayerHead, LetterHead, SentenceHead, WordHead
from expert_kit.routing.scorer import FittedRouter
from expert_kit.routing.signal_head import SignalHead

ROUTERS: Final[dict[str, type[FittedRouter]]] = {
    router.name: router for router in (SentenceHead, LayerHead, WordHead, LetterHead, Centroids, Neighbours, Categories, SignalHead)
}
"""Every router of the fusion by its name."""
