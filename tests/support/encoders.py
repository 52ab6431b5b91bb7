"""An encoder without a model: words become directions, so that shared words mean nearness."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np

from expert_kit.names import Digest, sha256_digest
from expert_kit.routing.encoder import Vectors

DIMENSION = 64


class FakeEncoder:
    """Honours the contract of ``Encoder``: unit float32 rows that depend on their own text only. Counts what it embeds."""

    def __init__(self, name: str = "fake") -> None:
        self.id: Digest = sha256_digest(name.encode())
        self.parts = 1
        self.embedded: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Sum of one random direction per word, normalised."""
        self.embedded += texts
        return np.stack([_row(self.id, text) for text in texts])


@cache
def _row(encoder_id: Digest, text: str) -> Vectors:
    total = np.zeros(DIMENSION)
    for word in text.casefold().split() or [""]:
        total += _direction(encoder_id, word)
    return (total / np.linalg.norm(total)).astype(np.float32)


@cache
def _direction(encoder_id: Digest, word: str) -> Vectors:
    seed = int.from_bytes(hashlib.sha256(f"{encoder_id} {word}".encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
