"""Scales of DoRA and IA3, row by row: on what the layers of a base say, and on what they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from expert_kit.adapters.besides import SlotKind
from expert_kit.adapters.groups import LinearGroup
from expert_kit.adapters.lora import Gain, combined, summed
from expert_kit.adapters.slot_table import Slot


@dataclass(eq=False)
class GainPass:
    """Factors of DoRA and IA3 on the base's own outputs, before anything is added; rows without have the factor 1."""

    gains: Sequence[Mapping[str, Gain]]
    """By row."""
    _made: dict[str, tuple[torch.Tensor, torch.Tensor | None] | None] = field(default_factory=dict)

    def add(self, group: LinearGroup, x: torch.Tensor, ys: Sequence[torch.Tensor], whole: torch.Tensor | None = None) -> None:
        """See ``Pass``."""
        for member, y in zip(group.members, ys, strict=True):
            if member.path not in self._made:
                self._made[member.path] = self._rows(member.path, y)
            made = self._made[member.path]
            if made is None:
                continue
            shape = (len(self.gains), *[1] * (y.dim() - 2), y.shape[-1])
            y.mul_(made[0].view(shape))
            if made[1] is not None:
                y.add_(made[1].view(shape))

    def _rows(self, path: str, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        """Factors and shifts (rows, out) at one module."""
        own = [gains.get(path) for gains in self.gains]
        factors = _stacked([gain.factor if gain else None for gain in own], 1.0)
        return None if factors is None else (factors, _stacked([gain.shift if gain else None for gain in own], 0.0))


@dataclass(eq=False)
class InputScales:
    """IA3's factors on what layers read."""

    gains: Sequence[Mapping[str, Gain]]
    """By row."""
    _made: dict[LinearGroup, tuple[tuple[int, torch.Tensor, torch.Tensor], ...]] = field(default_factory=dict)

    def of(self, group: LinearGroup) -> tuple[tuple[int, torch.Tensor, torch.Tensor], ...]:
        """For each member that reads something else than the base: its number, the rows (n,) that do, and their factors (n, in)."""
        if group not in self._made:
            found = ((at, self._rows(member.path)) for at, member in enumerate(group.members))
            self._made[group] = tuple((at, *rows) for at, rows in found if rows is not None)
        return self._made[group]

    def _rows(self, path: str) -> tuple[torch.Tensor, torch.Tensor] | None:
        own = [(row, gain.reads) for row, gains in enumerate(self.gains) if (gain := gains.get(path)) and gain.reads is not None]
        if not own:
            return None
        return torch.tensor([row for row, _ in own], device=own[0][1].device), torch.stack([scale for _, scale in own])


def _stacked(rows: Sequence[torch.Tensor | None], neutral: float) -> torch.Tensor | None:
    """One row each, ``neutral`` where there is none; ``None`` if there are none at all."""
    some = next((row for row in rows if row is not None), None)
    return None if some is None else torch.stack([torch.full_like(some, neutral) if row is None else row for row in rows])


def gains_of(mix: Sequence[tuple[Slot, float]]) -> Mapping[str, Gain]:
    """Gains of all experts of a row: those of IA3 are multiplied, those of DoRA are parts of the weighted sum."""
    found = [(slot.gains, weight) for slot, weight in mix if slot.gains]
    if len(found) == 1 and found[0][1] == 1:
        return found[0][0]
    scales = all(slot.kind is SlotKind.SCALE for slot, _ in mix if slot.gains)
    made = {}
    for path in sorted({path for gains, _ in found for path in gains}):
        own, weights = zip(*((gains[path], weight) for gains, weight in found if path in gains), strict=True)
        made[path] = combined(own) if scales else summed(own, weights)
    return made


def gain_passes(gains: Sequence[Mapping[str, Gain]]) -> tuple[GainPass, ...]:
    """What multiplies outputs, for the gains of each row."""
    return (GainPass(gains),) if any(gains) else ()


def input_scales(gains: Sequence[Mapping[str, Gain]]) -> InputScales | None:
    """What multiplies inputs, for the gains of each row; ``None`` if nothing does."""
    return InputScales(gains) if any(gain.reads is not None for row in gains for gain in row.values()) else None
