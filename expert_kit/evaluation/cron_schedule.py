"""Checks answers that are cron expressions: an answer counts if it runs at the same minutes as the row's own expression.

Run times come from cronsim, which behaves as Debian's cron. Of a chatty answer the first expression counts, one in code before prose.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cronsim import CronSim, CronSimError

from expert_kit.errors import DataError
from expert_kit.evaluation.verdict import Verdict

MAX_ANSWER = 8_000
"""Characters of an answer that are read; an answer is far shorter."""
START = datetime(2024, 1, 1)
END = datetime(2026, 1, 1)
"""Every date and every weekday of every month lies between them, 29 February too."""

_NAMES = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
_VALUE = rf"(?:[0-9]{{1,2}}|{_NAMES})"
_ITEM = rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/[0-9]{{1,2}})?"
_IS_FIELD = re.compile(rf"{_ITEM}(?:,{_ITEM})*", re.IGNORECASE)
_OPENING, _CLOSING = "\"'(:=>", ".;:,!?\"')"
"""What may stand around an expression in prose."""
_FENCE = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")


def check(answer: str, row: Mapping[str, Any]) -> Verdict:
    """Judge an answer by the run times of ``row["completion"]``.

    Raises:
        DataError: the row's own expression is unusable.
    """
    gold = str(row.get("completion", ""))
    try:
        expected = _schedule(gold)
    except CronSimError as error:
        msg = f"row {row.get('id', '?')}: its own expression {gold!r} is not a cron expression: {error}"
        raise DataError(msg, hint="correct the row's completion") from error
    got = expression_in(answer)
    if got is None:
        return Verdict(False, answer[:200], gold, "no cron expression of five fields found in the answer")
    try:
        reason = _difference(_schedule(got), expected)
    except CronSimError as error:
        reason = f"not a cron expression: {error}"
    return Verdict(not reason, got, gold, reason)


def expression_in(answer: str) -> str | None:
    """The first run of exactly five cron fields on a line of the answer, code before prose; None without one."""
    text = answer[:MAX_ANSWER]
    for part in (*_FENCE.findall(text), *_INLINE.findall(text), text.replace("`", " ")):
        for line in part.splitlines():
            for fields in _runs_of_fields(line.split()):
                if len(fields) == 5:
                    return " ".join(fields)
    return None


def _runs_of_fields(words: list[str]) -> Iterator[list[str]]:
    fields: list[str] = []
    for word in words:
        opened = word.lstrip(_OPENING)
        closed = opened.rstrip(_CLOSING)
        field = _without_bold(closed)
        if opened != word:
            yield fields
            fields = []
        if _IS_FIELD.fullmatch(field):
            fields.append(field)
        if closed != opened or not _IS_FIELD.fullmatch(field):
            yield fields
            fields = []
    yield fields


def _without_bold(word: str) -> str:
    """The word without Markdown's two stars; the star of a field stays."""
    return word.removeprefix("**").removesuffix("**") if len(word) > 2 else word


Runs = tuple[datetime, ...]
Schedule = tuple[Runs, Runs]
"""Midnights of the days with runs from ``START`` to ``END``; the runs of one such day, as times of ``START``'s day."""


def _schedule(expression: str) -> Schedule:
    fields = expression.split()
    if len(fields) != 5:
        raise CronSimError("it has not five fields")
    days = " ".join(["0", "0", *fields[2:]])
    times = " ".join([*fields[:2], "*", "*", "*"])
    return _runs(days, END), _runs(times, START + timedelta(days=1))


@lru_cache(maxsize=4096)
def _runs(expression: str, end: datetime) -> Runs:
    return tuple(itertools.takewhile(lambda run: run < end, CronSim(expression, START - timedelta(minutes=1))))


def _difference(got: Schedule, expected: Schedule) -> str:
    """The first run too many or too few; empty if there is none."""
    for mine, theirs, form in ((got[1], expected[1], "at %H:%M"), (got[0], expected[0], "on %a %Y-%m-%d")):
        differing = sorted(set(mine) ^ set(theirs))
        if differing:
            return f"it {'runs' if differing[0] in set(mine) else 'does not run'} {differing[0].strftime(form)}"
    return ""
