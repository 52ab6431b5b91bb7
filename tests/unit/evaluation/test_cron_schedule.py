"""Answers that are cron expressions, judged by their run times."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import islice

import pytest
from cronsim import CronSim

from expert_kit.errors import DataError
from expert_kit.evaluation.cron_schedule import check, expression_in


def row(gold: str) -> dict[str, str]:
    return {"id": "t-1", "completion": gold}


@pytest.mark.parametrize(
    "answer",
    [
        "30 9 * * 1-5",
        "30 9 * * 1-5\n",
        "30  09\t* * MON-FRI",
        "30 9 * * mon,tue,wed,thu,fri",
        "30 9 * * 1,2,3,4,5",
        "30 9 */1 1-12 1-5",
        "`30 9 * * 1-5`",
        "**30 9 * * 1-5**",
        "The cron expression is: 30 9 * * 1-5.",
        'You can use "30 9 * * 1-5" for that.',
        "```\n30 9 * * 1-5 /usr/bin/backup\n```\nIt runs at 9:30 on weekdays.",
        "```cron\n# min hour day month weekday\n30 9 * * 1-5\n```",
        "Each field has a meaning, and * means any.\n\n`30 9 * * 1-5`\n\n- `30`: minute",
        "30 9 * * 1-5 backup.sh",
        "**Answer:** 30 9 * * 1-5, every weekday",
        "(30 9 * * 1-5)",
    ],
)
def test_an_expression_with_the_same_runs_is_right_in_whatever_wrapping(answer: str) -> None:
    verdict = check(answer, row("30 9 * * 1-5"))
    assert verdict.ok, verdict
    assert (verdict.reason, verdict.expected) == ("", "30 9 * * 1-5")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no cron expression"),
        ("I do not know 5 such things.", "no cron expression"),
        ("30 9 * *", "no cron expression"),
        ("0 30 9 * * 1-5", "no cron expression"),
        ("30 9 * * 1-5 6", "no cron expression"),
        ("@daily", "no cron expression"),
        ("9 30 * * 1-5", "not a cron expression"),
        ("30 9 * * 5-1", "not a cron expression"),
        ("30 9 0 * 1-5", "not a cron expression"),
        ("30 9 31 2 *", "not a cron expression"),
        ("30/0 9 * * *", "not a cron expression"),
        ("31 9 * * 1-5", "it does not run at 09:30"),
        ("30 9,21 * * 1-5", "it runs at 21:30"),
        ("* 9 * * 1-5", "it runs at 09:00"),
        ("30 9 * * 1-4", "it does not run on Fri 2024-01-05"),
        ("30 9 * * *", "it runs on Sat 2024-01-06"),
        ("30 9 * 1-11 1-5", "it does not run on Mon 2024-12-02"),
        ("30 9 1 * 1-5", "it runs on Sat 2024-06-01"),
        ("30 21 * * 1-5 or 30 9 * * 1-5", "it does not run at 09:30"),
    ],
)
def test_anything_else_is_wrong_and_says_why(answer: str, reason: str) -> None:
    verdict = check(answer, row("30 9 * * 1-5"))
    assert not verdict.ok
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0 0 * * 0", "0 0 * * 7"),
        ("*/15 * * * *", "0,15,30,45 * * * *"),
        ("0 */12 * * *", "0 0,12 * * *"),
        ("0 22-23,0-2 * * *", "0 0-2,22,23 * * *"),
        ("0 0 1 1,4,7,10 *", "0 0 1 */3 *"),
        ("* * * * *", "*/1 0-23 1-31 * 0-6"),
        ("0 0 29 2 *", "0 0 29 FEB *"),
    ],
)
def test_two_spellings_of_one_schedule_are_the_same(one: str, other: str) -> None:
    assert check(one, row(other)).ok
    assert check(other, row(one)).ok


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0 0 29 2 *", "0 0 28,29 2 *"),
        ("* * 1-15 * *", "* * 1-14 * *"),
        ("*/5 9-17 * * *", "*/5 9-16 * * *"),
        ("0 0 13 * 5", "0 0 13 * *"),
        ("59 23 31 12 *", "59 23 30 12 *"),
        ("* * * * *", "* * * * 0-5"),
    ],
)
def test_a_difference_is_found_however_rare(one: str, other: str) -> None:
    assert not check(one, row(other)).ok
    assert not check(other, row(one)).ok


@pytest.mark.parametrize("expression", ["*/20 8-10 * * 1-5", "0 0 1,15 * *", "5 4 * 6 0", "30 6 29 2 *", "10,40 * * * *"])
def test_right_answers_have_the_same_next_runs_from_any_start(expression: str) -> None:
    spelled_out = expression.replace("1-5", "1,2,3,4,5").replace("*/20", "0,20,40").replace("6 0", "JUN SUN")
    assert check(spelled_out, row(expression)).ok
    for start in (datetime(2025, 1, 1) + timedelta(days=67 * n, hours=5 * n) for n in range(8)):
        assert list(islice(CronSim(spelled_out, start), 12)) == list(islice(CronSim(expression, start), 12))


def test_the_first_expression_counts_and_code_comes_before_prose() -> None:
    assert expression_in("**5 * * * ***") == "5 * * * *"
    assert expression_in("1 2 * * * or 3 4 * * *") == "1 2 * * *"
    assert expression_in("not 1 2 * * * but `3 4 * * *`") == "3 4 * * *"


def test_a_very_long_answer_is_judged_quickly() -> None:
    start = time.monotonic()
    for text in ("* " * 4000, "1,2" * 3000, "9" * 8000, "1-2/3," * 2000, "*" * 8000):
        assert not check(text, row("0 0 * * *")).ok
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("gold", ["", "hourly", "0 0 * *", "61 0 * * *"])
def test_an_unusable_row_is_an_error_and_not_a_wrong_answer(gold: str) -> None:
    with pytest.raises(DataError):
        check("0 0 * * *", row(gold))
