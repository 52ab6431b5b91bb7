"""What routers are fitted on: the experts, their examples as rows of numbers, and labelled prompts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expert_kit.names import Digest
from expert_kit.routing.encoder import Vectors, clean_text
from expert_kit.routing.spelling import Speller

Integers = NDArray[np.int64]
Embed = Callable[[Sequence[str]], Vectors]
"""Texts -> (n, D) unit rows."""

LONG_PROMPT: Final = 40
"""Words from which on the end of a prompt is also looked at by itself."""
END_WORDS: Final = 16
SHARED: Final = 0.1
"""From this share of examples that stand in two experts on, several experts count as right at once."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?:])\s+")


class Batch(NamedTuple):
    """Prompts as routers see them."""

    texts: tuple[str, ...]
    """Cleaned."""
    rows: Vectors
    """(n, D)"""
    parts: int

    @property
    def sentences(self) -> Vectors:
        """(n, d) unit rows: the sentence vectors."""
        return sentence_rows(self.rows, self.parts)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Experts and their examples; a text that stands in two experts has a row for each."""

    digests: tuple[Digest, ...]
    """Sorted; their places are the numbers of the experts."""
    names: tuple[str, ...]
    categories: tuple[str, ...]
    texts: tuple[str, ...]
    labels: Integers
    """(n,) number of the expert."""
    rows: Vectors
    """(n, D) float32"""
    parts: int
    words: tuple[str, ...] = ()
    """Of the language, the commonest first, as far as the encoder knows them whole."""

    @cached_property
    def speller(self) -> Speller:
        """Corrects prompts towards the examples."""
        return Speller(self.texts, self.words)

    @cached_property
    def sentences(self) -> Vectors:
        """(n, d) unit rows."""
        return sentence_rows(self.rows, self.parts)

    @cached_property
    def several(self) -> bool:
        """Whether one prompt often belongs to several experts."""
        return len(self.texts) > 0 and 1 - len(set(self.texts)) / len(self.texts) > SHARED

    @property
    def size(self) -> int:
        """Number of experts."""
        return len(self.digests)

    def batch(self) -> Batch:
        """The examples as prompts."""
        return Batch(self.texts, self.rows, self.parts)

    def take(self, at: Integers) -> Corpus:
        """The same experts with fewer examples."""
        return replace(self, texts=tuple(self.texts[place] for place in at), labels=self.labels[at], rows=self.rows[at])

    def merged(self) -> tuple[tuple[str, ...], Vectors, NDArray[np.float32]]:
        """Each text once, its row, and (n, size) 0 or 1: the experts that it stands in."""
        first: dict[str, int] = {}
        for place, text in enumerate(self.texts):
            first.setdefault(text, place)
        number = {text: at for at, text in enumerate(first)}
        targets = np.zeros((len(first), self.size), np.float32)
        targets[[number[text] for text in self.texts], self.labels] = 1
        return tuple(first), self.rows[list(first.values())], targets


class Labelled(NamedTuple):
    """Prompts with the experts that are right for them."""

    batch: Batch
    targets: NDArray[np.bool_]
    """(n, experts)"""


def sentence_rows(rows: Vectors, parts: int) -> Vectors:
    """(n, d) unit rows: the first of the equal parts."""
    if parts == 1:
        return rows
    part = rows[:, : rows.shape[1] // parts]
    return np.ascontiguousarray(part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-9))


def build_corpus(
    experts: Iterable[tuple[Digest, str, str, Sequence[str]]], embed: Embed, parts: int, words: tuple[str, ...] = ()
) -> Corpus:
    """Collect (digest, name, category, examples), in any order; texts are cleaned, and an expert has each once."""
    ordered = sorted(experts)
    own = [unique_texts(texts) for _, _, _, texts in ordered]
    # Expert by expert, so that the cache holds a file for each, and installing one leaves the others' alone.
    rows = [embed(texts) for texts in own if texts]
    return Corpus(
        digests=tuple(digest for digest, _, _, _ in ordered),
        names=tuple(name for _, name, _, _ in ordered),
        categories=tuple(category for _, _, category, _ in ordered),
        texts=tuple(text for texts in own for text in texts),
        labels=np.repeat(np.arange(len(own)), [len(texts) for texts in own]).astype(np.int64),
        rows=np.concatenate(rows) if rows else np.zeros((0, parts), np.float32),
        parts=parts,
        words=words,
    )


def unique_texts(texts: Iterable[str]) -> tuple[str, ...]:
    """Cleaned, sorted, without duplicates and without empty ones."""
    return tuple(sorted({clean_text(text) for text in texts} - {""}))


def end_of(text: str) -> str | None:
    """The request at the end of a long prompt: its last sentence, at least 6 and at most 16 words; None for a short one.

    What comes before the request, such as a greeting, is often covered by an expert of its own.
    """
    words = text.split()
    if len(words) <= LONG_PROMPT:
        return None
    kept: list[str] = []
    for sentence in reversed(_SENTENCE_END.split(text)):
        kept = [*sentence.split(), *kept]
        if len(kept) >= 6:
            break
    return " ".join(kept[-END_WORDS:])
