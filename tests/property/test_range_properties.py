"""Ranges against another implementation of npm's grammar, where that one is right: without pre-releases."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from semantic_version import NpmSpec, Version

from expert_kit.errors import UnknownNameError
from expert_kit.registry.ranges import VersionRange, is_range

NUMBERS = st.integers(0, 3).map(str)
FULL = st.tuples(NUMBERS, NUMBERS, NUMBERS).map(".".join)
TWO = st.tuples(NUMBERS, NUMBERS).map(".".join)
PARTIAL = st.one_of(FULL, TWO, NUMBERS, TWO.map("{}.x".format))
SIMPLE = st.one_of(PARTIAL, st.builds("{}{}".format, st.sampled_from(["^", "~", ">=", "<", ">", "<=", "="]), FULL))
SETS = st.one_of(
    st.lists(SIMPLE, min_size=1, max_size=2).map(" ".join),
    st.builds("{} - {}".format, FULL, FULL),
    st.sampled_from(["*", ">=1.2", "^0.1", "~1", "^2.x", "1.x"]),
)
RANGES = st.lists(SETS, min_size=1, max_size=3).map(" || ".join)


@settings(max_examples=300, deadline=None)
@given(RANGES, FULL)
def test_both_find_the_same_versions_in_a_range(text: str, version: str) -> None:
    assert VersionRange.parse(text).matches(version) == (Version(version) in NpmSpec(text)), (text, version)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="^~<>=|-. *xX0123456789ab+v\n\t", max_size=24))
def test_any_text_is_a_range_or_a_typed_error(text: str) -> None:
    try:
        parsed = VersionRange.parse(text)
    except UnknownNameError as error:
        if error.code != "range_invalid":
            raise
        return
    assert is_range(text)
    assert isinstance(parsed.matches("1.0.0"), bool)
    assert VersionRange.parse(str(parsed)).matches("1.0.0") == parsed.matches("1.0.0")
