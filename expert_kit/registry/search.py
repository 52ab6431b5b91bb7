"""Finding experts by words and filters, from the rows alone."""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from expert_kit.names import Digest

# Weights of namespace, name, summary, tags, license for Okapi BM25 as FTS5 has it; smaller is better.
_RANK = "bm25(words, 3.0, 10.0, 3.0, 5.0, 1.0)"
_COLUMNS = """expert.namespace || '/' || expert.name, expert.version, expert.identity, current.expert IS NOT NULL, yank.reason,
    json_extract(expert.base, '$.id'), expert.base_match, expert.trust, expert.license, expert.tags, expert.summary, expert.installed_at"""
_JOINS = "LEFT JOIN current ON current.expert = expert.id LEFT JOIN yank USING (namespace, name, version)"
_HAS_LABEL = "expert.id IN (SELECT expert FROM label WHERE kind = ? AND value = ?)"
_WORD = re.compile(r"[^\W_]+")
# Half a character: what a command line that is not UTF-8 becomes, and what no row can hold.
_HALF = re.compile("[\ud800-\udfff]")
_MAX_WORDS = 32
_MOST = 2**63 - 1  # the largest whole number of SQLite


@dataclass(frozen=True)
class Query:
    """What is looked for; everything given must hold."""

    text: str | None = None
    """Words that begin words of name, summary, tags or licence, in any order; best matches first. None: any expert, by name."""
    namespace: str | None = None
    tags: tuple[str, ...] = ()
    license: str | None = None
    """The whole SPDX expression; case does not matter."""
    base: str | None = None
    """Id of a base model that the expert supports."""
    capabilities: tuple[str, ...] = ()
    current_only: bool = False
    yanked: bool = False
    """Withdrawn versions too."""
    limit: int | None = None


class Summary(NamedTuple):
    """An installed version in a line; ``Registry.get`` has the rest."""

    name: str
    """``ns/name``."""
    version: str
    identity: Digest
    current: int
    """1 if the name without a version means this one, else 0."""
    yanked: str | None
    """Why it was withdrawn."""
    base_id: str
    base_match: str
    trust: str
    license: str
    tags_json: str
    summary: str
    installed_at: str

    @property
    def ref(self) -> str:
        """``ns/name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def tags(self) -> list[str]:
        """Sorted."""
        tags: list[str] = json.loads(self.tags_json)
        return tags

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        fields = self._asdict()
        del fields["tags_json"]
        return {"expert": self.ref, **fields, "current": bool(self.current), "tags": self.tags}


def find(connection: sqlite3.Connection, query: Query) -> list[Summary]:
    """The experts that fit."""
    match = None if query.text is None else match_expression(query.text)
    if match == "":
        return []
    conditions = list(_conditions(query))
    parameters = [value for _, values in conditions for value in values]
    if any(_HALF.search(value) for value in parameters):
        return []
    where = " AND ".join(condition for condition, _ in conditions) or "TRUE"
    limit = -1 if query.limit is None else min(query.limit, _MOST)
    sort_here = match is None and query.limit is None
    if sort_here:
        # Rows as they lie in the file: with thousands of them, to jump from one to the next by name takes longer than the sort here.
        source, order = "expert", "expert.id"
    elif match is None:
        source, order = "expert", "expert.namespace, expert.name, expert.id"
    else:
        source, order = "words JOIN expert ON expert.id = words.rowid", f"{_RANK}, expert.namespace, expert.name, expert.id DESC"
        where, parameters = f"words MATCH ? AND {where}", [match, *parameters]
    statement = f"SELECT {_COLUMNS} FROM {source} {_JOINS} WHERE {where} ORDER BY {order} LIMIT ?"
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples: with thousands of rows one notices the difference
    found = list(map(Summary._make, cursor.execute(statement, [*parameters, limit])))
    if sort_here:
        found.sort(key=_in_order)
    return found


def _in_order(one: Summary) -> str:
    """By namespace, then by name: no part of a name is below this separator."""
    return one.name.replace("/", "\0")


def match_expression(text: str) -> str:
    """The FTS5 expression for what a user typed: every word as a quoted prefix, a whole word counts more; empty if no word is there.

    Nothing but word characters gets between the quotes, so no text is an error of syntax.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", text).encode("utf-8", "ignore").decode("utf-8"))
    return " AND ".join(f'("{word}" OR "{word}"*)' for word in words[:_MAX_WORDS])


def _conditions(query: Query) -> Iterator[tuple[str, tuple[str, ...]]]:
    if query.namespace is not None:
        yield "expert.namespace = ?", (query.namespace,)
    if query.license is not None:
        yield "expert.license = ? COLLATE NOCASE", (query.license,)
    labels = [("tag", value) for value in query.tags] + [("capability", value) for value in query.capabilities]
    if query.base is not None:
        labels.append(("base", query.base))
    for label in labels:
        yield _HAS_LABEL, label
    if query.current_only:
        yield "current.expert IS NOT NULL", ()
    if not query.yanked:
        yield "yank.reason IS NULL", ()
