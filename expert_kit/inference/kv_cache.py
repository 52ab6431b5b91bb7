"""Keys and values of the rows of a running batch, and of prompts that may come again."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache

BLOCK = 64
"""Tokens by which the room of a batch grows."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Keys and values of one row, copied out of the batch."""

    tokens: tuple[int, ...]
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    """Per layer keys and values, (tokens, heads, head size)."""

    @property
    def nbytes(self) -> int:
        """Bytes of all layers."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)


class BatchCache(Cache):
    """Rows side by side, each with its tokens from the left, so that rows of any length join and leave without moving the others.

    A forward pass writes where :meth:`aim` says and sees the rows that it named, up to the longest of them; the mask hides the
    rest. Storage is (rows, tokens, heads, head size) per layer; it is made at the first pass and grows by ``BLOCK`` tokens.
    """

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.lengths: list[int] = []
        """Tokens held, by row."""
        self._stores: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._rows: torch.Tensor
        self.columns = torch.zeros(0, 0, dtype=torch.long)
        """Positions (rows, tokens) that the current pass writes."""
        self._first = self._end = self._longest = 0
        self._one_place: slice | None = None
        """The tokens that the pass writes, where they are the same for all its rows."""

    def add_row(self) -> int:
        """An empty row at the end; its number."""
        self.lengths.append(0)
        return len(self.lengths) - 1

    def aim(self, first: int, end: int, tokens: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Let the next forward pass append ``tokens`` tokens to each of the rows ``first`` to ``end - 1``.

        Returns:
            Positions (rows, tokens) int64, and the mask (rows, 1, tokens, longest) bool, true where a query sees a key.
        """
        starts = torch.tensor(self.lengths[first:end], device=device)
        self.columns = starts[:, None] + torch.arange(tokens, device=device)
        self._rows = torch.arange(first, end, device=device)[:, None]
        self._first, self._end, self._longest = first, end, max(self.lengths[first:end]) + tokens
        same = len(set(self.lengths[first:end])) == 1
        self._one_place = slice(self.lengths[first], self.lengths[first] + tokens) if same else None
        for row in range(first, end):
            self.lengths[row] += tokens
        return self.columns, torch.arange(self._longest, device=device) <= self.columns[:, None, :, None]

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Write (rows, heads, tokens, head size) of one layer; what comes back is (rows, heads, longest, head size)."""
        while len(self._stores) <= layer_idx:
            self._stores.append((_storage(key_states), _storage(value_states)))
        keys, values = self._stores[layer_idx] = self._with_room(*self._stores[layer_idx])
        if self._one_place is not None:
            # A slice costs a fraction of an index.
            place = slice(self._first, self._end), self._one_place
            keys[place], values[place] = key_states.transpose(1, 2), value_states.transpose(1, 2)
        else:
            keys[self._rows, self.columns] = key_states.transpose(1, 2)
            values[self._rows, self.columns] = value_states.transpose(1, 2)
        view = slice(self._first, self._end), slice(0, self._longest)
        return keys[view].transpose(1, 2), values[view].transpose(1, 2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens before the current pass, of the longest row; positions are always given, so nothing depends on it."""
        return self._longest - self.columns.shape[1]

    def remove_row(self, row: int) -> None:
        """Take a row out; the last one takes its place.

        What it leaves is overwritten with zeros: the next row there may be shorter, and a masked key must be a number.
        """
        last, old = len(self.lengths) - 1, self.lengths[row]
        moved = self.lengths.pop()
        if not self.lengths:
            self._stores.clear()
            return
        for store in itertools.chain.from_iterable(self._stores):
            if row != last:
                store[row, :moved] = store[last, :moved]
                store[row, moved:old] = 0
            store[last, :moved] = 0
        if row != last:
            self.lengths[row] = moved
        self._give_back()

    def _give_back(self) -> None:
        """Shrink storage of which the rows that are left use less than half, so that one long row does not cost all that follow."""
        rows, room = len(self.lengths), -(-max(self.lengths) // BLOCK) * BLOCK
        held = self._stores[0][0].shape[0] * self._stores[0][0].shape[1] if self._stores else 0
        if 2 * rows * room < held:
            self._stores = [(keys[:rows, :room].clone(), values[:rows, :room].clone()) for keys, values in self._stores]

    def copy_row(self, row: int, tokens: Sequence[int]) -> Snapshot:
        """A row's keys and values; ``tokens`` are those that it holds."""
        length = self.lengths[row]
        layers = tuple((keys[row, :length].clone(), values[row, :length].clone()) for keys, values in self._stores)
        return Snapshot(tuple(tokens[:length]), layers)

    def fill_row(self, row: int, snapshot: Snapshot, tokens: int) -> None:
        """Put the first ``tokens`` tokens of a snapshot into an empty row."""
        self._first = self._end = row
        self._end += 1
        self._longest = tokens
        for at, (keys, values) in enumerate(snapshot.layers):
            while len(self._stores) <= at:
                self._stores.append((keys.new_zeros(0, 0, *keys.shape[1:]), values.new_zeros(0, 0, *values.shape[1:])))
            self._stores[at] = self._with_room(*self._stores[at])
            self._stores[at][0][row, :tokens] = keys[:tokens]
            self._stores[at][1][row, :tokens] = values[:tokens]
        self.lengths[row] = tokens

    @property
    def nbytes(self) -> int:
        """Bytes of the storage."""
        return sum(keys.nbytes + values.nbytes for keys, values in self._stores)

    def _with_room(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows, room = keys.shape[:2]
        if self._end <= rows and self._longest <= room:
            return keys, values
        wanted = max(rows, self._end), max(room, -(-self._longest // BLOCK) * BLOCK)
        return _grown(keys, *wanted), _grown(values, *wanted)


def _storage(states: torch.Tensor) -> torch.Tensor:
    return states.new_zeros(0, 0, states.shape[1], states.shape[3])


def _grown(store: torch.Tensor, rows: int, room: int) -> torch.Tensor:
    # Zeros, not empty: a masked key must still be a finite number.
    new = store.new_zeros(rows, room, *store.shape[2:])
    new[: store.shape[0], : store.shape[1]] = store
    return new


class PrefixCache:
    """Snapshots of ended answers by mix, so that the next turn of a conversation computes only what is new.

    Keys and values depend on every expert of the mix and on its weights, hence the key; the base is the engine's own.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        """Bytes; 0 keeps nothing."""
        self.hits = 0
        self._held: OrderedDict[tuple[Hashable, tuple[int, ...]], Snapshot] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(snapshot.nbytes for snapshot in self._held.values())

    def put(self, mix: Hashable, snapshot: Snapshot) -> None:
        """Keep a snapshot in place of those that are a beginning of it; the longest unused go first when there is no room."""
        if snapshot.nbytes > self.budget:
            return
        for key in [key for key in self._held if key[0] == mix and snapshot.tokens[: len(key[1])] == key[1]]:
            del self._held[key]
        self._held[mix, snapshot.tokens] = snapshot
        while self.nbytes > self.budget:
            self._held.popitem(last=False)

    def find(self, mix: Hashable, tokens: Sequence[int]) -> tuple[Snapshot, int] | None:
        """The snapshot that shares the longest beginning with ``tokens``, and its length; one token is always left to compute."""
        best: tuple[Snapshot, int] | None = None
        for (held, _), snapshot in self._held.items():
            if held == mix:
                shared = min(_shared(snapshot.tokens, tokens), len(tokens) - 1)
                if shared > (best[1] if best else 0):
                    best = snapshot, shared
        if best:
            self.hits += 1
            self._held.move_to_end((mix, best[0].tokens))
        return best

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return at
    return min(len(first), len(second))
