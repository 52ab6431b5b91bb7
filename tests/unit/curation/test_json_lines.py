from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.curation import json_lines, read_json_lines, read_rows
from expert_kit.errors import DataError

ROW = '{"prompt": "a", "completion": "b"}'


def written(folder: Path, *lines: str, end: str = "\n", encoding: str = "utf-8") -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(end.join(lines).encode(encoding))
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_editors_count_them_and_a_byte_order_mark_is_none_of_their_text(tmp_path: Path, end: str) -> None:
    path = written(tmp_path, ROW, "", ROW.replace("a", "x\u2028y"), " ", ROW, end=end, encoding="utf-8-sig")
    found = list(read_json_lines(path))
    assert [(line.number, line.text, line.problem) for line in found] == [(1, ROW, ""), (3, ROW.replace("a", "x\u2028y"), ""), (5, ROW, "")]
    assert [line.value for line in found] == [json.loads(line.text) for line in found]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes, column 2"),
        ("[1]", "not an object"),
        ('{"prompt": "\\ud83d", "completion": "b"}', "has half of a surrogate pair"),
        ('{"prompt": "a", "completion": "b", "id": ["\\udc00"]}', "has half of a surrogate pair"),
        ('{"prompt":' + "[" * 200_000, "nested too deeply"),
        ('{"prompt": ' + "9" * 5000 + "}", "not JSON that can be read"),
        ('{"prompt": 5, "completion": null}', "no text under 'prompt' and 'completion'"),
        ('{"prompt": "a", "completion": " "}', "no text under 'completion'"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = written(tmp_path, ROW, "", line)
    with pytest.raises(DataError) as caught:
        read_rows(path)
    assert f"{path}:3: " in caught.value.message
    assert problem in caught.value.message
    assert (caught.value.code, caught.value.hint) == ("table_malformed", f"see all of them with: expert-kit dataset check {path}")


def test_whole_surrogate_pairs_are_one_character(tmp_path: Path) -> None:
    assert read_rows(written(tmp_path, '{"prompt": "\\ud83d\\ude00", "completion": "b"}'))[0]["prompt"] == "😀"


def test_other_keys_have_a_hint_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl:1: no text under 'chosen'") as caught:
        read_rows(written(tmp_path, ROW), ("prompt", "chosen"))
    assert caught.value.hint == "a row has text under prompt, chosen"


def test_a_file_without_rows_or_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for data, code in ((b"", "dataset_empty"), (b"\n \n", "dataset_empty"), (b"\xff\xfe", "table_unreadable")):
        (tmp_path / "rows.jsonl").write_bytes(data)
        with pytest.raises(DataError) as caught:
            read_rows(tmp_path / "rows.jsonl")
        assert caught.value.code == code
    with pytest.raises(DataError, match="No such file") as caught:
        read_rows(tmp_path / "none.jsonl")
    assert caught.value.code == "table_unreadable"


def test_bytes_are_read_as_their_file_is(tmp_path: Path) -> None:
    path = written(tmp_path, ROW, "{", encoding="utf-8-sig")
    assert list(json_lines(path.read_bytes(), path)) == list(read_json_lines(path))
