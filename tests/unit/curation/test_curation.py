from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.curation import check_rows, data_stats, draw_lengths, leaks, near_pairs, read_data, split_data, spread
from expert_kit.curation.near import jaccard, shingles
from expert_kit.curation.rows import DataRow
from expert_kit.curation.syntax import SYNTAXES
from expert_kit.errors import DataError, UsageError

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
        (5, "no text under 'prompt' and 'completion'"),
        (6, "no text under 'completion'"),
    ]


def test_what_json_lets_through_and_text_does_not_is_malformed(tmp_path: Path) -> None:
    lines = ['\ufeff{"prompt": "a", "completion": "b"}', '{"prompt": "\\ud800", "completion": "c"}', '{"prompt":' + "[" * 200_000]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert [bool(row.problem) for row in read_data(tmp_path / "rows.jsonl")] == [False, True, True]


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"\xff\xfe")
    for name in ("rows.jsonl", "none.jsonl"):
        with pytest.raises(DataError) as caught:
            read_data(tmp_path / name)
        assert caught.value.code == "table_unreadable"


def test_every_kind_of_finding_names_its_line_and_the_other() -> None:
    longer = LONG + ", sorted by name, with the largest amount first and no row for those who never paid anything at all"
    rows = rows_of(
        (longer, "SELECT 1"),
        (longer + "  ", "SELECT  1"),
        (longer, "SELECT 2"),
        (longer, "SELECT 2"),
        (longer.replace("please write", "write me"), "SELECT 1"),
        (longer.replace("Oslo", "Rome"), "SELECT 3"),
        ("a\x07b", "SELECT 4"),
        ("something else", "SELECT 1 FROM WHERE"),
    )
    found = {(one.line, one.code): one.other for one in check_rows(rows, "sql")}
    assert found == {
        (2, "repeated"): 1,
        (3, "contradicted"): 1,
        (4, "repeated"): 3,
        (5, "nearly_repeated"): 1,
        (7, "control_character"): None,
        (8, "syntax"): None,
    }


def test_a_row_is_compared_with_rows_that_stay() -> None:
    words = [f"w{at}" for at in range(60)]
    steps = [" ".join([*words[:30], *(["x"] * at), *words[30 + at :]]) for at in (0, 4, 8)]
    assert [(at, other) for at, other, _ in near_pairs(steps)] == [(1, 0), (2, 1)]
    rows = rows_of(*((prompt, "same") for prompt in steps))
    assert [(one.line, one.code, one.other) for one in check_rows(rows)] == [(2, "nearly_repeated", 1)]


def test_prompts_that_are_nearly_the_same_are_looked_for_only_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("expert_kit.curation.findings.near_pairs", fail)
    assert [one.code for one in check_rows(rows_of(("a", "b"), ("a", "b"), ("a", "c")), near=False)] == ["repeated", "contradicted"]


def test_text_of_every_script_is_no_control_character() -> None:
    fine = ["a\u00a0b", "一\u3000二", "می\u200cشود", "👩\u200d💻", "soft\u00adhyphen", "x\n\ty", "\u200eא"]
    assert check_rows(rows_of(*((prompt, "x") for prompt in fine))) == []
    for char in ("\x1b", "\x85", "\r", "\u202e", "\u2066", "\ud800"):
        (found,) = check_rows(rows_of(("prompt", f"a{char}b")), None)
        assert (found.code, found.message) == ("control_character", f"has the character U+{ord(char):04X}")


@pytest.mark.parametrize("pair", [("2 + 2", "2 - 2"), ("what is x < 5", "what is x > 5"), ("??", "!!"), ("今天天气好吗", "明天天气好吗")])
def test_signs_and_letters_without_spaces_make_a_difference(pair: tuple[str, str]) -> None:
    assert jaccard(*map(shingles, pair)) < 0.8


def test_scripts_without_spaces_have_near_prompts_too() -> None:
    text = "请写一个查询列出所有住在奥斯陆并且在五月份付过款的客户的名字和他们的电话号码"
    assert jaccard(shingles(text), shingles(text.replace("五", "六"))) > 0.8


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
        ("sql", "INSERT INTO t VALUES (1)", "hello world"),
        ("sql", "REPLACE INTO t VALUES (1)", "I"),
        ("sql", "WITH a AS (SELECT 1) SELECT * FROM a UNION SELECT 2;", "a + b"),
        ("sql", "CREATE TABLE t (a int)", "(maybe)"),
        ("sql", "PRAGMA table_info(t)", "1"),
        ("sql", "COMMIT", "the answer is 5"),
        ("sql", "EXPLAIN QUERY PLAN SELECT a FROM t", "explain how it works"),
        ("sql", "VACUUM", "call me later"),
        ("sql", "EXPLAIN SELECT a FROM absent", "drop it\0"),
        ("sql", "DROP TABLE t", "drop it \ud800"),
        ("sql", "CREATE VIRTUAL TABLE a USING fts5(b)", "create a nice sentence"),
        ("json", '{"a": [1]}', "{'a': 1}"),
        ("python", "def f(x):\n    return x\n", "def f(x)\n    return x"),
        ("json", "[]", "[" * 100_000),
        ("python", "1", "(" * 100_000),
    ],
)
def test_syntax_is_checked_and_nothing_is_run(language: str, good: str, bad: str) -> None:
    assert SYNTAXES[language](good) == ""
    assert SYNTAXES[language](bad)


