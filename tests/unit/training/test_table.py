from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from expert_kit.errors import DataError, UsageError
from expert_kit.training import choose_columns, make_rows, read_table
from expert_kit.training.table import Columns

RECORDS = [(1, {"question": "a?", "answer": "A", "topic": "x"}), (2, {"question": "b?", "answer": "B", "topic": "y"})]


def written(folder: Path, name: str, text: str, encoding: str = "utf-8") -> str:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.jsonl", '{"question": "a?", "answer": "A"}\n\n{"question": "b\u2028?", "answer": "B"}\n'),
        ("rows.csv", 'question,answer\na?,A\n"b\u2028?",B\n'),
        ("rows.TSV", "question\tanswer\na?\tA\nb\u2028?\tB\n"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_files_of_every_kind_give_the_same_records(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    records = [record for _, record in read_table(written(tmp_path, name, text, encoding))]
    assert records == [{"question": "a?", "answer": "A"}, {"question": "b\u2028?", "answer": "B"}]


def test_a_field_of_several_lines_is_one_field(tmp_path: Path) -> None:
    (record,) = read_table(written(tmp_path, "rows.csv", 'question,answer\n"two\nlines",A\n'))
    assert record == (3, {"question": "two\nlines", "answer": "A"})


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("rows.jsonl", '{"a": 1}\nnot json\n', 2),
        ("rows.jsonl", '{"a": 1}\n\n[1]\n', 3),
        ("rows.csv", "a,b\n1,2\n1,2,3\n", 3),
        ("rows.csv", "a,b\n1\n", 2),
        ("rows.csv", "a,b,a\n1,2,3\n", 1),
        ("rows.csv", 'a,b\n1,"2"x\n', 2),
        ("rows.csv", 'a,b\n1,2\n3,"4\n', 3),
        ("rows.jsonl", '{"a":' + "[" * 200_000 + "\n", 1),
        ("rows.jsonl", '{"a": 1}\n{"a": "\\ud800"}\n', 2),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, name: str, text: str, line: int) -> None:
    with pytest.raises(DataError, match=f"{name}:{line}: ") as caught:
        list(read_table(written(tmp_path, name, text)))
    assert caught.value.code == "table_malformed"


def test_other_encodings_missing_files_and_other_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not UTF-8") as caught:
        list(read_table(written(tmp_path, "rows.csv", "a,b\ncafé,1\n", "latin-1")))
    assert caught.value.code == "table_malformed"
    with pytest.raises(DataError, match="No such file") as caught:
        list(read_table(str(tmp_path / "none.csv")))
    assert caught.value.code == "table_unreadable"
    for data in (written(tmp_path, "rows.xlsx", "PK"), str(tmp_path), "a\x1b[2Jb"):
        with pytest.raises(UsageError) as refused:
            list(read_table(data))
        assert (refused.value.code, "\x1b" in refused.value.message) == ("table_unknown", False)


def test_a_data_set_that_cannot_be_had_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="cannot load the data set nobody/nothing-at-all") as caught:
        list(read_table("nobody/nothing-at-all"))
    assert caught.value.code == "table_unreadable"


def test_a_field_may_be_long(tmp_path: Path) -> None:
    ((_, record),) = read_table(written(tmp_path, "rows.csv", f"question,answer\n{'x' * 200_000},A\n"))
    assert len(record["question"]) == 200_000


def test_usual_columns_are_found_and_others_must_be_named() -> None:
    assert choose_columns(RECORDS, None, None) == Columns("question", "answer")
    assert choose_columns(RECORDS, "topic", "answer") == Columns("topic", "answer")
    with pytest.raises(UsageError, match="no column title; there are: question, answer, topic") as caught:
        choose_columns(RECORDS, "{topic}: {title}", "answer")
    assert caught.value.code == "columns_unknown"
    with pytest.raises(UsageError, match="no column prompt, completion"):
        choose_columns([(1, {"a": "x"})], None, None)
    with pytest.raises(DataError) as empty:
        choose_columns([], None, None)
    assert empty.value.code == "table_empty"


def test_a_prompt_is_made_of_several_columns_and_their_text_is_not_read_as_one() -> None:
    records = [(1, {"schema": "t(a) {q}", "q": "How many?", "sql": "SELECT 1", "n": 3})]
    rows, repeated = make_rows(records, Columns("{schema}\nQuestion ({n}): {q}", "sql"))
    assert rows == [{"prompt": "t(a) {q}\nQuestion (3): How many?", "completion": "SELECT 1"}]
    assert repeated == 0


