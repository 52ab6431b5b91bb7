"""What a task's checker says about one answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """One answer, judged."""

    ok: bool
    got: str
    """The part of the answer that was judged; the whole answer, shortened, if no part could be."""
    expected: str
    """A correct answer, for the reader; other correct ones may exist."""
    reason: str
    """Why the answer is wrong; empty if it is right."""
