from __future__ import annotations

import pytest

from expert_kit.registry import Registry
from tests.support.filled import fill


@pytest.fixture
def many(run, installed) -> Registry:
    """The tiny expert and 40 others."""
    registry = Registry.default()
    fill(registry, registry.get(installed), 40)
    return registry


def refs(done) -> list[str]:
    assert done.code == 0, done.err
    return done.out.split()


def test_words_are_found_at_their_beginning_in_any_order(run, many):
    found = refs(run("search", "regex numb", "-q"))
    assert found == [f"bulk-{number % 10}/regex-{number}@1.0.0" for number in (11, 3, 35, 27, 19)]
    assert refs(run("search", "numb regex", "-q", "--limit", "2")) == found[:2]
    assert refs(run("search", "TINY expert", "-q")) == ["expert-kit/tiny@1.0.0"]


def test_filters_narrow_it_down(run, many):
    assert refs(run("search", "chess", "--namespace", "bulk-7", "-q")) == ["bulk-7/chess-7@1.0.0"]
    assert refs(run("search", "number", "--tag", "group-5", "-q")) == ["bulk-5/invoices-5@1.0.0"]
    assert refs(run("search", "number", "--capability", "json", "--tag", "haiku", "-q")) == [
        "bulk-2/haiku-12@1.0.0",
        "bulk-6/haiku-36@1.0.0",
    ]
    assert refs(run("search", "number", "--base", "other", "-q")) == []


def test_a_limit_larger_than_any_number_of_rows_is_no_error(run, many):
    assert len(run("search", "chess", "--limit", "9223372036854775808", "--json").json) > 0


def test_nothing_found_is_said_on_stderr_and_is_no_error(run, many):
    done = run("search", "unheard-of")
    assert (done.code, done.out) == (0, "")
    assert 'no installed expert fits "unheard-of"' in done.err
    assert run("search", "unheard-of", "--json").json == []


@pytest.mark.parametrize("text", ['"', "a OR", "NEAR(", "*", "^x", "-", "name:x", "\x1b[2J", "ab\x00"])
def test_no_text_is_an_error_of_syntax(run, many, text):
    done = run("search", text)
    assert done.code == 0
    assert "\x1b" not in done.out + done.err


def test_withdrawn_experts_are_hidden_until_asked_for(run, many):
    run("yank", "expert-kit/tiny@1.0.0", "--reason", "wrong\x1b[2J")
    assert refs(run("search", "tiny", "-q")) == []
    shown = run("search", "tiny", "--all")
    assert "(yanked: wrong\\u{1b}[2J)" in shown.out
