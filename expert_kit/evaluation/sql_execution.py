"""Checks answers to "write this query": runs the answer and the gold query on small databases and compares the results.

Names of result columns do not count, their order does. The order of rows counts when the gold query has an ORDER BY of its own. To make
luck rarer, the answer must also agree on variants of the database with other content.

Requirements: SQLite with ``sqlite3.Connection.setlimit`` (Python 3.11).
"""

from __future__ import annotations

import hashlib
import itertools
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expert_kit.errors import DataError
from expert_kit.evaluation import sql_database
from expert_kit.evaluation.sql_database import Database, QueryRefusedError, Row, Value
from expert_kit.evaluation.sql_statement import has_outer_order, statements, with_ties_broken
from expert_kit.evaluation.verdict import Verdict

VARIANTS = 4
"""Further databases on which an answer must agree."""
_TRIES = 20
_READINGS = 20
_SHOWN = 300


@dataclass(frozen=True)
class _Case:
    """A database with the gold result on it."""

    database: Database
    rows: list[Row]
    ordered: bool


def check(answer: str, row: Mapping[str, Any]) -> Verdict:
    """Judge an answer by what it returns, against ``row["completion"]`` on the database of ``row["schema"]`` and ``row["setup"]``.

    Raises:
        DataError: the row itself is unusable.
    """
    gold = str(row["completion"]).strip().rstrip(";")
    main, *others = _cases(row, gold)
    reason, first = "no query found in the answer", ""
    for query in itertools.islice(statements(answer), _READINGS):
        first = first or query
        try:
            same = _agrees(query, main)
        except QueryRefusedError as error:
            return Verdict(False, query[:_SHOWN], gold, str(error))
        except sqlite3.Error as error:
            reason = f"SQLite refuses the query: {error}" if query == first else reason
            continue
        if not same:
            return Verdict(False, query[:_SHOWN], gold, "another result than the gold query")
        return _on_variants(query, others, gold)
    return Verdict(False, (first or answer.strip())[:_SHOWN], gold, reason)


def _on_variants(query: str, cases: Sequence[_Case], gold: str) -> Verdict:
    for case in cases:
        try:
            same = _agrees(query, case)
        except (QueryRefusedError, sqlite3.Error) as error:
            return Verdict(False, query[:_SHOWN], gold, f"fails on other data: {error}")
        if not same:
            return Verdict(False, query[:_SHOWN], gold, "right only by luck: another result on other data")
    return Verdict(True, query[:_SHOWN], gold, "")


def _agrees(query: str, case: _Case) -> bool:
    with sql_database.opened(case.database) as connection:
        return _same(sql_database.run(connection, query), case.rows, ordered=case.ordered)


def _cases(row: Mapping[str, Any], gold: str) -> tuple[_Case, ...]:
    """The given database first, then variants on which the gold result does not hang on ties."""
    try:
        database = sql_database.load(str(row["schema"]), str(row["setup"]))
        main, _ = _case(database, gold)
    except (sqlite3.Error, QueryRefusedError, KeyError) as error:
        msg = f"row {row.get('id', '?')}: its own query cannot be run: {error}"
        raise DataError(msg, hint="correct the row's schema, setup or completion") from error
    seed = hashlib.sha256(f"{row['schema']}\n{row['setup']}".encode()).hexdigest()
    telling: list[_Case] = []
    silent: list[_Case] = []
    for variant in itertools.islice(sql_database.variants(database, gold, seed), _TRIES):
        try:
            case, stable = _case(variant, gold)
        except (sqlite3.Error, QueryRefusedError):
            continue  # the changed rows break a constraint
        if stable:
            (telling if case.rows and case.rows != main.rows else silent).append(case)
        if len(telling) == VARIANTS:
            break
    return (main, *(telling + silent)[:VARIANTS])


def _case(database: Database, gold: str) -> tuple[_Case, bool]:
    """The gold result, and whether its rows are the same however the tables are stored and ties are broken.

    Rows that tie in the gold order may come in any order; then only the set of rows is compared.
    """
    with sql_database.opened(database) as connection:
        rows = sql_database.run(connection, gold)
        others = [sql_database.run(connection, query) for query in with_ties_broken(gold)]
    with sql_database.opened(database, twin=True) as connection:
        others.append(sql_database.run(connection, gold))
    ordered = has_outer_order(gold) and all(_same(rows, other, ordered=True) for other in others)
    return _Case(database, rows, ordered), all(_same(rows, other, ordered=False) for other in others)


def _same(got: Sequence[Row], expected: Sequence[Row], *, ordered: bool) -> bool:
    if len(got) != len(expected) or any(len(a) != len(b) for a, b in zip(got, expected, strict=True)):
        return False
    if not ordered:
        got, expected = sorted(got, key=_sort_key), sorted(expected, key=_sort_key)
    return all(_equal(a, b) for left, right in zip(got, expected, strict=True) for a, b in zip(left, right, strict=True))


def _sort_key(row: Row) -> tuple[tuple[int, float, str], ...]:
    return tuple((0, 0.0, "") if v is None else (1, float(f"{v:.9g}"), "") if isinstance(v, int | float) else (2, 0.0, str(v)) for v in row)


def _equal(a: Value, b: Value) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)
    return type(a) is type(b) and bool(a == b)
