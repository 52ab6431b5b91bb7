from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.recipe_data import run_data_script, write_jsonl


def rows(split: str, count: int, seed: int) -> list[dict[str, str]]:
    return [{"prompt": f"{split} {at}", "completion": str(seed)} for at in range(count)]


def test_each_split_becomes_a_file_of_its_size(tmp_path: Path) -> None:
    run_data_script("About.\n\nMore.", {"train": 5, "test": 2}, rows, ["--out", str(tmp_path / "new" / "data"), "--seed", "7"])
    found = {path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in (tmp_path / "new" / "data").iterdir()}
    assert found == {"train": rows("train", 5, 7), "test": rows("test", 2, 7)}


def test_only_the_training_rows_can_be_more_or_fewer(tmp_path: Path) -> None:
    sizes = {"train": 5, "further": 4, "wordings": 2, "test": 6}
    run_data_script("About.", sizes, rows, ["--out", str(tmp_path), "--train-rows", "3"])
    assert [len((tmp_path / f"{split}.jsonl").read_text().splitlines()) for split in sizes] == [3, 3, 2, 6]


def test_rows_that_cannot_be_made_leave_no_folder(tmp_path: Path) -> None:
    def fail(*_: object) -> list[dict[str, str]]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run_data_script("About.", {"train": 1}, fail, ["--out", str(tmp_path / "data")])
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("below", ["", "deeper/down"])
def test_a_file_is_no_folder_to_write_into(tmp_path: Path, capsys: pytest.CaptureFixture[str], below: str) -> None:
    (tmp_path / "rows").write_text("mine")

    def make(*_: object) -> list[dict[str, str]]:
        raise AssertionError("this may take minutes")

    with pytest.raises(SystemExit) as caught:
        run_data_script("About.", {"train": 1}, make, ["--out", str(tmp_path / "rows" / below)])
    assert caught.value.code == 2
    assert f"argument --out: {tmp_path / 'rows'} is a file, not a folder" in capsys.readouterr().err
    assert (tmp_path / "rows").read_text() == "mine"


def test_fewer_rows_than_asked_for_are_written_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_data_script(
        "About.", {"train": 5, "test": 2}, lambda split, count, seed: rows(split, min(count, 3), seed), ["--out", str(tmp_path)]
    )
    assert capsys.readouterr().err == "warning: train has 3 rows, not 5: there are no more\n"
    assert len((tmp_path / "train.jsonl").read_text().splitlines()) == 3


def test_text_stands_in_the_file_as_it_is_one_object_a_line(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", [{"prompt": "é\u2028\n", "completion": "x"}])
    text = (tmp_path / "rows.jsonl").read_bytes().decode()
    assert text.count("\n") == 1
    assert "é\u2028" in text
    assert json.loads(text)["prompt"] == "é\u2028\n"
