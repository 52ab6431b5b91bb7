from __future__ import annotations

import sqlite3
import subprocess
import sys
import time

import pytest

from expert_kit.errors import DataError
from expert_kit.evaluation import sql_database
from expert_kit.evaluation.sql_execution import check
from expert_kit.evaluation.sql_statement import has_outer_order, statements

SCHEMA = "CREATE TABLE singers (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, city TEXT);"
SETUP = (
    "INSERT INTO singers VALUES (1, 'Ada', 30, 'Rome'), (2, 'Bo', 41, 'Oslo'), (3, 'Cy', 25, 'Rome'), (4, 'Di', 52, 'Bern'),"
    " (5, 'Ed', 33, 'Oslo'), (6, 'Flo', 47, 'Rome'), (7, 'Gus', 29, NULL);"
)
OLDER = "SELECT name FROM singers WHERE age > 30"
TWO_TABLES = (
    "CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT)\nCREATE TABLE players (id INTEGER PRIMARY KEY, name TEXT, team_id INTEGER)"
)
TWO_SETUP = (
    "INSERT INTO teams VALUES (1, 'Reds'), (2, 'Blues'), (3, 'Greens');"
    "INSERT INTO players VALUES (1, 'Ada', 1), (2, 'Bo', 1), (3, 'Cy', 2), (4, 'Di', 2), (5, 'Ed', 2);"
)


def row(gold: str = OLDER, schema: str = SCHEMA, setup: str = SETUP) -> dict[str, str]:
    return {"id": "t-1", "completion": gold, "schema": schema, "setup": setup}


@pytest.mark.parametrize(
    "answer",
    [
        OLDER,
        OLDER + ";",
        "select NAME from Singers where not age <= 30",
        f"```sql\n{OLDER};\n```",
        "Here is the query:\n\n```\nSELECT name\nFROM singers\nWHERE age > 30;\n```\nIt selects all singers older than 30.",
        f"```sql\n{OLDER}",
        f"You can use `{OLDER}` for this.",
        f"Sure! To select the names you can run: {OLDER}; This returns the names.",
        f"{OLDER}\n\nThis query selects the names of the singers.",
        "SELECT name\nFROM singers\nWHERE age > 30\nThis query selects the names of the singers who are older.",
        f"The SQL is {OLDER}.",
        f"{SCHEMA}\n{OLDER};",
        "SELECT singers\\_.name FROM singers AS singers\\_ WHERE singers\\_.age > 30",
        "WITH old AS (SELECT * FROM singers WHERE age > 30) SELECT name FROM old",
        "SELECT name FROM singers WHERE age >= 31",
        f"SELECT name FROM ({OLDER}) ORDER BY name",
        f"{OLDER}; DROP TABLE singers;",
    ],
)
def test_an_equivalent_query_is_right_in_whatever_wrapping(answer: str) -> None:
    verdict = check(answer, row())
    assert verdict.ok, verdict
    assert verdict.reason == ""
    assert verdict.expected == OLDER


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no query found"),
        ("I do not know how to select that.", "SQLite refuses"),
        ("The singers older than 30 are Bo, Di, Ed and Flo.", "no query found"),
        ("SELECT name FROM singers WHERE age > 31 OR", "SQLite refuses"),
        ("SELECT name FROM persons", "no such table"),
        ("SELECT name FROM singers", "another result"),
        ("SELECT name FROM singers WHERE age < 30", "another result"),
        ("SELECT name, age FROM singers WHERE age > 30", "another result"),
        ("SELECT 'Bo' UNION SELECT 'Di' UNION SELECT 'Ed' UNION SELECT 'Flo'", "only by luck"),
        ("SELECT name FROM singers WHERE id IN (2, 4, 5, 6)", "only by luck"),
        ("SELECT name FROM singers\nWHERE years > 30", "no such column"),
    ],
)
def test_a_wrong_answer_is_wrong_and_says_why(answer: str, reason: str) -> None:
    verdict = check(answer, row())
    assert not verdict.ok
    assert reason in verdict.reason


def test_the_bound_itself_is_tested_even_if_the_data_do_not_hold_it() -> None:
    gold = "SELECT name FROM singers WHERE age > 35"
    verdict = check("SELECT name FROM singers WHERE age >= 35", row(gold))
    assert not verdict.ok
    assert "luck" in verdict.reason


def test_a_part_of_a_broken_query_never_counts() -> None:
    gold = "SELECT AVG(age) FROM singers"
    assert not check("SELECT nothing FROM singers WHERE age > (SELECT AVG(age) FROM singers)", row(gold)).ok
    assert not check("SELECT oops FROM singers UNION SELECT AVG(age) FROM singers", row(gold)).ok
    assert not check("SELECT name FROM singers\nWHERE missing = 1", row("SELECT name FROM singers")).ok


