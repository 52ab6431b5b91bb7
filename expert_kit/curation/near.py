"""Pairs of texts that are nearly the same, found by MinHash and then compared exactly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from datasketch import MinHash, MinHashLSH

THRESHOLD = 0.8
"""Jaccard similarity of shingles from which two texts count as nearly the same."""
_SHINGLE = 3
"""Words that make one shingle; shorter texts are one shingle."""
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff]|[^\W\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff]+|[^\w\s]")
_PERMUTATIONS = 128
_MARGIN = 0.25


def shingles(text: str) -> frozenset[str]:
    """Runs of three words or signs, in small letters. Letters of scripts that leave no spaces are words of their own."""
    words = _WORD.findall(text.casefold())
    return frozenset(" ".join(words[at : at + _SHINGLE]) for at in range(max(1, len(words) - _SHINGLE + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of shingles in common, 0 to 1."""
    return len(one & other) / len(one | other)


def near_pairs(texts: Sequence[str], others: Sequence[str] | None = None, threshold: float = THRESHOLD) -> Iterator[tuple[int, int, float]]:
    """``(i, j, similarity)`` of pairs at or above the threshold, hardly one of them missed.

    Args:
        texts: searched in their order.
        others: what they are compared with; without it each text with those before it, so that j < i.
        threshold: 0 to 1, exclusive.
    """
    # The index misses a good part of what lies right at its own threshold; what lies below ours is dropped by the exact comparison.
    index = MinHashLSH(threshold=max(0.1, threshold - _MARGIN), num_perm=_PERMUTATIONS)
    known = [shingles(text) for text in (others or ())]
    for at, found in enumerate(known):
        index.insert(at, _min_hash(found))
    for at, text in enumerate(texts):
        mine = shingles(text)
        hashed = _min_hash(mine)
        for candidate in sorted(index.query(hashed)):
            similarity = jaccard(mine, known[candidate])
            if similarity >= threshold:
                yield at, candidate, similarity
        if others is None:
            known.append(mine)
            index.insert(at, hashed)


@cache
def _fresh() -> MinHash:
    return MinHash(num_perm=_PERMUTATIONS, seed=1)


def _min_hash(found: frozenset[str]) -> MinHash:
    hashed = _fresh().copy()
    hashed.update_batch([shingle.encode() for shingle in sorted(found)])
    assert isinstance(hashed.hashvalues, np.ndarray)
    return hashed
