"""Slips between words, against the plain rule written out, and the words of a list that are near."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.slips import WordList, slips_between

WORDS = st.text("abcä", min_size=1, max_size=7)


def one_slip_away(word: str) -> set[str]:
    """All that one slip makes of a word over these letters."""
    letters = "abcä"
    parts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    lost = {first + rest[1:] for first, rest in parts if rest}
    changed = {first + letter + rest[1:] for first, rest in parts if rest for letter in letters}
    added = {first + letter + rest for first, rest in parts for letter in letters}
    swapped = {first + rest[1] + rest[0] + rest[2:] for first, rest in parts if len(rest) > 1}
    return (lost | changed | added | swapped) - {word, ""}


@pytest.mark.parametrize(
    ("one", "other", "slips"), [("abc", "abc", 0), ("abc", "acb", 1), ("abc", "bca", 2), ("kitten", "sitting", None), ("ab", "abcd", 2)]
)
def test_slips_are_counted_as_by_hand(one: str, other: str, slips: int | None) -> None:
    assert slips_between(one, other, 2) == slips_between(other, one, 2) == slips


@given(word=WORDS, words=st.lists(WORDS, max_size=40, unique=True))
@settings(max_examples=200, deadline=None)
def test_the_words_near_are_found_with_their_slips(word: str, words: list[str]) -> None:
    near = {one: 1 for one in words if one in one_slip_away(word)}
    farther = {one: 2 for one in words if one not in (*near, word) and slips_between(word, one, 2) == 2}
    assert WordList(words).near(word, 1) == near
    assert WordList(words).near(word, 2) == near | farther
    assert list(WordList(words).near(word, 2)) == [one for one in words if one in near or one in farther]


@given(word=WORDS, words=st.lists(WORDS, max_size=40, unique=True))
@settings(max_examples=200, deadline=None)
def test_the_first_look_misses_nothing(word: str, words: list[str]) -> None:
    seen = set(WordList(words).maybe_near(word, 2))
    assert {one for one in words if slips_between(word, one, 2) is not None} <= seen


def test_a_list_may_be_empty() -> None:
    assert WordList(()).near("word", 2) == {}
