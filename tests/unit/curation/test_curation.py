from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.curation import check_rows, data_stats, draw_lengths, leaks, near_pairs, read_data, split_data
from expert_kit.curation.near import jaccard, shingles
from expert_kit.curation.rows import DataRow
from expert_kit.curation.syntax import SYNTAXES
from expert_kit.errors import DataError

LONG = "please write a query that lists the names of all customers who live in Oslo and have paid in May"


def rows_of(*pairs: tuple[str, str]) -> list[DataRow]:
    return [
        DataRow(at, json.dumps({"prompt": prompt, "completion": completion}), prompt, completion)
        for at, (prompt, completion) in enumerate(pairs, 1)
    ]


def test_lines_that_are_no_rows_are_kept_with_their_reason(tmp_path: Path) -> None:
    lines = [
        '{"prompt": "a\u2028b", "completion": "c"}',
        "",
        "{",
        "[]",
        '{"prompt": " ", "completion": 3}',
        '{"prompt": "x", "completion": ""}',
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    found = read_data(tmp_path / "rows.jsonl")
    assert [(row.line, row.problem.split(":")[0]) for row in found] == [
        (1, ""),
        (3, "not JSON"),
        (4, "not an object"),
        (5, "no text under prompt and completion"),
        (6, "no text under completion"),
    ]


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"\xff\xfe")
    for name in ("rows.jsonl", "none.jsonl"):
        with pytest.raises(DataError) as caught:
            read_data(tmp_path / name)
        assert caught.value.code == "table_unreadable"


def test_every_kind_of_finding_names_its_line_and_the_other() -> None:
    rows = rows_of(
        (LONG, "SELECT 1"),
        (LONG + "  ", "SELECT  1"),
        (LONG, "SELECT 2"),
        (LONG.replace("Oslo", "Rome"), "SELECT 3"),
        ("a\x07b", "SELECT 4"),
        ("something else", "SELECT 1 FROM WHERE"),
    )
    found = {(one.line, one.code): one.other for one in check_rows(rows, "sql")}
    assert found == {
        (2, "repeated"): 1,
        (3, "contradicted"): 1,
        (5, "control_character"): None,
        (6, "syntax"): None,
    } | ({(4, "nearly_repeated"): 1} if jaccard(shingles(LONG), shingles(rows[3].prompt)) >= 0.8 else {})


def test_a_changed_word_in_a_long_prompt_is_nearly_the_same_and_another_prompt_is_not() -> None:
    other = LONG + " or in June, sorted by name, with the largest amount first and no row for those who never paid at all"
    texts = [other, other.replace("May", "April"), "count the dogs", "count the cats"]
    assert [(one, before) for one, before, _ in near_pairs(texts)] == [(1, 0)]


def test_leaks_are_told_from_near_leaks_and_malformed_rows_are_no_prompts() -> None:
    long = LONG + " and whose last order was sent back before the end of the year without any reason being given"
    train = rows_of(("same prompt", "x"), (long, "y"), ("own", "z"))
    held = [*rows_of(("other", "a"), ("same  prompt", "b"), (long.replace("Oslo", "Bergen"), "c")), DataRow(4, "{", "", "", "not JSON")]
    assert [(one.line, one.code, one.other) for one in leaks(train, held)] == [(1, "leak", 2), (2, "near_leak", 3)]


@pytest.mark.parametrize(
    ("language", "good", "bad"),
    [
        ("sql", "SELECT a FROM t WHERE b = 'it''s'", "SELECT a FROM t WHERE"),
        ("sql", "SELECT 1", "SELECT 1; SELECT 2"),
        ("json", '{"a": [1]}', "{'a': 1}"),
        ("python", "def f(x):\n    return x\n", "def f(x)\n    return x"),
        ("json", "[]", "[" * 100_000),
        ("python", "1", "(" * 100_000),
    ],
)
def test_syntax_is_checked_and_nothing_is_run(language: str, good: str, bad: str) -> None:
    assert SYNTAXES[language](good) == ""
    assert SYNTAXES[language](bad)


texts = st.lists(st.sampled_from(["a b c d", "a b c d e", "x y z", "x y z w", "one two three", "lone"]), min_size=1, max_size=30)


@given(texts, st.floats(0, 0.4), st.floats(0, 0.4))
@settings(max_examples=40, deadline=None)
def test_no_row_is_lost_and_what_is_nearly_the_same_stays_together(prompts: list[str], validation: float, test: float) -> None:
    rows = rows_of(*((prompt, str(at)) for at, prompt in enumerate(prompts)))
    parts = split_data(rows, {"validation": validation, "test": test})
    assert sorted(row.line for found in parts.values() for row in found) == [row.line for row in rows]
    assert list(parts) == ["train", "validation", "test"]
    where = {row.line: name for name, found in parts.items() for row in found}
    for one, other, _ in near_pairs(prompts):
        assert where[one + 1] == where[other + 1]


def test_shares_hold_in_every_stratum() -> None:
    rows = [DataRow(at, json.dumps({"kind": at % 4}), f"prompt number {at} of its own", "x") for at in range(400)]
    parts = split_data(rows, {"validation": 0.1, "test": 0.2}, stratify="kind")
    for name, share in (("validation", 10), ("test", 20)):
        assert [sum(json.loads(row.text)["kind"] == kind for row in parts[name]) for kind in range(4)] == [share] * 4


def test_figures_tell_templates_from_varied_text(tmp_path: Path) -> None:
    template = data_stats(rows_of(*((f"what is the price of item {at}", "x") for at in range(50))))
    varied = data_stats(rows_of(*((" ".join(f"w{(at * 7 + step * 13) % 997}" for step in range(6)), "x") for at in range(50))))
    assert template.distinct_2 < varied.distinct_2
    assert template.compression > varied.compression
    assert template.opening_entropy == 0.0
    assert varied.opening_entropy > 4
    assert template.prompt_lengths == (28.0, 28.0, 28.0)
    draw_lengths(rows_of(("a", "b")), tmp_path / "lengths.png")
    assert (tmp_path / "lengths.png").read_bytes()[:4] == b"\x89PNG"


def test_an_empty_file_has_zeros() -> None:
    assert data_stats([]).rows == data_stats([]).words == 0
    assert check_rows([]) == []
