import json

import pytest

from expert_kit.archive import RoutingExample, check_examples, parse_examples
from expert_kit.errors import DataError


def row(text: str, split: str = "fit") -> bytes:
    return json.dumps({"text": text, "split": split}).encode() + b"\n"


def test_rows_are_read_in_order():
    data = row("How many cats?") + row("Wie viele Hunde? ünïcode", "validate")
    assert parse_examples(data) == (RoutingExample("How many cats?", "fit"), RoutingExample("Wie viele Hunde? ünïcode", "validate"))
    assert parse_examples(data.removesuffix(b"\n")) == parse_examples(data)


def test_a_prompt_may_have_several_lines():
    assert parse_examples(row("CREATE TABLE cats (id);\n\tHow many?"))[0].text == "CREATE TABLE cats (id);\n\tHow many?"


def test_no_rows_are_fine():
    assert parse_examples(b"") == ()


BAD_ROWS = [
    *(b"", b"[]", b"{}", b'"x"', b"\xff", b'{"text":"a","text":"b","split":"fit"}', b'{"text":"a"}', b'{"text":1,"split":"fit"}'),
    *(row(text).strip() for text in ("", "   ", "x" * 2001, "a\rb", "\x1b[1m")),
    row("a", "test").strip(),
    *(b'{"text":"a","split":"fit","vector":[1.0]}', b'{"text":"a","split":["fit"]}', b'{"text":"\\ud800","split":"fit"}'),
]


@pytest.mark.parametrize("line", BAD_ROWS)
def test_bad_rows_are_refused_with_their_line(line):
    problems = check_examples(row("good") + line + b"\n" + row("also good"))
    assert [(problem.code, problem.where) for problem in problems] == [("routing_examples_invalid", "routing/examples.jsonl:2")]


def test_limits_are_inclusive():
    assert check_examples(b"".join(row(f"{n:04}" + "x" * 1996) for n in range(2000))) == []
    assert [problem.code for problem in check_examples(b"".join(row(str(n)) for n in range(2001)))] == ["routing_examples_too_many"]


def test_exact_duplicates_are_refused_once():
    problems = check_examples(row("a") + row("b") + row("a", "validate") + row("a"))
    assert [(problem.code, problem.where[-2:]) for problem in problems] == [("routing_examples_duplicate", ":3")]


def test_parsing_lists_all_problems():
    with pytest.raises(DataError, match=r":1: .*:2: ") as caught:
        parse_examples(b"x\ny\n")
    assert caught.value.code == "routing_examples_invalid"


@pytest.mark.parametrize("data", [b'{"text":"a",\r"split":"fit"}\n', b'{"text":"a","split":"fit"}\r\n'])
def test_a_carriage_return_is_refused_since_readers_disagree_on_where_a_line_ends(data):
    (problem,) = check_examples(data)
    assert problem.code == "routing_examples_invalid"
    assert "carriage return" in problem.message
