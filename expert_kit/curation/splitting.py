"""Train, validation and test parts of a file, with everything that is nearly the same on one side."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

from expert_kit.curation.near import near_pairs
from expert_kit.curation.rows import DataRow


def split_data(rows: Sequence[DataRow], shares: Mapping[str, float], stratify: str | None = None) -> dict[str, list[DataRow]]:
    """Parts by name; each keeps the order of the rows, and the same rows give the same parts.

    Args:
        rows: without malformed ones.
        shares: part -> its share of the rows, 0 to 1; what is left over is ``train``.
        stratify: a key of the rows whose values shall have the same shares in each part.
    """
    strata: dict[str, list[list[int]]] = defaultdict(list)
    for group in _groups(rows):
        value = json.loads(rows[group[0]].text).get(stratify) if stratify is not None else None
        strata[json.dumps(value, sort_keys=True)].append(group)
    part_of: dict[int, str] = {}
    for groups in strata.values():
        groups.sort(key=lambda group: hashlib.sha256(rows[group[0]].prompt.encode()).digest())
        total, done = sum(map(len, groups)), 0
        bounds = _bounds(shares, total)
        for group in groups:
            part = next((name for name, bound in bounds if done < bound), "train")
            part_of.update(dict.fromkeys(group, part))
            done += len(group)
    return {name: [row for at, row in enumerate(rows) if part_of[at] == name] for name in ("train", *shares)}


def _bounds(shares: Mapping[str, float], total: int) -> list[tuple[str, float]]:
    bounds, reached = [], 0.0
    for name, share in shares.items():
        reached += share * total
        bounds.append((name, reached))
    return bounds


def _groups(rows: Sequence[DataRow]) -> list[list[int]]:
    """Rows that are linked by nearly the same prompts, however many steps apart."""
    parent = list(range(len(rows)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for one, other, _ in near_pairs([row.prompt for row in rows]):
        parent[root(one)] = root(other)
    groups: dict[int, list[int]] = defaultdict(list)
    for at in range(len(rows)):
        groups[root(at)].append(at)
    return list(groups.values())
