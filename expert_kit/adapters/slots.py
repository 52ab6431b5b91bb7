"""The layers that add adapters to a base model, per row of a batch, with no state that two calls could share.

A plan is in force inside ``with plan.active():`` for the running thread (a context variable), so one call's experts can never
act in another call, and outside of it the model is the bare base.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence

import torch
from torch import nn

from expert_kit.adapters.groups import LinearGroup, group_linears
from expert_kit.adapters.plans import ACTIVE
from expert_kit.adapters.quantization import Int8Linear, fused_linear
from expert_kit.bases import Linear

_FUSED_ROWS = 3
"""Up to so many rows a processor multiplies fused weights faster; with more it is as fast without, and what comes out stands alone."""


class SlotLinear(nn.Module):
    """A linear layer of the base, whatever its format, plus the active plan's deltas. Without a plan it is the base layer."""

    def __init__(self, base: nn.Module, shared: SharedInput, member: int) -> None:
        super().__init__()
        self.base, self.shared, self.member = base, shared, member

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, ..., in) -> (rows, ..., out)."""
        return self.shared.take(self.member, x)


class SharedInput:
    """The members of one group; the first that is called computes all, the others of the same input take their share."""

    def __init__(self, group: LinearGroup, layers: Sequence[nn.Module]) -> None:
        self.group = group
        self._layers: list[Callable[[torch.Tensor], torch.Tensor]] = list(layers)
        self._fused = fused_linear(layers) if len(layers) > 1 else None
        # int8 makes whole numbers of the input first, which the members share in any number of rows.
        self._fused_rows = math.inf if isinstance(self._fused, Int8Linear) else _FUSED_ROWS
        self._sizes = [member.end - member.start for member in group.members]
        self._local = threading.local()

    def __getstate__(self) -> dict[str, object]:
        """All but what one thread is in the middle of, so that a model with slots can be copied."""
        return {name: value for name, value in vars(self).items() if name != "_local"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """What :meth:`__getstate__` gave."""
        vars(self).update(state)
        self._local = threading.local()

    def take(self, member: int, x: torch.Tensor) -> torch.Tensor:
        """One member's output (rows, ..., out) for ``x`` (rows, ..., in)."""
        if len(self._layers) == 1:
            return self.outputs(x)[0]
        pending: dict[int, torch.Tensor] = getattr(self._local, "pending", {})
        if member not in pending or self._local.x is not x or self._local.plan is not ACTIVE.get():
            pending = self._local.pending = dict(enumerate(self.outputs(x)))
            self._local.x, self._local.plan = x, ACTIVE.get()
        y = pending.pop(member)
        if not pending:
            self._local.x = self._local.plan = None
        return y

    def outputs(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        """All members' outputs (rows, ..., out) for ``x`` (rows, ..., in), in the group's order; the caller may write to them."""
        plan = ACTIVE.get()
        scaled = plan.inputs.of(self.group) if plan is not None and plan.inputs is not None else ()
        if scaled and len(self._layers) == 1:
            _, rows, scales = scaled[0]
            read = x.index_copy(0, rows, _scaled(x[rows], scales))
            ys: Sequence[torch.Tensor] = [self._layers[0](read)]
            whole = None
        else:
            is_fused = self._fused is not None and (x.device.type != "cpu" or x.shape[:-1].numel() <= self._fused_rows)
            whole = self._fused(x) if is_fused and self._fused else None
            ys = [layer(x) for layer in self._layers] if whole is None else whole.split(self._sizes, dim=-1)
            # Rows beside these keep what they had, to the bit.
            for member, rows, scales in scaled:
                ys[member].index_copy_(0, rows, self._layers[member](_scaled(x[rows], scales)))
        if plan is not None:
            plan.add(self.group, x, ys, whole)
        return ys


def _scaled(x: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """(n, ..., in) times (n, in)."""
    return (x * scales.view(len(scales), *[1] * (x.dim() - 2), -1)).to(x.dtype)


def install_slots(model: nn.Module, linears: Sequence[Linear]) -> tuple[LinearGroup, ...]:
    """Wrap these linear layers of the model, once; returns how they are grouped."""
    groups = group_linears(linears)
    for group in groups:
        layers = [model.get_submodule(member.path) for member in group.members]
        if any(isinstance(layer, SlotLinear) for layer in layers):
            continue
        shared = SharedInput(group, layers)
        for at, (member, layer) in enumerate(zip(group.members, layers, strict=True)):
            parent, _, leaf = member.path.rpartition(".")
            setattr(model.get_submodule(parent), leaf, SlotLinear(layer, shared, at))
    return groups


def base_layers(model: nn.Module, linears: Sequence[Linear]) -> dict[str, nn.Module]:
    """The base's own layers by path, without what :func:`install_slots` put around them."""
    layers = {path: model.get_submodule(path) for path, _, _ in linears}
    return {path: layer.base if isinstance(layer, SlotLinear) else layer for path, layer in layers.items()}
