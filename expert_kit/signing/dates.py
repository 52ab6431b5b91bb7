"""Points in time as trust files write them: UTC, whole seconds, one spelling."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""Before anything was signed."""

_FORM = "%Y-%m-%dT%H:%M:%SZ"


def utc_now() -> datetime:
    """Now, without the fraction of a second."""
    return datetime.now(UTC).replace(microsecond=0)


def moment_text(moment: datetime) -> str:
    """``2026-01-31T12:00:00Z``."""
    return moment.astimezone(UTC).strftime(_FORM)


def parse_moment(text: str) -> datetime:
    """The reverse of :func:`moment_text`; ValueError for every other spelling."""
    moment = datetime.strptime(text, _FORM).replace(tzinfo=UTC)
    if moment_text(moment) != text:
        raise ValueError(f"{text!r} is not written like 2026-01-31T12:00:00Z")
    return moment


def end_of_day(text: str) -> datetime:
    """The last second of the day ``2026-01-31`` in UTC; ValueError for every other spelling."""
    day = date.fromisoformat(text)
    if day.isoformat() != text:
        raise ValueError(f"{text!r} is not written like 2026-01-31")
    return datetime.combine(day, time(23, 59, 59), UTC)


def parse_day_or_moment(text: str) -> datetime:
    """A day, which means its beginning in UTC, or a moment; ValueError for every other spelling."""
    if "T" in text:
        return parse_moment(text)
    return end_of_day(text).replace(hour=0, minute=0, second=0)
