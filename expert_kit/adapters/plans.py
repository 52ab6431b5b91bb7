"""Which adapters act on which rows of a batch, and the multiplications that this takes.

Rows that all have one mix take two dense products a layer. Rows with mixes of their own are gathered by slot and multiplied
slot by slot in one batched product, so that nobody pays for the experts of the others. Rows of the base take part in neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch

from expert_kit.adapters.gain_passes import InputScales, gain_passes, gains_of, input_scales
from expert_kit.adapters.groups import LinearGroup
from expert_kit.adapters.lora import Adapter, LoraWeights
from expert_kit.adapters.slot_table import Slot, SlotBlock

ACTIVE: ContextVar[RowPlan | None] = ContextVar("expert_kit_row_plan", default=None)
"""The plan in force for the running thread."""

_WIDE_RANKS = 64
"""With more ranks than these the zeros beside the factors cost more than the calls that they save."""

RowMix = tuple[tuple[Slot, float], ...]
"""Slots of one row and their weights; empty for the base."""


class Pass(Protocol):
    """Some adapters on some rows."""

    def add(self, group: LinearGroup, x: torch.Tensor, ys: Sequence[torch.Tensor], whole: torch.Tensor | None = None) -> None:
        """Add in place what the adapters make of an input.

        Args:
            group: the linear layers that read it.
            x: (rows, ..., in)
            ys: output (rows, ..., out) of each member.
            whole: the same outputs side by side, where they are parts of one tensor.
        """


@dataclass(frozen=True, eq=False)
class RowPlan:
    """What acts on each row of one batch; rows in no pass are the base's."""

    passes: tuple[Pass, ...]
    rows: int
    """Batch size that the plan is for."""
    slots: tuple[Slot, ...] = ()
    inputs: InputScales | None = None

    @classmethod
    def of(cls, adapters: Sequence[Adapter | None]) -> RowPlan:
        """One adapter outside of any slot, or ``None`` for the base, per row; rows with the same object share a product."""
        members: dict[int, tuple[list[int], Adapter]] = {}
        for row, adapter in enumerate(adapters):
            if adapter is not None:
                members.setdefault(id(adapter), ([], adapter))[0].append(row)
        passes = [DensePass(_loose(adapter), _unless_all(rows, len(adapters))) for rows, adapter in members.values()]
        gains = [{path: one.gain for path, one in (adapter or {}).items() if one.gain} for adapter in adapters]
        return cls((*gain_passes(gains), *passes), len(adapters), inputs=input_scales(gains))

    @classmethod
    def of_slots(cls, mixes: Sequence[RowMix]) -> RowPlan:
        """The experts in slots that act on each row."""
        slots = tuple({id(slot): slot for mix in mixes for slot, _ in mix}.values())
        gains = [gains_of(mix) for mix in mixes]
        passes, inputs = gain_passes(gains), input_scales(gains)
        if mixes and mixes[0] and all(mix == mixes[0] for mix in mixes):
            return cls((*passes, DensePass(_mixed(mixes[0]), None)), len(mixes), slots, inputs)
        blocks = list({id(slot.block): slot.block for slot in slots if slot.members}.values())
        return cls((*passes, *(_stacked_pass(block, mixes) for block in blocks)), len(mixes), slots, inputs)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Apply the plan to forward passes of this thread inside the block."""
        if not all(slot.is_current for slot in self.slots):
            raise RuntimeError("a plan outlived an adapter of its slots")
        token = ACTIVE.set(self)
        try:
            yield
        finally:
            ACTIVE.reset(token)

    def add(self, group: LinearGroup, x: torch.Tensor, ys: Sequence[torch.Tensor], whole: torch.Tensor | None = None) -> None:
        """All passes; see ``Pass``."""
        if x.shape[0] != self.rows:
            raise RuntimeError(f"a plan for {self.rows} rows met a batch of {x.shape[0]}")
        for one in self.passes:
            one.add(group, x, ys, whole)


class GroupFactors(NamedTuple):
    """Factors of a group, its members' A stacked; each part is a member's number, its rows of A, and B transposed."""

    a: torch.Tensor
    parts: tuple[tuple[int, slice, torch.Tensor], ...]
    wide: torch.Tensor | None = None
    """All B of the parts as one matrix (rows of A, outputs of all members), zeros elsewhere."""


def _fast(factors: GroupFactors | None, group: LinearGroup, x: torch.Tensor) -> GroupFactors | None:
    """A processor multiplies one row by small float32 matrices several times faster than by bfloat16 ones, and by one than by three."""
    if factors is None or x.device.type != "cpu":
        return factors
    a, parts = factors.a.float(), tuple((member, rows, bt.float()) for member, rows, bt in factors.parts)
    if len(parts) == 1 or len(a) > _WIDE_RANKS:
        return GroupFactors(a, parts)
    wide = torch.zeros(len(a), group.rows)
    for member, rows, bt in parts:
        wide[rows, group.members[member].start : group.members[member].end] = bt
    return GroupFactors(a, parts, wide)


class _FindFactors(Protocol):
    def __call__(self, group: LinearGroup) -> GroupFactors | None: ...


@dataclass(eq=False)
class DensePass:
    """One adapter or mix on all rows, or on some: two products for each layer."""

    find: _FindFactors
    some: tuple[int, ...] | None
    _found: dict[LinearGroup, GroupFactors | None] = field(default_factory=dict)

    def add(self, group: LinearGroup, x: torch.Tensor, ys: Sequence[torch.Tensor], whole: torch.Tensor | None = None) -> None:
        """See ``Pass``."""
        if group not in self._found:
            self._found[group] = _fast(self.find(group), group, x)
        factors = self._found[group]
        if factors is None:
            return
        index = None if self.some is None else torch.tensor(self.some, device=x.device)
        inner = torch.nn.functional.linear((x if index is None else x[index]).to(factors.a.dtype), factors.a)
        if factors.wide is not None and whole is not None and index is None:
            whole.add_(inner @ factors.wide)
            return
        for member, rows, bt in factors.parts:
            delta = inner[..., rows] @ bt
            if index is None:
                ys[member].add_(delta)
            else:
                ys[member].index_add_(0, index, delta.to(x.dtype))


def _loose(adapter: Adapter) -> _FindFactors:
    def find(group: LinearGroup) -> GroupFactors | None:
        there = {at: adapter[member.path] for at, member in enumerate(group.members) if member.path in adapter}
        present = {at: one for at, one in there.items() if one.rank}
        return _joined([(present, 1.0)]) if present else None

    return find


def _mixed(mix: RowMix) -> _FindFactors:
    def find(group: LinearGroup) -> GroupFactors | None:
        experts = [(slot.block.factors(slot.index, group), weight) for slot, weight in mix]
        return _joined(experts) if any(present for present, _ in experts) else None

    return find


def _joined(experts: Sequence[tuple[dict[int, LoraWeights], float]]) -> GroupFactors:
    """Factors of a weighted sum: ranks side by side, weights in B."""
    stack: list[torch.Tensor] = []
    parts, start = [], 0
    for member in sorted({member for present, _ in experts for member in present}):
        there = [(present[member], weight) for present, weight in experts if member in present]
        end = start + sum(factors.rank for factors, _ in there)
        bts = [factors.b.T if weight == 1 else factors.b.T * weight for factors, weight in there]
        parts.append((member, slice(start, end), bts[0] if len(bts) == 1 else torch.cat(bts)))
        stack += [factors.a for factors, _ in there]
        start = end
    return GroupFactors(stack[0] if len(stack) == 1 else torch.cat(stack), tuple(parts))


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
        self._views: dict[LinearGroup, tuple[torch.Tensor, list[tuple[int, slice, torch.Tensor]]]] = {}

    def add(self, group: LinearGroup, x: torch.Tensor, ys: Sequence[torch.Tensor], whole: torch.Tensor | None = None) -> None:
        """See ``Pass``."""
        a, parts = self._factors(group)
        if not parts:
            return
        tokens = x.shape[1:-1].numel()
        slots = self.storage.shape[0]
        entries = x if self._in_order else x.index_select(0, self.gather)
        inner = torch.bmm(entries.reshape(slots, -1, group.columns), a)
        for member, rows, bt in parts:
            y = ys[member]
            if self._straight and tokens == 1:
                y.view(slots, 1, -1).baddbmm_(inner[..., rows], bt)
                continue
            delta = self._taken(torch.bmm(inner[..., rows], bt), tokens).view(-1, *y.shape[1:])
            if self.some is None:
                y.add_(delta)
            else:
                y.index_add_(0, self.some, delta)

    def _taken(self, delta: torch.Tensor, tokens: int) -> torch.Tensor:
        """(slots, entries * tokens, out) -> (rows that take part, tokens * out)."""
        picked = delta.view(-1, tokens * delta.shape[-1]).index_select(0, self.take)
        if self._plain:
            return picked
        return torch.bmm(self.weights, picked.view(len(self.weights), self.weights.shape[2], -1))[:, 0]

    def _factors(self, group: LinearGroup) -> tuple[torch.Tensor, list[tuple[int, slice, torch.Tensor]]]:
        if group not in self._views:
            a, bts = self.block.stacked(self.storage, group)
            rank = self.block.rank
            parts = [(at, slice(at * rank, (at + 1) * rank), bt) for at, bt in enumerate(bts) if group.members[at].path in self.members]
            self._views[group] = a.transpose(1, 2), parts
        return self._views[group]


def _stacked_pass(block: SlotBlock, mixes: Sequence[RowMix]) -> StackedPass:
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


def _unless_all(rows: list[int], count: int) -> tuple[int, ...] | None:
    return None if len(rows) == count else tuple(rows)
