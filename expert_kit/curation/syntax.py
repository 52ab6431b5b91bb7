"""Whether completions are what their language allows."""

from __future__ import annotations

import ast
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

# sqlglot takes any expression, and so nearly every two words, for a statement.
_STATEMENTS = (
    exp.Query, exp.DML, exp.DDL, exp.Drop, exp.Alter, exp.Pragma, exp.Values,
    exp.Transaction, exp.Commit, exp.Rollback, exp.Analyze, exp.Attach, exp.Detach,
)  # fmt: skip


@contextmanager
def _quiet_sqlglot() -> Iterator[None]:
    """Its logger would write the text, with whatever steers a terminal, to stderr."""
    logger = logging.getLogger("sqlglot")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _sql(text: str) -> str:
    try:
        with _quiet_sqlglot():
            parsed = sqlglot.parse(text, dialect="sqlite")
    except SqlglotError as error:
        return str(error).splitlines()[0]
    except RecursionError:
        return "nested too deeply"
    statement = parsed[0] if len(parsed) == 1 else None
    is_one = isinstance(statement, _STATEMENTS) or (isinstance(statement, exp.Command) and _is_command(statement, text))
    return "" if is_one else "not one statement"


def _is_command(command: exp.Command, text: str) -> bool:
    """Whether SQLite takes what sqlglot only knows the first word of. The text is compiled in an empty database and not run."""
    with closing(sqlite3.connect(":memory:")) as database:
        try:
            database.execute(text if command.name.upper() == "EXPLAIN" else f"EXPLAIN {text}")
        except sqlite3.OperationalError as error:  # most often a table that is not there
            return not any(words in str(error) for words in ("syntax error", "incomplete input", "unrecognized token"))
        except (sqlite3.Error, ValueError):  # a character that no statement has
            return False
    return True


def _json(text: str) -> str:
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def _python(text: str) -> str:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return str(error)
    return ""


SYNTAXES: dict[str, Callable[[str], str]] = {"json": _json, "python": _python, "sql": _sql}
"""Language -> completion -> what is wrong with it; empty if nothing is. Nothing is run."""
