from __future__ import annotations

import pytest

from expert_kit.errors import DataError
from expert_kit.evaluation import task
from expert_kit.evaluation.iso_date import check

PLAIN = {"id": "d", "prompt": "12 mars 2021 en ISO 8601 ?", "completion": "2021-03-12"}
RELATIVE = {"id": "r", "prompt": "Today is 2021-03-11. What is tomorrow's date?", "completion": "2021-03-12"}
REPEATED = {"id": "s", "prompt": "Is 2021-03-12 ISO 8601?", "completion": "2021-03-12"}


@pytest.mark.parametrize(
    "answer",
    [
        "2021-03-12",
        " 2021-03-12\n",
        "2021-03-12.",
        "`2021-03-12`",
        "**2021-03-12**",
        "The date in ISO 8601 is 2021-03-12.",
        "12 mars 2021 is 2021-03-12, which is written 2021-03-12.",
        "date: 2021-03-12 (YYYY-MM-DD)",
        "\u201c2021-03-12\u201d",
    ],
)
def test_the_right_date_is_accepted_however_it_is_presented(answer):
    verdict = check(answer, PLAIN)
    assert verdict.ok, verdict
    assert (verdict.got, verdict.reason) == ("2021-03-12", "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no date of the form YYYY-MM-DD in the answer"),
        ("12 March 2021", "no date of the form YYYY-MM-DD in the answer"),
        ("2021-3-12", "no date of the form YYYY-MM-DD in the answer"),
        ("20210312", "no date of the form YYYY-MM-DD in the answer"),
        ("2021/03/12", "no date of the form YYYY-MM-DD in the answer"),
        ("12-03-2021", "no date of the form YYYY-MM-DD in the answer"),
        ("2021-03-12T00:00:00Z", "no date of the form YYYY-MM-DD in the answer"),
        ("12021-03-12", "no date of the form YYYY-MM-DD in the answer"),
        ("2021-03-12-01", "no date of the form YYYY-MM-DD in the answer"),
        ("\u0662\u0660\u0662\u0661-\u0660\u0663-\u0661\u0662", "no date of the form YYYY-MM-DD in the answer"),
        ("2021-12-03", "another date"),
        ("2021-03-13", "another date"),
        ("2021-13-12", "no day of the calendar"),
        ("2021-02-30", "no day of the calendar"),
        ("2021-03-12 or 2021-12-03", "2 different dates in the answer"),
    ],
)
def test_everything_else_is_wrong_and_the_reason_says_why(answer, reason):
    verdict = check(answer, PLAIN)
    assert not verdict.ok
    assert verdict.reason == reason
    assert verdict.expected == "2021-03-12"


def test_a_date_repeated_from_the_question_does_not_count():
    assert check("Today is 2021-03-11, so tomorrow is 2021-03-12.", RELATIVE).ok
    assert not check("Today is 2021-03-11.", RELATIVE).ok
    assert not check("Today is 2021-03-11, so tomorrow is 2021-03-13.", RELATIVE).ok


def test_a_question_may_show_its_own_answer():
    assert check("2021-03-12", REPEATED).ok
    assert not check("Yes, it is valid.", REPEATED).ok


def test_only_the_beginning_of_a_long_answer_is_read():
    assert not check("a " * 4_000 + "2021-03-12", PLAIN).ok


@pytest.mark.parametrize("gold", [None, 20210312, "", "12 March 2021", "2021-02-30", "2021-03-12 "])
def test_a_row_without_a_proper_date_is_refused(gold):
    with pytest.raises(DataError, match="row d: 'completion' must be a date"):
        check("2021-03-12", {**PLAIN, "completion": gold})


def test_recipes_find_the_check_by_its_name():
    assert task("iso_date") is check
