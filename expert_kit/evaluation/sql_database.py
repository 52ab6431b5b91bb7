"""Small SQLite databases to run untrusted queries on: read-only by authorizer, bounded in time, rows and memory."""

from __future__ import annotations

import random
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

MAX_ROWS = 2_000
MAX_TEXT = 4_000_000
"""Characters of texts, and bytes of blobs, in all rows of a result together."""
MAX_STEPS = 4_000_000
"""Steps of SQLite's virtual machine for one query; a bound that does not depend on the load of the machine, unlike the next."""
MAX_SECONDS = 2.0

Value = Any
Row = tuple[Value, ...]

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_UNBOUNDED_FUNCTIONS = {"json_group_array", "json_group_object", "jsonb_group_array", "jsonb_group_object"}
"""They look at the limit of a text's length only when they have gathered all of it."""
_DENIED_FUNCTIONS = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "random", "randomblob", "zeroblob"}
_DENIED_FUNCTIONS |= _UNBOUNDED_FUNCTIONS
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 200_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 10_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
}
_COMPARED = re.compile(
    r"(\w+)\s*(?:[=<>!]+|like|between)\s*('(?:[^']|'')*'|-?\d+(?:\.\d+)?)(?:\s+and\s+(-?\d+(?:\.\d+)?|'(?:[^']|'')*'))?", re.IGNORECASE
)


class QueryRefusedError(Exception):
    """The query does more than read, or more than it may; the message says which."""


@dataclass(frozen=True)
class Table:
    """One table with its content."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    keys: frozenset[str]
    """Columns that name the row; variants leave them alone. Primary keys, columns called ``id``, or else a unique first ``..id``."""
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Database:
    """Tables as plain data, and the script that creates them empty."""

    ddl: str
    tables: tuple[Table, ...]


def load(schema: str, setup: str) -> Database:
    """Run a trusted setup script and read the tables back.

    Args:
        schema: CREATE TABLE statements; semicolons may be missing between them.
        setup: INSERT statements; may repeat the CREATE TABLE statements, which then count.

    Raises:
        sqlite3.Error: a script does not run.
    """
    ddl = re.sub(r"\)\s*;?\s*(?=create\s+table\b|\Z)", ");\n", schema, flags=re.IGNORECASE)
    whole = setup if re.search(r"\bcreate\s+table\b", setup, re.IGNORECASE) else f"{ddl}\n{setup}"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(whole)
        tables = [
            _read(connection, name)
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        ]
        created = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid")
        return Database(";\n".join(sql for (sql,) in created) + ";", tuple(tables))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _read(connection: sqlite3.Connection, name: str) -> Table:
    info = connection.execute(f"PRAGMA table_info({_quoted(name)})").fetchall()
    columns = tuple(str(row[1]) for row in info)
    keys = frozenset(str(row[1]) for row in info if row[5] or str(row[1]).lower() == "id")
    rows = tuple(connection.execute(f"SELECT * FROM {_quoted(name)}").fetchall())
    if not keys and columns[0].lower().endswith("id") and len({row[0] for row in rows}) == len(rows):
        keys = frozenset(columns[:1])
    return Table(name, columns, tuple(str(row[2]) for row in info), keys, rows)


def _insert(connection: sqlite3.Connection, table: Table, rows: tuple[Row, ...]) -> None:
    marks = ", ".join("?" for _ in table.columns)
    connection.executemany(f"INSERT INTO {_quoted(table.name)} VALUES ({marks})", rows)


@contextmanager
def opened(database: Database, *, twin: bool = False) -> Iterator[sqlite3.Connection]:
    """A fresh in-memory copy.

    Args:
        database: what to copy.
        twin: without keys and with the rows in reverse, so that a result which depends on the order of storage shows.

    Raises:
        sqlite3.IntegrityError: the rows of a variant break a constraint.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        if not twin:
            connection.executescript(database.ddl)
        for table in database.tables:
            if twin:
                columns = ", ".join(f"{_quoted(name)} {kind}" for name, kind in zip(table.columns, table.types, strict=True))
                connection.execute(f"CREATE TABLE {_quoted(table.name)} ({columns})")
            _insert(connection, table, table.rows[::-1] if twin else table.rows)
        connection.commit()
        yield connection


