from __future__ import annotations

import importlib.util
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from expert_kit.evaluation.tasks import TASKS

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
    tables = script.read_schema(SCHEMA)
    assert tables == {"CITY": ["name", "state"], "ROAD": ["id"]}
    (row,) = script.rows([GROUP], f"{script.described(tables)} Question: ")
    assert row == {
        "prompt": "CITY(name, state) ROAD(id) Question: cities of Ohio",
        "sql": 'SELECT name FROM city WHERE state = "Ohio" AND x = 7',
        "split": "train",
    }


@pytest.mark.parametrize(("split", "part"), [("0", "test"), ("1", "dev"), ("2", "train")])
def test_folds_become_parts(script, split, part):
    assert script.part_of(split, "0", "1") == part


def test_tests_to_run_are_those_that_find_something(script, tmp_path):
    with closing(sqlite3.connect(tmp_path / "cities.sqlite")) as database:
        database.executescript(
            "CREATE TABLE CITY (city_name, of_state); INSERT INTO CITY VALUES ('O''Fallon', 'Ohio'); CREATE TABLE ROAD (id);"
        )
        database.commit()
    tables = script.read_schema(SCHEMA)
    queries = ["SELECT name FROM CITY WHERE state = 'Ohio'", "SELECT name FROM CITY WHERE state = 'Utah'", "SELECT COUNT(*) FROM ROAD"]
    queries.append("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2001) SELECT i FROM n")
    tests = [{"prompt": query, "sql": query} for query in queries]
    (row,) = script.run_rows(tests, tables, tmp_path / "cities.sqlite")
    assert row["completion"] == queries[0]
    assert TASKS["sql"]("SELECT name FROM CITY", row).ok
    assert not TASKS["sql"]("SELECT state FROM CITY", row).ok


@pytest.mark.parametrize(
    ("sql", "plainly"),
    [
        ("SELECT CITYalias0.NAME FROM CITY AS CITYalias0", "SELECT city.name FROM city"),
        (
            'SELECT COUNT( * ) FROM CITY AS CITYalias0 , CITY AS CITYalias1 WHERE CITYalias0.NAME = "THE END" AND CITYalias1.ID = number0',
            'SELECT COUNT( * ) FROM city AS city0 , city AS city1 WHERE city0.name = "THE END" AND city1.id = number0',
        ),
        (
            "SELECT A FROM ( SELECT MAX( ROAD.ID ) FROM ROAD ) AS DERIVED_TABLEalias0",
            "SELECT a FROM ( SELECT MAX( road.id ) FROM road ) AS derived_table",
        ),
        ("SELECT 'CITYalias' FROM INNER_CITY AS INNER_CITYalias0", "SELECT 'CITYalias' FROM inner_city"),
    ],
)
def test_a_query_is_written_plainly_and_values_stay_as_they_are(script, sql, plainly):
    assert script.plain(sql) == plainly
