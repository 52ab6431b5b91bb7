"""Linear layers that read the same input, as one group: their adapters share a multiplication, and where possible so do they."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from expert_kit.bases import Linear

FUSED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Last names of modules that read one input, in the order in which Llama-like models call them."""


class Member(NamedTuple):
    """One linear layer of a group; its outputs are the columns from ``start`` to ``end - 1`` of the group's."""

    path: str
    start: int
    end: int


@dataclass(frozen=True)
class LinearGroup:
    """Linear layers with one input. ``members`` are in the order in which the model calls them."""

    columns: int
    """Input size."""
    members: tuple[Member, ...]

    def __hash__(self) -> int:
        """Of the first path, which no other group of a model has: this is looked up for every layer of every token."""
        return hash(self.members[0].path)

    @property
    def rows(self) -> int:
        """Output sizes added up."""
        return self.members[-1].end

    def elements(self, rank: int) -> int:
        """Numbers in the factors of one adapter of this rank on all members."""
        return rank * (len(self.members) * self.columns + self.rows)


def group_linears(linears: Sequence[Linear]) -> tuple[LinearGroup, ...]:
    """The groups of a model, in the order of their first members; a layer without partners is a group of its own."""
    shapes = {path: (rows, columns) for path, rows, columns in linears}
    grouped: set[str] = set()
    groups = []
    for path, _, columns in linears:
        if path in grouped:
            continue
        partners = [partner for partner in _partners(path) if shapes.get(partner, (0, 0))[1] == columns]
        if path not in partners or len(partners) == 1:
            partners = [path]
        grouped.update(partners)
        groups.append(LinearGroup(columns, _members(partners, shapes)))
    return tuple(groups)


def _partners(path: str) -> list[str]:
    parent, _, leaf = path.rpartition(".")
    return next(([f"{parent}.{name}" if parent else name for name in names] for names in FUSED if leaf in names), [])


def _members(paths: Sequence[str], shapes: dict[str, tuple[int, int]]) -> tuple[Member, ...]:
    members, start = [], 0
    for path in paths:
        members.append(Member(path, start, start + shapes[path][0]))
        start += shapes[path][0]
    return tuple(members)
