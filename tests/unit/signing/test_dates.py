from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from expert_kit.signing.dates import end_of_day, moment_text, parse_day_or_moment, parse_moment, utc_now

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_moment_has_one_spelling() -> None:
    assert moment_text(NOON) == "2026-01-31T12:00:00Z"
    assert moment_text(NOON.astimezone(timezone(timedelta(hours=3)))) == "2026-01-31T12:00:00Z"
    assert parse_moment("2026-01-31T12:00:00Z") == NOON
    assert utc_now().microsecond == 0


@pytest.mark.parametrize("text", ["2026-1-31T12:00:00Z", "2026-01-31T12:00:00", "2026-01-31T12:00:00+00:00", "2026-02-30T00:00:00Z", ""])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - some are the library's words
        parse_moment(text)


def test_a_last_day_ends_at_midnight() -> None:
    assert end_of_day("2026-01-31") == datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("text", ["20260131", "2026-W05-6", "31.01.2026", "", "2026-02-30"])
def test_a_day_has_one_spelling_too(text: str) -> None:
    for parse in (end_of_day, parse_day_or_moment):
        with pytest.raises(ValueError):  # noqa: PT011 - some are the library's words
            parse(text)


def test_a_day_may_stand_for_its_beginning() -> None:
    assert parse_day_or_moment("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert parse_day_or_moment("2026-01-31T12:00:00Z") == NOON
