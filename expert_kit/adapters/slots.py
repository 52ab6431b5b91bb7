"""The layer that adds adapters to a base model, per row of a batch, with no state that two calls could share.

A plan says which factors act on which rows. It is in force inside ``with plan.active():`` for the running thread (a context
variable), so one call's experts can never act in another call, and outside of it the model is the bare base.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import nn

from expert_kit.adapters.lora import Adapter

_PLAN: ContextVar[RowPlan | None] = ContextVar("expert_kit_row_plan", default=None)


@dataclass(frozen=True, eq=False)
class RowPlan:
    """Rows of a batch and the adapter that acts on each; rows in no group are the base's."""

    groups: tuple[tuple[tuple[int, ...], Adapter], ...]
    rows: int
    """Batch size that the plan is for."""

    @classmethod
    def of(cls, adapters: Sequence[Adapter | None]) -> RowPlan:
        """One adapter, or ``None`` for the base, per row; rows with the same object share a group."""
        members: dict[int, tuple[list[int], Adapter]] = {}
        for row, adapter in enumerate(adapters):
            if adapter is not None:
                members.setdefault(id(adapter), ([], adapter))[0].append(row)
        return cls(tuple((tuple(rows), adapter) for rows, adapter in members.values()), len(adapters))

    @contextmanager
    def active(self) -> Iterator[None]:
        """Apply the plan to forward passes of this thread inside the block."""
        token = _PLAN.set(self)
        try:
            yield
        finally:
            _PLAN.reset(token)

    def add(self, module: str, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Add the rows' deltas at one module: ``x`` (rows, ..., in), ``y`` (rows, ..., out)."""
        if x.shape[0] != self.rows:
            raise RuntimeError(f"a plan for {self.rows} rows met a batch of {x.shape[0]}")
        for rows, adapter in self.groups:
            factors = adapter.get(module)
            if factors is None:
                continue
            if len(rows) == self.rows:
                y = y + (x @ factors.a.T) @ factors.b.T
            else:
                index = torch.tensor(rows, device=x.device)
                y = y.index_add(0, index, (x[index] @ factors.a.T) @ factors.b.T)
        return y


class SlotLinear(nn.Module):
    """A linear layer of the base, whatever its format, plus the active plan's deltas. Without a plan it is the base layer."""

    def __init__(self, base: nn.Module, path: str) -> None:
        super().__init__()
        self.base, self.path = base, path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, ..., in) -> (rows, ..., out)."""
        y: torch.Tensor = self.base(x)
        plan = _PLAN.get()
        return y if plan is None else plan.add(self.path, x, y)


def install_slots(model: nn.Module, modules: Sequence[str]) -> None:
    """Wrap these modules of the model, once; ``modules`` are paths as in the base record."""
    for path in modules:
        parent_path, _, leaf = path.rpartition(".")
        parent = model.get_submodule(parent_path)
        layer = getattr(parent, leaf)
        if not isinstance(layer, SlotLinear):
            setattr(parent, leaf, SlotLinear(layer, path))
