"""Checks answers to "which date is this, in ISO 8601": looks for the one calendar date ``YYYY-MM-DD`` in the answer.

Expert and chatty base model are read by the same rules: dates that the question itself shows in this form do not count unless the answer
names no other, and of the rest there must be exactly one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

from expert_kit.errors import DataError
from expert_kit.evaluation.verdict import Verdict

MAX_ANSWER = 4_000
"""Characters of an answer that are read; a date has ten."""

_ISO = re.compile(r"(?<![0-9-])[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9T]|-[0-9])")


def check(answer: str, row: Mapping[str, Any]) -> Verdict:
    """Judge an answer that is to name the date ``row["completion"]``; ``row["prompt"]`` tells which dates were only repeated.

    Raises:
        DataError: the row itself is unusable.
    """
    expected = _expected(row)
    shown = answer.strip()[:200]
    named = list(dict.fromkeys(_ISO.findall(answer[:MAX_ANSWER])))
    repeated = set(_ISO.findall(str(row.get("prompt", ""))))
    found = [date for date in named if date not in repeated] or named
    if not found:
        return Verdict(False, shown, expected, "no date of the form YYYY-MM-DD in the answer")
    if len(found) > 1:
        return Verdict(False, ", ".join(found[:5]), expected, f"{len(found)} different dates in the answer")
    if found[0] == expected:
        return Verdict(True, found[0], expected, "")
    return Verdict(False, found[0], expected, "another date" if _is_date(found[0]) else "no day of the calendar")


def _expected(row: Mapping[str, Any]) -> str:
    gold = row.get("completion")
    if not isinstance(gold, str) or not _ISO.fullmatch(gold) or not _is_date(gold):
        raise DataError(f"row {row.get('id', '?')}: 'completion' must be a date like 2024-03-05", hint="write the data again")
    return gold


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
