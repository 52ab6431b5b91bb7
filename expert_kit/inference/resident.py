"""Adapters held in memory: by digest, counted while in use, the longest unused given up first.

Two tiers: slots, from which a batch can use them, and parked copies in main memory, which go back into a slot with one copy.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from expert_kit.adapters import AnyAdapter, ParkedSlot, Slot, SlotTable
from expert_kit.errors import CapacityError, UsageError
from expert_kit.names import Digest

_REMEMBERED_TIMES = 512


@dataclass(eq=False)
class _Held:
    slot: Slot
    nbytes: int
    references: int = 0
    pins: int = 0

    @property
    def may_go(self) -> bool:
        return self.references == 0 and self.pins == 0


@dataclass
class ResidentStats:
    """Counts since the engine was made."""

    hits: int = 0
    loads: int = 0
    unparked: int = 0
    evictions: int = 0
    load_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_TIMES))
    unpark_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_TIMES))


class ResidentAdapters:
    """A cache with a budget in bytes for each tier; what is referenced or pinned is never given up. Safe under threads."""

    def __init__(self, table: SlotTable, budget: int, parked_budget: int = 0) -> None:
        """Take the slots.

        Args:
            table: where adapters go; nobody else may use it.
            budget: bytes of adapters in slots.
            parked_budget: bytes of adapters that lost their slot; 0 parks none.

        Raises:
            UsageError: ``adapter_memory``, not a number of bytes.
        """
        if not all(type(one) is int and one >= 0 for one in (budget, parked_budget)):
            message = f"adapters cannot have {budget!r} bytes, and {parked_budget!r} when parked"
            raise UsageError(message, hint="give adapter_memory and parked_memory as integers of bytes", code="adapter_memory")
        self.budget, self.parked_budget = budget, parked_budget
        self.stats = ResidentStats()
        self._table = table
        self._held: OrderedDict[Digest, _Held] = OrderedDict()
        self._parked: OrderedDict[Digest, ParkedSlot] = OrderedDict()
        self._loading: dict[Digest, threading.Event] = {}
        self._lock = threading.Lock()

    def acquire(self, digest: Digest, load: Callable[[], AnyAdapter]) -> Slot:
        """The adapter's slot, loaded if it has none, with one more reference.

        Loads of different adapters run side by side; callers of one digest share its load.

        Raises:
            CapacityError: ``adapters_over_budget``, it does not fit beside those in use.
        """
        while True:
            with self._lock:
                if held := self._held.get(digest):
                    self.stats.hits += 1
                    held.references += 1
                    self._held.move_to_end(digest)
                    return held.slot
                others = self._loading.get(digest)
                if others is None:
                    done = self._loading[digest] = threading.Event()
            if others is not None:
                # When that load fails, this caller tries itself and gets its own error.
                others.wait()
                continue
            try:
                return self._load(digest, load)
            finally:
                with self._lock:
                    del self._loading[digest]
                done.set()

    def release(self, digest: Digest) -> None:
        """Drop one reference; the adapter stays until its room is needed.

        Raises:
            UsageError: ``released_twice``.
        """
        with self._lock:
            held = self._held.get(digest)
            if held is None or held.references == 0:
                raise UsageError(f"{digest} was released more often than attached", code="released_twice")
            held.references -= 1
            self._held.move_to_end(digest)

    def pin(self, digest: Digest, pinned: bool = True) -> None:
        """Keep an adapter that is here, also without references; or no longer, once everybody who pinned it says so."""
        with self._lock:
            if held := self._held.get(digest):
                held.pins = held.pins + 1 if pinned else max(0, held.pins - 1)

    def clear(self) -> None:
        """Forget every adapter that is not in use, pinned ones and parked copies too."""
        with self._lock:
            for digest in [digest for digest, held in self._held.items() if held.references == 0]:
                self._table.free(self._held.pop(digest).slot)
            self._table.trim()
            self._parked.clear()

    @property
    def nbytes(self) -> int:
        """Bytes in slots."""
        return sum(held.nbytes for held in self._held.values())

    @property
    def parked_nbytes(self) -> int:
        """Bytes of parked copies."""
        return sum(parked.nbytes for parked in self._parked.values())

    @property
    def digests(self) -> tuple[Digest, ...]:
        """What has a slot, longest unused first."""
        return tuple(self._held)

    def has_slot(self, digest: Digest) -> bool:
        """Whether an adapter needs no loading now."""
        return digest in self._held

    @property
    def references(self) -> int:
        """References in all."""
        return sum(held.references for held in self._held.values())

    def _load(self, digest: Digest, load: Callable[[], AnyAdapter]) -> Slot:
        started = time.perf_counter()
        with self._lock:
            parked = self._parked.pop(digest, None)
            if parked is not None:
                try:
                    self._make_room(parked.nbytes)
                except CapacityError:
                    self._parked[digest] = parked
                    raise
                slot = self._table.unpark(parked)
                self._held[digest] = _Held(slot, parked.nbytes, references=1)
                self.stats.unparked += 1
                self.stats.unpark_seconds.append(time.perf_counter() - started)
                return slot
        adapter = load()
        with self._lock:
            nbytes = self._table.nbytes_of(adapter)
            self._make_room(nbytes)
            slot = self._table.put(adapter)
            self._held[digest] = _Held(slot, nbytes, references=1)
            self.stats.loads += 1
            self.stats.load_seconds.append(time.perf_counter() - started)
            return slot

    def _make_room(self, wanted: int) -> None:
        free = self.budget - self.nbytes
        going = []
        for digest, held in self._held.items():
            if free >= wanted:
                break
            if held.may_go:
                going.append(digest)
                free += held.nbytes
        if free < wanted:
            in_use = sum(held.nbytes for held in self._held.values() if not held.may_go)
            raise CapacityError(
                f"an adapter of {wanted:,} bytes does not fit: {in_use:,} of {self.budget:,} bytes hold experts in use",
                hint="release experts, or give the engine more adapter_memory",
                code="adapters_over_budget",
            )
        for digest in going:
            self._evict(digest)

    def _evict(self, digest: Digest) -> None:
        held = self._held.pop(digest)
        if held.nbytes <= self.parked_budget:
            while self.parked_nbytes + held.nbytes > self.parked_budget:
                self._parked.popitem(last=False)
            self._parked[digest] = held.slot.block.park(held.slot)
        self._table.free(held.slot)
        self.stats.evictions += 1
