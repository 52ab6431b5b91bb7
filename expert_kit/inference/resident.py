"""Adapters held in memory: by digest, counted while in use, the longest unused given up first."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from expert_kit.adapters import Adapter
from expert_kit.errors import CapacityError, UsageError
from expert_kit.names import Digest


@dataclass(eq=False)
class _Slot:
    adapter: Adapter
    nbytes: int
    references: int = 0


@dataclass
class ResidentStats:
    """Counts since the engine was made."""

    hits: int = 0
    loads: int = 0
    evictions: int = 0
    load_seconds: list[float] = field(default_factory=list)


class ResidentAdapters:
    """A cache with a budget in bytes; what is referenced is never given up. Safe under threads."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.stats = ResidentStats()
        self._slots: OrderedDict[Digest, _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def acquire(self, digest: Digest, load: Callable[[], Adapter]) -> Adapter:
        """The adapter, loaded if it is not here, with one more reference.

        Raises:
            CapacityError: ``adapters_over_budget``, it does not fit beside those in use.
        """
        # One load at a time: two callers of one digest share it, and the budget is checked against the truth.
        with self._lock:
            slot = self._slots.get(digest)
            if slot is None:
                slot = self._load(digest, load)
            else:
                self.stats.hits += 1
            slot.references += 1
            self._slots.move_to_end(digest)
            return slot.adapter

    def release(self, digest: Digest) -> None:
        """Drop one reference; the adapter stays until its room is needed.

        Raises:
            UsageError: ``released_twice``.
        """
        with self._lock:
            slot = self._slots.get(digest)
            if slot is None or slot.references == 0:
                raise UsageError(f"{digest} was released more often than attached", code="released_twice")
            slot.references -= 1

    def clear(self) -> None:
        """Forget every adapter that is not in use."""
        with self._lock:
            for digest in [digest for digest, slot in self._slots.items() if slot.references == 0]:
                del self._slots[digest]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(slot.nbytes for slot in self._slots.values())

    @property
    def digests(self) -> tuple[Digest, ...]:
        """What is held, longest unused first."""
        return tuple(self._slots)

    def _load(self, digest: Digest, load: Callable[[], Adapter]) -> _Slot:
        started = time.perf_counter()
        adapter = load()
        slot = _Slot(adapter, sum(factors.nbytes for factors in adapter.values()))
        self._make_room(slot.nbytes)
        self._slots[digest] = slot
        self.stats.loads += 1
        self.stats.load_seconds.append(time.perf_counter() - started)
        return slot

    def _make_room(self, wanted: int) -> None:
        for digest in [digest for digest, slot in self._slots.items() if slot.references == 0]:
            if self.nbytes + wanted <= self.budget:
                return
            del self._slots[digest]
            self.stats.evictions += 1
        if self.nbytes + wanted > self.budget:
            raise CapacityError(
                f"an adapter of {wanted:,} bytes does not fit: {self.nbytes:,} of {self.budget:,} bytes hold experts in use",
                hint="release experts, or give the engine more adapter_memory",
                code="adapters_over_budget",
            )