def test_what_sqlglot_thinks_of_a_text_is_not_written_anywhere(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    assert SYNTAXES["sql"]("EXPLAIN SELECT '\x1b[2J'") == ""
    assert (caplog.text, *capfd.readouterr()) == ("", "", "")
    logging.getLogger("sqlglot").warning("still heard elsewhere")
    assert "still heard" in caplog.text


texts = st.lists(st.sampled_from(["a b c d", "a b c d e", "x y z", "x y z w", "one two three", "lone"]), min_size=1, max_size=30)


@given(texts, st.floats(0, 0.4), st.floats(0, 0.4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_row_is_lost_and_what_is_nearly_the_same_stays_together(prompts: list[str], validation: float, test: float, exact: bool) -> None:
    rows = rows_of(*((prompt, str(at)) for at, prompt in enumerate(prompts)))
    try:
        parts = split_data(rows, {"validation": validation, "test": test}, exact=exact)
    except DataError as error:
        assert error.code == "too_few_rows"  # noqa: PT017 - most examples are split
        return
    assert sorted(row.line for found in parts.values() for row in found) == [row.line for row in rows]
    assert list(parts) == ["train", "validation", "test"]
    where = {row.line: name for name, found in parts.items() for row in found}
    for one, other, _ in near_pairs(prompts):
        assert where[one + 1] == where[other + 1] or (exact and prompts[one] != prompts[other])


def test_shares_hold_in_every_stratum_and_for_strata_of_one_row() -> None:
    rows = [DataRow(at, json.dumps({"kind": at % 4, "own": at}), f"prompt number {at} of its own", "x") for at in range(400)]
    for key in ("kind", "own", None):
        parts = split_data(rows, {"validation": 0.1, "test": 0.2}, stratify=key)
        assert {name: len(found) for name, found in parts.items()} == {"train": 280, "validation": 40, "test": 80}
    parts = split_data(rows, {"validation": 0.1, "test": 0.2}, stratify="kind")
    for name, share in (("validation", 10), ("test", 20)):
        assert all(abs(sum(json.loads(row.text)["kind"] == kind for row in parts[name]) - share) <= 1 for kind in range(4))


def test_a_large_group_goes_to_the_large_part() -> None:
    alike, own = " ".join(f"w{step}" for step in range(40)), [(f"own {at}", "x") for at in range(40)]
    rows = rows_of(*((f"{alike} {at}", "x") for at in range(60)), *own)
    parts = split_data(rows, {"validation": 0.1, "test": 0.1})
    assert [len(parts[name]) for name in ("validation", "test")] == [10, 10]
    assert {row.line for row in rows[:60]} <= {row.line for row in parts["train"]}


def test_what_cannot_be_split_is_said() -> None:
    alike = rows_of(*((" ".join(f"w{step}" for step in range(40)) + f" {at}", "x") for at in range(60)))
    with pytest.raises(DataError) as caught:
        split_data(alike, {"validation": 0.1, "test": 0.1})
    assert caught.value.code == "too_few_rows"
    assert len(split_data(alike, {"validation": 0.1, "test": 0.1}, exact=True)["train"]) == 48
    for shares, key, code in (({"test": 1.0}, None, "shares_invalid"), ({"test": 0.1}, "knid", "stratify_unknown")):
        with pytest.raises(UsageError) as refused:
            split_data(alike, shares, stratify=key)
        assert refused.value.code == code


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


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (0.0, 0.0, 0.0)),
        ([3], (3.0, 3.0, 3.0)),
        (list(range(20, 0, -1)), (10.5, 19.0, 20.0)),
        ([0.5] * 94 + [0.75, 0.8, 0.9, 1.0, 1.1, 2.0], (0.5, 0.75, 2.0)),
    ],
)
def test_95_percent_do_not_exceed_the_95th_percentile(values, expected):
    assert spread(values) == expected
