"""Whether completions are what their language allows."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable

import sqlglot
from sqlglot.errors import SqlglotError


def _sql(text: str) -> str:
    try:
        parsed = sqlglot.parse(text, dialect="sqlite")
    except SqlglotError as error:
        return str(error).splitlines()[0]
    except RecursionError:
        return "nested too deeply"
    return "" if len(parsed) == 1 and parsed[0] is not None else "not one statement"


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