def test_the_first_runnable_query_of_a_chatty_answer_counts() -> None:
    answer = f"```sql\nSELECT name FROM singers\n```\nor better\n```sql\n{OLDER}\n```"
    assert not check(answer, row()).ok


def test_order_of_rows_counts_only_when_the_gold_query_sorts() -> None:
    sorted_gold = "SELECT name FROM singers ORDER BY age DESC"
    assert not check("SELECT name FROM singers", row(sorted_gold)).ok
    assert not check("SELECT name FROM singers ORDER BY age", row(sorted_gold)).ok
    assert check("SELECT name FROM singers ORDER BY -age", row(sorted_gold)).ok
    assert check("SELECT name FROM singers ORDER BY age", row("SELECT name FROM singers")).ok


def test_ties_in_the_gold_order_may_come_in_any_order() -> None:
    gold = "SELECT city, COUNT(*) FROM singers WHERE id < 6 AND id <> 4 GROUP BY city ORDER BY COUNT(*)"
    assert check(gold + ", city DESC", row(gold)).ok
    assert check(gold + ", city ASC", row(gold)).ok


def test_order_of_columns_counts_and_names_do_not() -> None:
    gold = "SELECT name, age FROM singers"
    assert check("SELECT name AS a, age AS b FROM singers", row(gold)).ok
    assert not check("SELECT age, name FROM singers", row(gold)).ok


def test_repeated_rows_count() -> None:
    assert not check("SELECT DISTINCT city FROM singers", row("SELECT city FROM singers")).ok


def test_numbers_are_compared_with_tolerance_and_not_with_text() -> None:
    gold = "SELECT AVG(age) FROM singers"
    assert check("SELECT SUM(age) * 1.0 / COUNT(age) + 1e-10 FROM singers", row(gold)).ok
    assert not check("SELECT ROUND(AVG(age), 1) FROM singers", row(gold)).ok
    assert not check("SELECT CAST(COUNT(*) AS TEXT) FROM singers", row("SELECT COUNT(*) FROM singers")).ok


def test_joins_are_judged_on_shuffled_links_too() -> None:
    gold = "SELECT teams.name, COUNT(*) FROM players JOIN teams ON players.team_id = teams.id GROUP BY teams.name"
    case = row(gold, TWO_TABLES, TWO_SETUP)
    assert check("SELECT t.name, COUNT(p.id) FROM teams t, players p WHERE p.team_id = t.id GROUP BY t.id", case).ok
    assert not check("SELECT t.name, COUNT(p.id) FROM teams t LEFT JOIN players p ON p.team_id = t.id GROUP BY t.id", case).ok
    no_players = row("SELECT name FROM teams WHERE id NOT IN (SELECT team_id FROM players)", TWO_TABLES, TWO_SETUP)
    assert check("SELECT t.name FROM teams t LEFT JOIN players p ON p.team_id = t.id WHERE p.id IS NULL", no_players).ok
    assert not check("SELECT name FROM teams WHERE id = 3", no_players).ok


@pytest.mark.parametrize(
    "answer",
    [
        "DELETE FROM singers",
        "DROP TABLE singers",
        "INSERT INTO singers SELECT 9, name, age, city FROM singers WHERE age > 30",
        "UPDATE singers SET age = 1",
        "PRAGMA table_info(singers)",
        "ATTACH DATABASE 'other.db' AS other",
        "VACUUM INTO 'copy.db'",
        "```sql\nDELETE FROM singers\n```",
        "WITH old AS (SELECT 1) DELETE FROM singers",
        "SELECT load_extension('evil')",
        "SELECT name FROM singers WHERE age > 30 AND random() IS NOT NULL",
        "SELECT name FROM pragma_table_info('singers')",
    ],
)
def test_anything_but_reading_is_refused(answer: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not check(answer, row()).ok
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    ["DELETE FROM singers", "ATTACH DATABASE ':memory:' AS b", "PRAGMA user_version = 3", "CREATE TABLE b (x)", "DROP TABLE singers"],
)
def test_the_sandbox_itself_refuses_writes(query: str) -> None:
    database = sql_database.load(SCHEMA, SETUP)
    with sql_database.opened(database) as connection:
        with pytest.raises(sql_database.QueryRefusedError):
            sql_database.run(connection, query)
        assert sql_database.run(connection, "SELECT COUNT(*) FROM singers") == [(7,)]


@pytest.mark.parametrize(
    "answer",
    [
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
        "SELECT COUNT(*) FROM singers a, singers b, singers c, singers d, singers e, singers f, singers g, singers h, singers i, singers j",
        "SELECT a.name FROM singers a, singers b, singers c, singers d",
    ],
)
def test_endless_and_huge_queries_are_stopped_soon(answer: str) -> None:
    began = time.monotonic()
    verdict = check(answer, row())
    assert not verdict.ok
    assert "too long" in verdict.reason or "more than" in verdict.reason
    assert time.monotonic() - began < 20  # far above MAX_SECONDS, for a loaded machine


