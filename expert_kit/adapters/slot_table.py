"""Preallocated room for the factors of many adapters, so that attaching one is a copy and a batch reads many at once.

A block holds adapters of one rank class, each as one row of numbers: group after group, the A factors of all members, then
the transposed B factor of each. The same factor of neighbouring slots is then a strided view, which a batched multiplication
takes as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from expert_kit.adapters.besides import AnyAdapter, Besides, SlotKind, parts_of, rank_class
from expert_kit.adapters.groups import LinearGroup
from expert_kit.adapters.lora import Gain, LoraWeights
from expert_kit.adapters.soft_prompt import SoftPrompt

BLOCK_SLOTS = 16
_ALIGN = 32
# Rows that all start at the same place of a memory page would compete for the same lines of the cache.
_PAGE = 4096
_KNOWN_RUNS = 64

Run = tuple[int, int]
"""First number of a slot and the one behind the last."""


_NOTHING = Besides()


@dataclass(frozen=True, eq=False)
class Slot:
    """Room that one adapter has; stale once the adapter was removed, whoever has the room then."""

    block: SlotBlock
    index: int
    generation: int

    @property
    def is_current(self) -> bool:
        """Whether the room still holds the adapter that it was given for."""
        return self.block.generations[self.index] == self.generation

    @property
    def members(self) -> frozenset[str]:
        """Paths of the modules that the adapter has factors for."""
        return self.block.members[self.index]

    @property
    def gains(self) -> Mapping[str, Gain]:
        """Factors of DoRA and IA3 on what a module says or reads, by its path; empty for LoRA."""
        return self.block.besides[self.index].gains

    @property
    def prompt(self) -> SoftPrompt | None:
        """What goes before the text of its rows."""
        return self.block.besides[self.index].prompt

    @property
    def layers(self) -> Mapping[str, nn.Module]:
        """What its rows have in place of the base's layers, by path; mostly empty."""
        return self.block.besides[self.index].layers

    @property
    def kind(self) -> SlotKind:
        """What the adapter in it does."""
        if self.layers:
            return SlotKind.WHOLE
        if self.prompt is not None:
            return SlotKind.SOFT_PROMPT
        if not self.gains:
            return SlotKind.SUM
        return SlotKind.GAIN_AND_SUM if self.members else SlotKind.SCALE


RowMix = tuple[tuple[Slot, float], ...]
"""Slots of one row and their weights; empty for the base."""


def prompt_of(mix: RowMix) -> SoftPrompt | None:
    """What goes before the text of a row with this mix; a soft prompt is always alone."""
    return next((slot.prompt for slot, _ in mix if slot.prompt), None)


@dataclass(frozen=True, eq=False)
class ParkedSlot:
    """A slot's numbers outside of its block, scaled and padded already."""

    rank: int
    members: frozenset[str]
    numbers: torch.Tensor
    besides: Besides

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.numbers.nbytes + self.besides.nbytes


