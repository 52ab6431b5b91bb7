"""Which adapters act on which rows of a batch, and the multiplications that this takes.

Rows that all have one mix take two dense products a layer. Rows with mixes of their own are gathered by slot and multiplied
slot by slot in one batched product, so that nobody pays for the experts of the others. Rows of the base take part in neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import nn

from expert_kit.adapters.besides import WholeAdapter
from expert_kit.adapters.gain_passes import InputScales, gain_passes, gains_of, input_scales
from expert_kit.adapters.groups import LinearGroup
from expert_kit.adapters.lora import Adapter, LoraWeights
from expert_kit.adapters.slot_table import RowMix, Slot
from expert_kit.adapters.stacked_pass import stacked_pass

ACTIVE: ContextVar[RowPlan | None] = ContextVar("expert_kit_row_plan", default=None)
"""The plan in force for the running thread."""

_WIDE_RANKS = 64
"""With more ranks than these the zeros beside the factors cost more than the calls that they save."""

_STEP_TOKENS = 32
"""With more tokens than these a pass is one over a prompt, which comes once: nothing is prepared for it."""


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


class OwnLayer(NamedTuple):
    """What some rows have in place of a layer of the base."""

    layer: nn.Module
    rows: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RowPlan:
    """What acts on each row of one batch; rows in no pass are the base's."""

    passes: tuple[Pass, ...]
    rows: int
    """Batch size that the plan is for."""
    slots: tuple[Slot, ...] = ()
    inputs: InputScales | None = None
    layers: Mapping[str, Sequence[OwnLayer]] = field(default_factory=dict)
    """Whole layers of experts' own, by module path."""

    @classmethod
    def of(cls, given: Sequence[Adapter | WholeAdapter | None]) -> RowPlan:
        """One adapter outside of any slot, or ``None`` for the base, per row; rows with the same object share a product."""
        layers = _own_layers([one.layers if isinstance(one, WholeAdapter) else {} for one in given])
        adapters = [one.factors if isinstance(one, WholeAdapter) else one for one in given]
        members: dict[int, tuple[list[int], Adapter]] = {}
        for row, adapter in enumerate(adapters):
            if adapter is not None:
                members.setdefault(id(adapter), ([], adapter))[0].append(row)
        passes = [DensePass(_loose(adapter), _unless_all(rows, len(adapters))) for rows, adapter in members.values()]
        gains = [{path: one.gain for path, one in (adapter or {}).items() if one.gain} for adapter in adapters]
        return cls((*gain_passes(gains), *passes), len(adapters), inputs=input_scales(gains), layers=layers)

    @classmethod
    def of_slots(cls, mixes: Sequence[RowMix]) -> RowPlan:
        """The experts in slots that act on each row."""
        slots = tuple({id(slot): slot for mix in mixes for slot, _ in mix}.values())
        gains = [gains_of(mix) for mix in mixes]
        passes, inputs = gain_passes(gains), input_scales(gains)
        layers = _own_layers([{path: layer for slot, _ in mix for path, layer in slot.layers.items()} for mix in mixes])
        if mixes and mixes[0] and all(mix == mixes[0] for mix in mixes):
            return cls((*passes, DensePass(_mixed(mixes[0]), None)), len(mixes), slots, inputs, layers)
        blocks = list({id(slot.block): slot.block for slot in slots if slot.members}.values())
        return cls((*passes, *(stacked_pass(block, mixes) for block in blocks)), len(mixes), slots, inputs, layers)

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
        self._check_rows(x.shape[0])
        for one in self.passes:
            one.add(group, x, ys, whole)

    def layers_at(self, path: str, rows: int) -> Sequence[OwnLayer]:
        """What some of the rows of a batch have in place of this layer of the base."""
        found = self.layers.get(path, ())
        if found:
            self._check_rows(rows)
        return found

    def _check_rows(self, rows: int) -> None:
        if rows != self.rows:
            raise RuntimeError(f"a plan for {self.rows} rows met a batch of {rows}")


