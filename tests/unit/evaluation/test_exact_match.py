from __future__ import annotations

import pytest

from expert_kit.errors import DataError
from expert_kit.evaluation.exact_match import check


@pytest.mark.parametrize("answer", ["tar -xf a.tar", "  tar  -xf\na.tar \n"])
def test_white_space_makes_no_difference(answer: str) -> None:
    assert check(answer, {"completion": "tar -xf  a.tar"}).ok


@pytest.mark.parametrize("answer", ["", "TAR -xf a.tar", "tar -xf a.tar.", "Use tar -xf a.tar", "tar-xf a.tar"])
def test_anything_else_does(answer: str) -> None:
    verdict = check(answer, {"completion": "tar -xf a.tar"})
    assert not verdict.ok
    assert verdict.reason


def test_long_texts_are_compared_whole_and_shown_short() -> None:
    verdict = check("a" * 500, {"completion": "a" * 499})
    assert not verdict.ok
    assert (len(verdict.got), len(verdict.expected)) == (200, 200)


def test_a_row_without_a_completion_is_an_error() -> None:
    with pytest.raises(DataError, match="row 7"):
        check("x", {"id": 7, "completion": " "})
