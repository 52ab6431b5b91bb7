from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "scripts" / "text2sql_rows.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("text2sql_rows", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCHEMA = "Table Name, Field Name, Type\nCITY, name, varchar\nCITY, state, varchar\n-, -, -\nROAD, id, int\n"
GROUP = {
    "sql": ['SELECT name FROM CITY WHERE state = "state1" AND x = state10 ;', "SELECT 1"],
    "sentences": [
        {"text": "cities of state1", "variables": {"state1": "Ohio", "state10": "7"}, "question-split": "train"},
        {"text": "which towns ?", "variables": {}, "question-split": "exclude"},
    ],
}


def test_a_sentence_is_a_row_with_its_values_and_the_first_query(script):
    (row,) = script.rows([GROUP], script.read_schema(SCHEMA))
    assert row == {
        "schema": "CITY(name, state) ROAD(id)",
        "question": "cities of Ohio",
        "sql": 'SELECT name FROM CITY WHERE state = "Ohio" AND x = 7',
        "split": "train",
    }


@pytest.mark.parametrize(("split", "part"), [("0", "test"), ("1", "dev"), ("2", "train")])
def test_folds_become_parts(script, split, part):
    assert script.part_of(split, "0", "1") == part