def test_a_huge_value_is_refused() -> None:
    assert not check("SELECT printf('%999999d', 1)", row()).ok
    assert not check("SELECT hex(replace(printf('%99999d', 1), ' ', 'aaaaaaaaaa'))", row()).ok


BIG = "printf('%.*c', 190000, 'x')"


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT {BIG} FROM singers a, singers b, singers c, singers d",
        f"SELECT {', '.join([BIG] * 100)} FROM singers a, singers b",
        f"SELECT CAST({BIG} AS BLOB) FROM singers a, singers b, singers c, singers d",
        f"SELECT json_group_array({BIG}) FROM singers a, singers b, singers c, singers d",
        f"SELECT json_group_object(a.id, {BIG}) FROM singers a, singers b, singers c, singers d",
    ],
)
def test_a_result_of_large_values_takes_little_memory(query: str) -> None:
    # A process of its own: what a query took shows in the most that its process ever had.
    probe = f"""
import resource
from expert_kit.evaluation import sql_database
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
database = sql_database.load({SCHEMA!r}, {SETUP!r})
with sql_database.opened(database) as connection:
    before = most()
    try:
        sql_database.run(connection, {query!r})
    except sql_database.QueryRefusedError:
        print((most() - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150


def test_a_result_up_to_the_bound_is_returned_whole() -> None:
    with sql_database.opened(sql_database.load(SCHEMA, SETUP)) as connection:
        rows = sql_database.run(connection, f"SELECT {BIG} FROM singers a, singers b LIMIT 20")
    assert [len(cell) for (cell,) in rows] == [190_000] * 20


def test_verdicts_do_not_change_from_call_to_call() -> None:
    assert len({check(OLDER, row()) for _ in range(3)}) == 1
    database = sql_database.load(SCHEMA, SETUP)
    first, second = (next(iter(sql_database.variants(database, OLDER, "seed"))) for _ in range(2))
    assert first == second
    assert first != database


def test_variants_keep_keys_and_the_number_of_columns() -> None:
    database = sql_database.load(TWO_TABLES, TWO_SETUP)
    stream = sql_database.variants(database, "SELECT 1", "seed")
    for variant in (next(stream) for _ in range(6)):
        teams, players = variant.tables
        assert [r[0] for r in teams.rows] == [1, 2, 3]  # a table others point to loses no row
        assert len({r[2] for r in players.rows}) == 2  # as many teams without players as before
        assert set(players.rows) <= {(i, n, t) for i in range(1, 6) for n in ("Ada", "Bo", "Cy", "Di", "Ed") for t in (1, 2, 3)}


def test_a_setup_may_repeat_the_tables() -> None:
    assert check(OLDER, row(schema="singers(id, name, age, city)", setup=SCHEMA + SETUP)).ok


@pytest.mark.parametrize(
    "broken",
    [
        row("SELECT nothing FROM singers"),
        row(setup="INSERT INTO nowhere VALUES (1)"),
        row(schema="CREATE TABLE"),
        {"id": "x", "completion": OLDER},
        row("DELETE FROM singers"),
    ],
)
def test_an_unusable_row_is_a_data_error(broken: dict[str, str]) -> None:
    with pytest.raises(DataError, match="cannot be run"):
        check(OLDER, broken)


@pytest.mark.parametrize(
    ("query", "outer"),
    [
        ("SELECT a FROM t ORDER BY a", True),
        ("SELECT a FROM t order  by a LIMIT 1", True),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a) WHERE a > 1", False),
        ("SELECT a FROM t WHERE b = 'order by x'", False),
        ("SELECT (SELECT MAX(x) FROM u ORDER BY (y)) FROM t", False),
    ],
)
def test_only_an_outer_order_by_is_an_order(query: str, outer: bool) -> None:
    assert has_outer_order(query) is outer


def test_a_semicolon_inside_a_value_does_not_end_the_query() -> None:
    assert next(statements("SELECT a FROM t WHERE b = 'x; y'; SELECT 2")) == "SELECT a FROM t WHERE b = 'x; y'"


def test_a_long_answer_is_read_in_bounded_time() -> None:
    began = time.monotonic()
    assert not check("select ( with a as (" * 5_000, row()).ok
    assert not check("SELECT " + "(" * 4_000 + "1" + ")" * 4_000, row()).ok
    assert time.monotonic() - began < 20


def test_sqlite_can_be_limited_here() -> None:
    assert hasattr(sqlite3.Connection, "setlimit")
