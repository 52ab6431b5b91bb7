"""Rows with mixes of their own: gathered by slot, and multiplied slot by slot in one batched product for each factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from expert_kit.adapters.groups import LinearGroup
from expert_kit.adapters.slot_table import RowMix, SlotBlock

_Parts = list[tuple[int, torch.Tensor]]
"""Numbers of members, and B transposed (slots, rank, out) of each."""


@dataclass(eq=False)
class StackedPass:
    """The adapters of one block, each on rows of its own.

    Entries are pairs of a slot and one of its rows, as many for every slot; ``gather`` names their rows. Every row takes back as
    many entries with weights. What fills up is a row's own entry once more, with weight 0, so that numbers of one row never
    reach another.
    """

    block: SlotBlock
    storage: torch.Tensor
    """(slots, numbers): a range of the block, or a copy of the active slots where most of a range would be idle."""
    members: frozenset[str]
    """What any of the slots changes."""
    gather: torch.Tensor
    take: torch.Tensor
    weights: torch.Tensor
    """(rows, 1, entries of a row)"""
    some: torch.Tensor | None
    """The rows that take part; ``None`` for all."""

    def __post_init__(self) -> None:
        """Find out which steps can be left out."""
        self._in_order = self.some is None and torch.equal(self.gather, torch.arange(len(self.weights), device=self.gather.device))
        self._plain = self.weights.shape[2] == 1 and bool((self.weights == 1).all())
        self._straight = self._in_order and torch.equal(self.gather, self.take) and self._plain
        self._views: dict[LinearGroup, tuple[torch.Tensor, _Parts]] = {}

    def add(self, group: LinearGroup, x: torch.Tensor, ys: Sequence[torch.Tensor], whole: torch.Tensor | None = None) -> None:
        """See ``Pass``."""
        a, parts = self._factors(group)
        if not parts:
            return
        if self._straight and x.dim() == 3 and x.shape[1] == 1:
            self._add_in_order(x, ys, a, parts)
            return
        slots, tokens = len(a), x.shape[1:-1].numel()
        entries = x if self._in_order else x.index_select(0, self.gather)
        inner = torch.bmm(entries.reshape(slots, -1, group.columns), a)
        for member, bt in parts:
            y, part = ys[member], inner[..., member * self.block.rank : (member + 1) * self.block.rank]
            picked = torch.bmm(part, bt).view(-1, tokens * y.shape[-1]).index_select(0, self.take)
            self._add_taken(y, picked)

    def _add_in_order(self, x: torch.Tensor, ys: Sequence[torch.Tensor], a: torch.Tensor, parts: _Parts) -> None:
        """One token for each row, and the rows stand as the slots do: the hot path, a product for each factor and nothing else."""
        inner = torch.bmm(x, a).view(len(a), -1, 1, self.block.rank).unbind(1)
        for member, bt in parts:
            if ys[member].is_contiguous():
                ys[member].baddbmm_(inner[member], bt)
            else:  # adding on the way would take a call for each slot
                ys[member].add_(torch.bmm(inner[member], bt))

    def _add_taken(self, y: torch.Tensor, picked: torch.Tensor) -> None:
        """Add to the rows that take part the weighted sum of their entries, which ``picked`` has row after row."""
        if self._plain:
            delta = picked.view(-1, *y.shape[1:])
        else:
            entries = picked.view(len(self.weights), self.weights.shape[2], -1)
            if self.some is None and y.is_contiguous():
                y.view(len(y), 1, -1).baddbmm_(self.weights, entries)
                return
            delta = torch.bmm(self.weights, entries).view(-1, *y.shape[1:])
        if self.some is None:
            y.add_(delta)
        else:
            y.index_add_(0, self.some, delta)

    def _factors(self, group: LinearGroup) -> tuple[torch.Tensor, _Parts]:
        if group not in self._views:
            a, bts = self.block.stacked(self.storage, group)
            parts = [(at, bt) for at, bt in enumerate(bts) if group.members[at].path in self.members]
            self._views[group] = a.transpose(1, 2), parts
        return self._views[group]


def stacked_pass(block: SlotBlock, mixes: Sequence[RowMix]) -> StackedPass:
    """Lay out the entries of one block."""
    by_slot: dict[int, list[int]] = {}
    for row, mix in enumerate(mixes):
        for slot, _ in mix:
            if slot.block is block:
                by_slot.setdefault(slot.index, []).append(row)
    device = block.rows.device
    storage, order = _active_storage(block, sorted(by_slot))
    deep = max(len(rows) for rows in by_slot.values())
    filled = {index: rows + [rows[-1]] * (deep - len(rows)) for index, rows in by_slot.items()}
    gather = [row for index in order for row in filled.get(index, [0] * deep)]
    some = [row for row, mix in enumerate(mixes) if any(slot.block is block for slot, _ in mix)]
    wide = max(sum(slot.block is block for slot, _ in mix) for mix in mixes)
    take, weights = [], []
    for row in some:
        own = [
            (order.index(slot.index) * deep + by_slot[slot.index].index(row), weight) for slot, weight in mixes[row] if slot.block is block
        ]
        own += [(own[0][0], 0.0)] * (wide - len(own))
        take += [entry for entry, _ in own]
        weights.append([[weight for _, weight in own]])
    return StackedPass(
        block, storage, frozenset().union(*(block.members[index] for index in by_slot)),
        torch.tensor(gather, device=device), torch.tensor(take, device=device), torch.tensor(weights, device=device, dtype=storage.dtype),
        None if len(some) == len(mixes) else torch.tensor(some, device=device),
    )  # fmt: skip


def _active_storage(block: SlotBlock, active: list[int]) -> tuple[torch.Tensor, list[int]]:
    first, end = active[0], active[-1] + 1
    if 2 * len(active) >= end - first:
        return block.rows[first:end], list(range(first, end))
    return block.rows[torch.tensor(active, device=block.rows.device)], active
