from __future__ import annotations

import pytest

from expert_kit.signing.canonical import check_fields, parse_canonical, parse_free


def test_the_one_spelling_is_read() -> None:
    assert parse_canonical(b'{"a":1,"b":["x"]}') == {"a": 1, "b": ["x"]}


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1,"a":1}',
        b'{"a":1}\n',
        b'{"a":1.0}',
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":9007199254740993}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"[]",
        b"",
        b'{"a":' * 100_000,
    ],
)
def test_every_other_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ from case to case
        parse_canonical(data)


def test_a_file_that_a_person_wrote_may_be_spaced_as_it_likes() -> None:
    assert parse_free(b'{ "b": 1.5,\n "a": [] }') == {"a": [], "b": 1.5}


@pytest.mark.parametrize("data", [b'{"a":1,"a":2}', b'{"x":{"a":1,"a":1}}', b'{"a":Infinity}', b"3", b"{", b"\xff", b"[" * 100_000])
def test_a_free_file_says_one_thing_only(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ from case to case
        parse_free(data)


def test_fields_are_these_and_of_these_types() -> None:
    wanted = {"a": int, "b": str}
    assert check_fields({"a": 1, "b": "x"}, wanted) == {"a": 1, "b": "x"}
    assert check_fields({"a": 1}, wanted, frozenset({"b"})) == {"a": 1}
    for bad in ({"a": 1}, {"a": 1, "b": "x", "c": 1}, {"a": True, "b": "x"}, {"a": 1.0, "b": "x"}, [], None):
        with pytest.raises(ValueError):  # noqa: PT011 - the words differ from case to case
            check_fields(bad, wanted)
