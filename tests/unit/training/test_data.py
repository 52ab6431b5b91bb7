from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.errors import DataError, RecipeError
from expert_kit.training import load_recipe, prepare_data
from expert_kit.training.data import encode_file

ROW = {"prompt": "a", "completion": "b"}
SCRIPT = """
import json, pathlib, sys
out = pathlib.Path(sys.argv[2])
for name in ("train", "validation", "test"):
    (out / f"{name}.jsonl").write_text(json.dumps({"prompt": "a", "completion": "b"}) + "\\n")
"""


def recipe_of(folder: Path, script: str) -> Path:
    (folder / "data.py").write_text(script)
    (folder / "recipe.yaml").write_text(
        "model_name_or_path: tiny\n"
        "dataset: {train: train.jsonl, validation: validation.jsonl, prepare: data.py}\n"
        "tests: {own: {path: test.jsonl, task: exact}}\n"
    )
    return folder / "recipe.yaml"


def prepare(folder: Path, script: str) -> None:
    prepare_data(load_recipe(recipe_of(folder, script)), folder)


def test_what_a_script_says_may_be_in_any_encoding(tmp_path):
    say = "import sys; sys.stderr.buffer.write('caf\\xe9 is missing'.encode('latin-1'))\n"
    with pytest.raises(RecipeError, match="caf\ufffd is missing") as caught:
        prepare(tmp_path, say + "sys.exit(1)\n")
    assert caught.value.code == "recipe_data_missing"
    prepare(tmp_path, say + SCRIPT)
    assert (tmp_path / "test.jsonl").is_file()


def test_warnings_of_a_script_are_passed_on(tmp_path, caplog):
    prepare(tmp_path, "import sys; sys.stderr.write('50%\\nwarning: train has 3 rows, not 5\\n')\n" + SCRIPT)
    assert [record.message for record in caplog.records] == [f"{tmp_path / 'data.py'}: train has 3 rows, not 5"]


@pytest.mark.parametrize(("row", "code"), [({"prompt": 5, "completion": "b"}, "table_malformed"), (None, "dataset_empty")])
def test_a_test_set_that_a_script_made_is_looked_at_before_training(tmp_path, row, code):
    text = json.dumps(row) + "\n" if row else ""
    with pytest.raises(DataError, match=r"test\.jsonl") as caught:
        prepare(tmp_path, SCRIPT + f"(out / 'test.jsonl').write_text({text!r})\n")
    assert caught.value.code == code


def test_a_byte_order_mark_is_no_part_of_the_rows(tmp_path, tiny):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8-sig")
    assert len(encode_file(path, tiny.tokenizer, 100)) == 1


def test_no_rows_are_told_from_rows_that_are_too_long(tmp_path, tiny):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n")
    with pytest.raises(DataError, match="has no rows") as caught:
        encode_file(path, tiny.tokenizer, 100)
    assert caught.value.code == "dataset_empty"
    assert "max_length" not in caught.value.hint