class SlotBlock:
    """Slots of one rank class; adapters of a smaller rank are padded with zeros. Class 0 is for those without factors."""

    def __init__(self, groups: Sequence[LinearGroup], rank: int, slots: int, device: torch.device, dtype: torch.dtype) -> None:
        self.rank = rank
        self.generations = [0] * slots
        self.taken = [False] * slots
        self.members: list[frozenset[str]] = [frozenset()] * slots
        self.besides: list[Besides] = [_NOTHING] * slots
        self._known_runs: dict[frozenset[str], list[Run]] = {frozenset(): []}
        self._offsets: dict[LinearGroup, int] = {}
        size = 0
        for group in groups:
            self._offsets[group] = size
            size += -(-group.elements(rank) // _ALIGN) * _ALIGN
        self._size = size
        self.rows = _zeros(slots, size + _ALIGN if size * dtype.itemsize % _PAGE == 0 else size, device, dtype)
        """(slots, numbers)"""

    @property
    def is_full(self) -> bool:
        """Whether there is no free slot."""
        return all(self.taken)

    def put(self, adapter: AnyAdapter) -> Slot:
        """Copy an adapter into the first free slot."""
        index = self.taken.index(False)
        stacked, besides = parts_of(adapter)
        self._clear(index, keep=stacked.keys())
        row = self.rows[index]
        for group in self._offsets if stacked else ():
            for at, member in enumerate(group.members):
                if factors := stacked.get(member.path):
                    _write(self._a(row, group)[at * self.rank : (at + 1) * self.rank], factors.a)
                    _write(self._bt(row, group, at), factors.b.T)
        return self._take(index, frozenset(stacked), besides)

    def park(self, slot: Slot) -> ParkedSlot:
        """A copy of a slot's numbers, for :meth:`unpark`."""
        row = self.rows[slot.index]
        runs = self._runs(slot.members)
        numbers = torch.cat([row[start:end] for start, end in runs]) if runs else row.new_empty(0)
        return ParkedSlot(self.rank, slot.members, numbers, self.besides[slot.index])

    def unpark(self, parked: ParkedSlot) -> Slot:
        """Copy a parked adapter into the first free slot."""
        index, taken = self.taken.index(False), 0
        self._clear(index, keep=parked.members)
        for start, end in self._runs(parked.members):
            self.rows[index, start:end] = parked.numbers[taken : taken + end - start]
            taken += end - start
        return self._take(index, parked.members, parked.besides)

    def free(self, slot: Slot) -> None:
        """Give the room back; its numbers stay until it is used again."""
        self.generations[slot.index] += 1
        self.besides[slot.index] = _NOTHING
        self.taken[slot.index] = False

    def factors(self, index: int, group: LinearGroup) -> dict[int, LoraWeights]:
        """Views of an adapter's factors by the number of the member; modules that it does not change are left out."""
        row, present, gains = self.rows[index], self.members[index], self.besides[index].gains
        if not present:
            return {}
        a = self._a(row, group)
        return {
            at: LoraWeights(a[at * self.rank : (at + 1) * self.rank], self._bt(row, group, at).T, gains.get(member.path))
            for at, member in enumerate(group.members)
            if member.path in present
        }

    def adapter(self, slot: Slot) -> dict[str, LoraWeights]:
        """Views of all factors of an adapter, padded to the rank of the block; of rank 0 where it only scales."""
        found = {group: self.factors(slot.index, group) for group in self._offsets}
        factors = {group.members[at].path: one for group, present in found.items() for at, one in present.items()}
        for own, member in ((group, member) for group in self._offsets for member in group.members):
            if member.path in slot.gains and member.path not in factors:
                a, b = self.rows.new_zeros(0, own.columns), self.rows.new_zeros(member.end - member.start, 0)
                factors[member.path] = LoraWeights(a, b, slot.gains[member.path])
        return factors

    def stacked(self, rows: torch.Tensor, group: LinearGroup) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Of ``rows`` (slots, numbers): A (slots, members * rank, in), and for each member B transposed (slots, rank, out)."""
        return self._a(rows, group), [self._bt(rows, group, at) for at in range(len(group.members))]

    def _take(self, index: int, members: frozenset[str], besides: Besides) -> Slot:
        self.members[index], self.besides[index] = members, besides
        self.taken[index] = True
        return Slot(self, index, self.generations[index])

    def _clear(self, index: int, keep: Collection[str]) -> None:
        """Zero the modules of the last adapter in this slot that the next one will not write."""
        for start, end in self._runs(self.members[index] - set(keep)):
            self.rows[index, start:end] = 0

    def _runs(self, members: frozenset[str]) -> list[Run]:
        """Where these modules' factors are, neighbours joined; the filling between groups counts to the group before it."""
        if members not in self._known_runs:
            if len(self._known_runs) > _KNOWN_RUNS:
                self._known_runs = {frozenset(): []}
            self._known_runs[members] = self._find_runs(members)
        return self._known_runs[members]

    def _find_runs(self, members: frozenset[str]) -> list[Run]:
        runs: list[Run] = []
        groups = list(self._offsets)
        ends = [*list(self._offsets.values())[1:], self._size]
        for group, group_end in zip(groups, ends, strict=True):
            present = [at for at, member in enumerate(group.members) if member.path in members]
            for start, end in [self._a_run(group, at) for at in present] + [self._bt_run(group, at) for at in present]:
                is_last = end == self._offsets[group] + group.elements(self.rank)
                end = group_end if is_last else end
                if runs and runs[-1][1] == start:
                    runs[-1] = (runs[-1][0], end)
                else:
                    runs.append((start, end))
        return runs

    def _a_run(self, group: LinearGroup, at: int) -> Run:
        size = self.rank * group.columns
        return self._offsets[group] + at * size, self._offsets[group] + (at + 1) * size

    def _bt_run(self, group: LinearGroup, at: int) -> Run:
        first = self._offsets[group] + self.rank * len(group.members) * group.columns
        return first + self.rank * group.members[at].start, first + self.rank * group.members[at].end

    def _a(self, rows: torch.Tensor, group: LinearGroup) -> torch.Tensor:
        start, height = self._offsets[group], len(group.members) * self.rank
        return rows[..., start : start + height * group.columns].unflatten(-1, (height, group.columns))

    def _bt(self, rows: torch.Tensor, group: LinearGroup, at: int) -> torch.Tensor:
        start, end = self._bt_run(group, at)
        return rows[..., start:end].unflatten(-1, (self.rank, -1))


class SlotTable:
    """Blocks by rank class, made when first needed."""

    def __init__(self, groups: Sequence[LinearGroup], device: torch.device, dtype: torch.dtype, block_slots: int = BLOCK_SLOTS) -> None:
        self._groups, self._device, self._dtype, self._block_slots = groups, device, dtype, block_slots
        self._blocks: list[SlotBlock] = []

    def put(self, adapter: AnyAdapter) -> Slot:
        """Copy an adapter into a slot; the scaling is in its B factors and is not applied again."""
        return self._with_room(rank_class(adapter)).put(adapter)

    def unpark(self, parked: ParkedSlot) -> Slot:
        """Copy back what :meth:`SlotBlock.park` gave."""
        return self._with_room(parked.rank).unpark(parked)

    def free(self, slot: Slot) -> None:
        """Give a slot back. Its memory stays for the next one, until :meth:`trim` or until another rank class needs a block."""
        slot.block.free(slot)

    def trim(self) -> None:
        """Give up the blocks that are empty."""
        self._blocks = [block for block in self._blocks if any(block.taken)]

    def nbytes_of(self, adapter: AnyAdapter) -> int:
        """Bytes that an adapter will touch."""
        stacked, besides = parts_of(adapter)
        sizes = {member.path: group.columns + member.end - member.start for group in self._groups for member in group.members}
        return rank_class(adapter) * sum(sizes[module] for module in stacked) * self._dtype.itemsize + besides.nbytes

    @property
    def slots(self) -> int:
        """Slots taken."""
        return sum(sum(block.taken) for block in self._blocks)

    def _with_room(self, rank: int) -> SlotBlock:
        for block in self._blocks:
            if block.rank == rank and not block.is_full:
                return block
        self.trim()
        self._blocks.append(SlotBlock(self._groups, rank, self._block_slots, self._device, self._dtype))
        return self._blocks[-1]


def _write(room: torch.Tensor, factors: torch.Tensor) -> None:
    room[: len(factors)] = factors
    if len(factors) < len(room):
        room[len(factors) :] = 0


def _zeros(rows: int, size: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    if device.type != "cpu":
        return torch.zeros(rows, size, device=device, dtype=dtype)
    # Unlike torch, numpy asks the system for zeroed memory, which takes none until it is written.
    return torch.from_numpy(np.zeros((rows, size * dtype.itemsize), np.uint8)).view(dtype)
