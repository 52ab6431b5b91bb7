"""Checks answers of any kind by comparing texts: an answer counts if it is the row's completion, but for white space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expert_kit.errors import DataError
from expert_kit.evaluation.verdict import Verdict

SHOWN = 200
"""Characters of an answer and of a completion that a verdict repeats."""


def check(answer: str, row: Mapping[str, Any]) -> Verdict:
    """Judge an answer by ``row["completion"]``: the same words and marks, capitals included.

    Raises:
        DataError: the row has no completion.
    """
    gold = " ".join(str(row.get("completion", "")).split())
    if not gold:
        raise DataError(f"row {row.get('id', '?')}: no text under 'completion'", hint="correct the row's completion")
    got = " ".join(answer.split())
    return Verdict(got == gold, got[:SHOWN], gold[:SHOWN], "" if got == gold else "another text than the completion")
