from __future__ import annotations

import json
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
    for bad_text in ("\ud800", "a\0b"):
        with pytest.raises(DataError, match="lack a text"):
            make_rows([(1, {"question": bad_text, "answer": "x"})], Columns("question", "answer"))
    with pytest.raises(DataError, match="lack a text"):
        make_rows([(1, {"a": None, "b": "x", "c": "y"})], Columns("{a}{b}", "c"))