def test_values_that_are_no_text_become_json() -> None:
    rows, _ = make_rows([(1, {"prompt": "p", "completion": {"a": [1, "é"]}})], Columns("prompt", "completion"))
    assert json.loads(rows[0]["completion"]) == {"a": [1, "é"]}
    assert "é" in rows[0]["completion"]


def test_repeated_rows_are_counted_and_rows_without_text_are_listed() -> None:
    rows, repeated = make_rows([*RECORDS, (3, RECORDS[0][1])], Columns("question", "answer"))
    assert (len(rows), repeated) == (2, 1)
    bad = [*RECORDS, *((number, {"question": " ", "answer": "x"}) for number in range(3, 20))]
    with pytest.raises(DataError, match=r"17 of 19 rows lack a text in question or answer: 3, 4, 5, .*12, \.\.\.") as caught:
        make_rows(bad, Columns("question", "answer"))
    assert caught.value.code == "rows_incomplete"
    with pytest.raises(DataError, match="lack a text"):
        make_rows([(1, {"a": None, "b": "x", "c": "y"})], Columns("{a}{b}", "c"))


def test_rows_that_differ_in_white_space_only_are_one() -> None:
    rows, repeated = make_rows([(1, {"q": "a  b", "a": "x y"}), (2, {"q": "a b", "a": "x  y"})], Columns("q", "a"))
    assert (rows, repeated) == ([{"prompt": "a  b", "completion": "x y"}], 1)


def test_characters_that_no_text_has_are_told_from_missing_text() -> None:
    records = [(number, {"q": text, "a": "x"}) for number, text in enumerate(("fine", "a\0b", "", "\ud800", "\0"), start=1)]
    with pytest.raises(DataError) as caught:
        make_rows(records, Columns("q", "a"))
    assert caught.value.code == "rows_incomplete"
    assert caught.value.message.removeprefix("not every row has text to train on: ").split("; ") == [
        "2 of 5 rows have a NUL character in q or a: 2, 5",
        "1 of 5 rows lack a text in q or a: 3",
        "1 of 5 rows have half of a surrogate pair in q or a: 4",
    ]


def test_dates_become_text_and_what_is_none_is_named_with_its_column_and_row() -> None:
    day = datetime(2024, 5, 1, 12, 30)
    rows, _ = make_rows([(1, {"q": day, "a": day.date()}), (2, {"q": Decimal("1.50"), "a": 2.5})], Columns("q", "a"))
    assert [tuple(row.values()) for row in rows] == [("2024-05-01 12:30:00", "2024-05-01"), ("1.50", "2.5")]
    for cell in (b"bytes", [day], float("inf"), {"deep": float("nan")}):
        with pytest.raises(DataError, match="row 2: the column q holds what is no text: ") as caught:
            make_rows([(1, {"q": "fine", "a": "x"}), (2, {"q": cell, "a": "x"})], Columns("{q}?", "a"))
        assert caught.value.code == "cell_unwritable"


def test_a_number_that_is_none_is_a_missing_text() -> None:
    with pytest.raises(DataError, match="1 of 1 rows lack a text in q or a: 1"):
        make_rows([(1, {"q": float("nan"), "a": "x"})], Columns("q", "a"))


@pytest.mark.parametrize(
    ("name", "text", "sign"),
    [
        ("rows.csv", "question;answer\na?;A\n", "';'"),
        ("rows.csv", "question;answer\nwell, a?;A, or B\n", "';'"),
        ("rows.csv", "question\tanswer\na?\tA\n", r"'\\t'"),
        ("rows.tsv", "question,answer\na?,A\n", "','"),
    ],
)
def test_another_separator_is_named(tmp_path: Path, name: str, text: str, sign: str) -> None:
    with pytest.raises(DataError, match=f"{name}:1: one column, .*, where {sign} seems to be the separator") as caught:
        list(read_table(written(tmp_path, name, text)))
    assert "commas in a .csv file" in caught.value.hint


def test_a_table_of_one_column_is_read(tmp_path: Path) -> None:
    assert list(read_table(written(tmp_path, "rows.csv", "question\na; b\n"))) == [(2, {"question": "a; b"})]
    assert list(read_table(written(tmp_path, "rows.csv", ""))) == []
