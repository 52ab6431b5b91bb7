"""Answers that are corrected sentences."""

from __future__ import annotations

import time

import pytest

from expert_kit.errors import DataError
from expert_kit.evaluation.spelling import check

ROW = {"id": "t-1", "completion": "We don't believe that the library is open."}


@pytest.mark.parametrize(
    "answer",
    [
        "We don't believe that the library is open.",
        "we don't believe that the library is open",
        " We  don\u2019t believe that the library is open.\n",
        '"We don\'t believe that the library is open."',
        "\u201cWe don't believe that the library is open.\u201d",
        "Corrected: We don't believe that the library is open.",
        "Here is the corrected sentence:\n\nWe don't believe that the library is open.",
        'The correct spelling is: "We don\'t believe that the library is open."',
        "**We don't believe that the library is open.**",
        'The sentence "We dont beleive that the libary is open." should be "We don\'t believe that the library is open."',
        "Sure!\n\nWe don't believe that the library is open.\n\nI corrected three words.",
    ],
)
def test_the_corrected_sentence_is_right_however_it_is_presented(answer: str) -> None:
    verdict = check(answer, ROW)
    assert verdict.ok, verdict
    assert (verdict.reason, verdict.expected) == ("", ROW["completion"])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no sentence found"),
        ("I cannot help with that.", "no sentence found"),
        ("We dont believe that the library is open.", "'dont' where \"don't\" was expected"),
        ("We don't beleive that the library is open.", "'beleive' where 'believe' was expected"),
        ("We don't believe that the library is", "1 word(s) missing"),
        ("We don't believe that the library is open today.", "1 word(s) too many"),
        ("We don't believe that the library is open!", "too many"),
        ("We don't think that the library is open.", "'think' where 'believe' was expected"),
        ("We don't believe, that the library is open.", "',' where"),
        ("We don't believe that the library is open.\n\nWe don't beleive that the library is open.", "'beleive' where"),
        ("believe library", "no sentence found"),
    ],
)
def test_anything_else_is_wrong_and_says_why(answer: str, reason: str) -> None:
    verdict = check(answer, ROW)
    assert not verdict.ok
    assert reason in verdict.reason


def test_quotes_that_belong_to_a_sentence_with_a_colon_do_not_mislead() -> None:
    row = {"completion": "Dinner was excellent: soup with bread, and cheese afterwards."}
    assert check(row["completion"], row).ok
    assert not check(row["completion"].replace("excellent", "exellent"), row).ok


def test_a_very_long_answer_is_judged_quickly() -> None:
    start = time.monotonic()
    for text in ('"' * 8000, "a:" * 4000, "We don't " * 2000, "\n" * 8000, "**" * 4000):
        assert not check(text, ROW).ok
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("row", [{}, {"completion": ""}, {"completion": " . "}])
def test_a_row_without_a_sentence_is_an_error_and_not_a_wrong_answer(row: dict[str, str]) -> None:
    with pytest.raises(DataError):
        check("Hello", row)
