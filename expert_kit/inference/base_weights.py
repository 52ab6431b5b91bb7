"""What the own weights of a loaded base hold: one record for all engines that run the model."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from expert_kit.errors import NotComposableError


class BaseWeights:
    """State of one model's weights. Whoever reads or changes them holds ``turn``, or has checked the state while holding it."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        """Held for a step of a batch, for any other pass, and while the weights change."""
        self.merged: object | None = None
        """The mix that they hold besides the base, by identity."""
        self.schedulers: WeakSet[Any] = WeakSet()
        """Whose batches run on the model."""

    def check(self, assumed: object | None = None) -> None:
        """Refuse what was prepared for other weights than these.

        Raises:
            NotComposableError: ``base_merged``, they hold experts; ``weights_changed``, no longer.
        """
        if assumed is not self.merged:
            raise merged_error() if self.merged is not None else changed_error()


_KNOWN: WeakKeyDictionary[Any, BaseWeights] = WeakKeyDictionary()
_KNOWING = threading.Lock()


def weights_of(model: Any) -> BaseWeights:
    """The one record of a model."""
    with _KNOWING:
        return _KNOWN.setdefault(model, BaseWeights())


def merged_error() -> NotComposableError:
    """What is refused while the base's weights hold experts."""
    return NotComposableError(
        "the base has experts merged into its weights: no others can be added", hint="leave engine.merged() first", code="base_merged"
    )


def changed_error() -> NotComposableError:
    """What an answer gets under which a merge ended."""
    return NotComposableError("the weights of the base changed under this answer", hint="send the prompt again", code="weights_changed")