def run(connection: sqlite3.Connection, query: str) -> list[Row]:
    """Run one untrusted query under the limits of this module. Afterwards the connection stays restricted.

    Raises:
        QueryRefusedError: it tries to write, to attach or to configure, or takes too long or returns too much.
        sqlite3.Error: it is not valid SQL for this schema.
    """
    deadline, steps, denied = time.monotonic() + MAX_SECONDS, 0, ""

    def authorize(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
        nonlocal denied
        if action not in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _DENIED_FUNCTIONS):
            denied = denied or f"not a plain reading query ({second or first or 'action'} {action})"
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def too_long() -> int:
        nonlocal steps
        steps += 1_000
        return int(steps > MAX_STEPS or time.monotonic() > deadline)

    for limit, bound in _LIMITS.items():
        connection.setlimit(limit, bound)
    connection.set_authorizer(authorize)
    connection.set_progress_handler(too_long, 1_000)
    try:
        return _fetched(connection.execute(query))
    except sqlite3.Warning as error:
        raise QueryRefusedError(str(error)) from error
    except sqlite3.Error as error:
        if denied:
            raise QueryRefusedError(denied) from error
        if "interrupted" in str(error):
            raise QueryRefusedError("the query takes too long") from error
        raise


def _fetched(cursor: sqlite3.Cursor) -> list[Row]:
    """All rows; taken one by one, so that of a result that is too large no more is held than the bounds."""
    rows: list[Row] = []
    size = 0
    for row in cursor:
        rows.append(row)
        size += sum(len(cell) for cell in row if isinstance(cell, str | bytes))
        if len(rows) > MAX_ROWS:
            raise QueryRefusedError(f"the query returns more than {MAX_ROWS} rows")
        if size > MAX_TEXT:
            raise QueryRefusedError(f"the query returns more than {MAX_TEXT} characters")
    return rows


def variants(database: Database, query: str, seed: str) -> Iterator[Database]:
    """Databases of the same shape with other content, endlessly and always the same ones for a seed.

    In turn: values shuffled within their columns with the constants of ``query`` planted in them, and some rows left out.
    """
    turn = 0
    while True:
        rng = random.Random(f"{seed}/{turn}")
        tables = [_relinked(_shuffled(table, query, rng), database, rng) for table in database.tables]
        if turn % 2:
            tables = [table if _is_referenced(table, database) else _thinned(table, rng) for table in tables]
        yield Database(database.ddl, tuple(tables))
        turn += 1


def _shuffled(table: Table, query: str, rng: random.Random) -> Table:
    columns: dict[str, list[Value]] = {name: [row[i] for row in table.rows] for i, name in enumerate(table.columns)}
    for name, cells in columns.items():
        if name not in table.keys:
            rng.shuffle(cells)
    for name, *constants in _COMPARED.findall(query):
        target = next((column for column in columns if column.lower() == name.lower() and column not in table.keys), None)
        for constant in constants if target and table.rows else []:
            # A row exactly on the bound tells > from >=.
            if constant and "%" not in constant:
                columns[target or ""][rng.randrange(len(table.rows))] = _literal(constant)
    return replace(table, rows=tuple(zip(*columns.values(), strict=True)))


def _relinked(table: Table, database: Database, rng: random.Random) -> Table:
    """Exchange the rows that links point to, so that no row of another table keeps its place."""
    columns: dict[str, list[Value]] = {name: [row[i] for row in table.rows] for i, name in enumerate(table.columns)}
    for name, target in _links(table, database):
        ends = rng.sample(target, len(target))
        moved = dict(zip(target, ends, strict=True))
        columns[name] = [moved.get(cell, cell) for cell in columns[name]]
    return replace(table, rows=tuple(zip(*columns.values(), strict=True)))


def _literal(text: str) -> Value:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return float(text) if "." in text else int(text)


def _thinned(table: Table, rng: random.Random) -> Table:
    """About two thirds of the rows, at least one for each row of another table that is pointed at."""
    links = [i for i, name in enumerate(table.columns) if name.lower().endswith("id") and name not in table.keys]
    seen: set[tuple[int, Value]] = set()
    kept: list[Row] = []
    for row in table.rows:
        needed = any((i, row[i]) not in seen for i in links)
        if needed or rng.random() < 0.65:
            kept.append(row)
            seen |= {(i, row[i]) for i in links}
    return replace(table, rows=tuple(kept))


def _links(table: Table, database: Database) -> list[tuple[str, list[Value]]]:
    """Columns that hold only keys of another table, with all keys of that table.

    Told by name and content, because a schema need not declare its foreign keys.
    """
    found: list[tuple[str, list[Value]]] = []
    for i, name in enumerate(table.columns):
        values = {row[i] for row in table.rows if row[i] is not None}
        if name in table.keys or not name.lower().endswith("id") or not values:
            continue
        keys = [_column(other, key) for other in database.tables if other.name != table.name for key in sorted(other.keys)]
        target = next((key for key in keys if values <= set(key)), None)
        if target is not None:
            found.append((name, target))
    return found


def _column(table: Table, name: str) -> list[Value]:
    position = table.columns.index(name)
    return [row[position] for row in table.rows]


def _is_referenced(table: Table, database: Database) -> bool:
    keys = [set(_column(table, key)) for key in table.keys]
    links = [target for other in database.tables if other.name != table.name for _, target in _links(other, database)]
    return any(set(target) == key for target in links for key in keys)