def _own_layers(rows: Sequence[Mapping[str, nn.Module]]) -> dict[str, list[OwnLayer]]:
    """Rows with one layer together, by path."""
    found: dict[str, dict[nn.Module, list[int]]] = {}
    for row, layers in enumerate(rows):
        for path, layer in layers.items():
            found.setdefault(path, {}).setdefault(layer, []).append(row)
    return {path: [OwnLayer(layer, tuple(of)) for layer, of in layers.items()] for path, layers in found.items()}


class GroupFactors(NamedTuple):
    """Factors of a group, its members' A stacked; each part is a member's number, its rows of A, and B transposed."""

    a: torch.Tensor
    parts: tuple[tuple[int, slice, torch.Tensor], ...]


def _fast(factors: GroupFactors) -> GroupFactors:
    """A processor multiplies a few rows by small float32 matrices several times faster than by bfloat16 ones."""
    return GroupFactors(factors.a.float(), tuple((member, rows, bt.float()) for member, rows, bt in factors.parts))


def _wide(factors: GroupFactors, group: LinearGroup) -> torch.Tensor | None:
    """All B of the parts as one matrix (rows of A, outputs of all members), zeros elsewhere; ``None`` where that does not pay."""
    if len(factors.parts) == 1 or len(factors.a) > _WIDE_RANKS:
        return None
    wide = factors.a.new_zeros(len(factors.a), group.rows)
    for member, rows, bt in factors.parts:
        wide[rows, group.members[member].start : group.members[member].end] = bt
    return wide


class _FindFactors(Protocol):
    def __call__(self, group: LinearGroup) -> GroupFactors | None: ...


@dataclass(eq=False)
class DensePass:
    """One adapter or mix on all rows, or on some: two products for each layer."""

    find: _FindFactors
    some: tuple[int, ...] | None
    _found: dict[LinearGroup, GroupFactors | None] = field(default_factory=dict)
    _fast: dict[LinearGroup, GroupFactors] = field(default_factory=dict)
    _wide: dict[tuple[LinearGroup, torch.dtype], torch.Tensor | None] = field(default_factory=dict)
    """By type, too: a pass over a prompt and the steps behind it may multiply in different ones."""

    def add(self, group: LinearGroup, x: torch.Tensor, ys: Sequence[torch.Tensor], whole: torch.Tensor | None = None) -> None:
        """See ``Pass``."""
        if group not in self._found:
            self._found[group] = self.find(group)
        factors = self._found[group]
        if factors is None:
            return
        if x.device.type == "cpu" and x.shape[:-1].numel() <= _STEP_TOKENS:
            if group not in self._fast:
                self._fast[group] = _fast(factors)
            factors = self._fast[group]
        index = None if self.some is None else torch.tensor(self.some, device=x.device)
        inner = torch.nn.functional.linear((x if index is None else x[index]).to(factors.a.dtype), factors.a)
        if whole is not None and index is None:
            key = group, factors.a.dtype
            if key not in self._wide:
                self._wide[key] = _wide(factors, group)
            wide = self._wide[key]
            if wide is not None:
                _add_product(whole, inner, wide)
                return
        for member, rows, bt in factors.parts:
            if index is None:
                _add_product(ys[member], inner[..., rows], bt)
            else:
                ys[member].index_add_(0, index, (inner[..., rows] @ bt).to(x.dtype))


def _add_product(y: torch.Tensor, inner: torch.Tensor, bt: torch.Tensor) -> None:
    """``y += inner @ bt``, in one step where types and places allow."""
    if y.dtype == bt.dtype and y.is_contiguous():
        y.view(-1, y.shape[-1]).addmm_(inner.reshape(-1, len(bt)), bt)
    else:
        y.add_(inner @ bt)


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


def _unless_all(rows: list[int], count: int) -> tuple[int, ...] | None:
    return None if len(rows) == count else tuple(rows)
