"""Tokens of a running answer -> text as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_INCOMPLETE = "\ufffd"


class TextStream:
    """Yields each piece of text once it can no longer change: whole characters, and nothing that may begin a stop text."""

    def __init__(self, tokenizer: Any, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._longest = max(map(len, self._stop), default=0)
        self._ids: list[int] = []
        # Text of ids[:read] is decoded already; ids[prefix:read] are decoded again as context for what follows.
        self._prefix, self._read = 0, 0
        self._sent = 0
        self.text = ""
        """The answer so far, cut before a stop text."""
        self.stopped = False
        """Whether a stop text was met."""

    def push(self, token: int) -> str:
        """Take one token, return the new piece of text, often empty; nothing comes after a stop text."""
        if self.stopped:
            return ""
        self._ids.append(token)
        piece = self._new_text()
        # A character of several tokens shows as a replacement mark until its last token is here.
        if not piece or piece.endswith(_INCOMPLETE):
            return ""
        self._prefix, self._read = self._read, len(self._ids)
        return self._grow(piece)

    def flush(self) -> str:
        """The rest, when no more tokens come."""
        if self.stopped:
            return ""
        rest = self._new_text()
        self._prefix = self._read = len(self._ids)
        return self._grow(rest) + self._send(len(self.text))

    def _new_text(self) -> str:
        known = self._decode(self._ids[self._prefix : self._read])
        return self._decode(self._ids[self._prefix :])[len(known) :]

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _grow(self, piece: str) -> str:
        start = max(0, len(self.text) - self._longest)
        self.text += piece
        cut = min((at for stop in self._stop if (at := self.text.find(stop, start)) >= 0), default=None)
        if cut is not None:
            self.stopped = True
            self.text = self.text[:cut]
        return self._send(len(self.text) - (0 if self.stopped else self._held_back()))

    def _send(self, end: int) -> str:
        piece = self.text[self._sent : end]
        self._sent = max(self._sent, end)
        return piece

    def _held_back(self) -> int:
        """Length of the longest end of the text that begins a stop text."""
        lengths = (size for stop in self._stop for size in range(1, len(stop)) if self.text.endswith(stop[:size]))
        return max(lengths, default=0)
