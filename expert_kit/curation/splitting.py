"""Train, validation and test parts of a file, with everything that is nearly the same on one side."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

from expert_kit.curation.near import near_pairs
from expert_kit.curation.rows import DataRow, folded
from expert_kit.errors import DataError, UsageError
from expert_kit.names import printable

TRAIN = "train"


def split_data(
    rows: Sequence[DataRow], shares: Mapping[str, float], stratify: str | None = None, *, exact: bool = False
) -> dict[str, list[DataRow]]:
    """Parts by name; each keeps the order of the rows, and the same rows give the same parts.

    Args:
        rows: without malformed ones.
        shares: part -> its share of the rows; what is left over is ``train``. Together below 1.
        stratify: a key of the rows whose values shall have about the same shares in each part.
        exact: keep only equal prompts together, for rows that share a long beginning.

    Raises:
        UsageError: ``shares_invalid``; ``stratify_unknown``, no row has that key. DataError: ``too_few_rows``, a part would be empty.
    """
    if sum(shares.values()) >= 1:
        raise UsageError("the shares leave nothing to train on", hint="let them add up to less than 1", code="shares_invalid")
    groups = _groups(rows, exact)
    strata = _strata(rows, groups, stratify)
    part_of: dict[int, str] = {}
    done = dict.fromkeys((TRAIN, *shares), 0)
    targets = {**shares, TRAIN: 1 - sum(shares.values())}
    placed = 0
    for stratum in strata:
        for group in stratum:
            placed += len(group)
            # The part that lacks most of its share of all rows placed so far, this group among them: no stratum rounds up on its own.
            part = max(targets, key=lambda name: targets[name] * placed - done[name])
            part_of.update(dict.fromkeys(group, part))
            done[part] += len(group)
    if empty := [name for name, share in targets.items() if share > 0 and not done[name]]:
        message = f"no rows are left for {' and '.join(empty)}: {len(rows)} rows are {len(groups)} groups of nearly the same prompts"
        raise DataError(message, hint="give more rows that differ, or keep only equal prompts together: --exact", code="too_few_rows")
    return {name: [row for at, row in enumerate(rows) if part_of[at] == name] for name in (TRAIN, *shares)}


def _linked(prompts: Sequence[str]) -> list[list[int]]:
    """Indices of prompts that are linked by being nearly the same, however many steps apart."""
    parent = list(range(len(prompts)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for one, other, _ in near_pairs(prompts):
        parent[root(one)] = root(other)
    groups: dict[int, list[int]] = defaultdict(list)
    for at in range(len(prompts)):
        groups[root(at)].append(at)
    return list(groups.values())


def _equal(prompts: Sequence[str]) -> list[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for at, prompt in enumerate(prompts):
        groups[folded(prompt)].append(at)
    return list(groups.values())


def _groups(rows: Sequence[DataRow], exact: bool) -> list[list[int]]:
    """Large groups first, which only a large part can take, then in an order that the prompts alone decide."""
    groups = (_equal if exact else _linked)([row.prompt for row in rows])
    return sorted(groups, key=lambda group: (-len(group), hashlib.sha256(rows[group[0]].prompt.encode()).digest()))


def _strata(rows: Sequence[DataRow], groups: list[list[int]], key: str | None) -> list[list[list[int]]]:
    if key is None:
        return [groups]
    values = [json.loads(rows[group[0]].text).get(key) for group in groups]
    if all(value is None for value in values):
        raise UsageError(f"no row has {printable(key)}", hint="name a key of the rows with --stratify", code="stratify_unknown")
    strata: dict[str, list[list[int]]] = defaultdict(list)
    for group, value in zip(groups, values, strict=True):
        strata[json.dumps(value, sort_keys=True)].append(group)
    return list(strata.values())
