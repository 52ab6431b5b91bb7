"""What the user said about decisions: right, wrong, or nobody's. Kept on this machine, used by the next fit."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from expert_kit.routing.encoder import clean_text
from expert_kit.routing.journal import LONGEST_TEXT, Journal

MOST_ROWS: Final = 5_000
Verdict = Literal["right", "wrong", "base"]
"""Right and wrong are about one expert; base: no expert should answer this."""


@dataclass(frozen=True)
class Feedback:
    """One remark."""

    text: str
    verdict: Verdict
    expert: str
    """Full name without version; empty for ``base``."""
    at: str
    """UTC, ``2026-01-31T12:00:00Z``."""

    def takes_back(self, earlier: Feedback) -> bool:
        """Whether an earlier remark about the same prompt no longer counts: what is wrong says nothing about other experts."""
        return self.verdict != "wrong" or self.expert == earlier.expert


class FeedbackStore:
    """All remarks; of several about the same prompt the last one counts, and earlier ones that it does not take back."""

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder / "feedback.jsonl", MOST_ROWS)

    def add(self, text: str, verdict: Verdict, expert: str = "") -> Feedback:
        """Keep a remark; of the prompt its first 500 characters.

        Raises:
            CapacityError: ``journal_unwritable``.
        """
        row = Feedback(clean_text(text)[:LONGEST_TEXT].rstrip(), verdict, expert, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        self._journal.add(asdict(row))
        return row

    def all(self) -> list[Feedback]:
        """The remarks that count, those about one prompt together, oldest first."""
        found: dict[str, list[Feedback]] = {}
        for row in self._journal.rows():
            values = [row.get(name) for name in ("text", "verdict", "expert", "at")]
            if all(isinstance(value, str) for value in values) and row["verdict"] in get_args(Verdict) and row["text"]:
                last = Feedback(row["text"], row["verdict"], row["expert"], row["at"])
                found[last.text] = [*(one for one in found.pop(last.text, []) if not last.takes_back(one)), last]
        return [one for remarks in found.values() for one in remarks]


def approved(feedback: Iterable[Feedback], expert: str) -> tuple[str, ...]:
    """Prompts that this expert was right for; the fit takes them as its examples."""
    return tuple(row.text for row in feedback if row.verdict == "right" and row.expert == expert)


def refused(feedback: Iterable[Feedback]) -> tuple[str, ...]:
    """Prompts that no expert should answer: marked so, or wrong for one and right for none. They count as generic prompts."""
    rows = list(feedback)
    right = {row.text for row in rows if row.verdict == "right"}
    return tuple(sorted({row.text for row in rows if row.verdict != "right"} - right))


def told(feedback: Iterable[Feedback]) -> dict[str, tuple[str, ...]]:
    """Prompt -> the expert that the user said is right for it, or none: what decides when the very same prompt comes again."""
    return {row.text: (row.expert,) if row.verdict == "right" else () for row in feedback if row.verdict != "wrong"}
