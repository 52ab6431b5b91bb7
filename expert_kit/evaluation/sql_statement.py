"""Finds the query in an answer: bare SQL, a fenced block, inline code, or a statement inside prose."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_ANSWER = 8_000
"""Characters of an answer that are read; an answer is far shorter."""

_FENCE = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_QUERY = re.compile(r"\b(?:select\b|with\s+(?:recursive\s+)?\w+\s*(?:\([^()]*\)\s*)?as\s*\()", re.IGNORECASE)
_OTHER_STATEMENT = re.compile(r"\s*(?:insert|update|delete|drop|alter|attach|detach|pragma|replace|vacuum|reindex|begin)\b", re.IGNORECASE)
_INNER = re.compile(r"(?:\(|\bunion|\ball|\bexcept|\bintersect|\bas)\s*\Z", re.IGNORECASE)
_CLAUSE = re.compile(
    r"\s*(?:from|where|group|order|having|limit|offset|join|left|right|inner|outer|cross|natural|on|using|and|or|not|in|between|like|is|case"
    r"|when|then|else|end|union|except|intersect|select|as|[-+*/=<>,()'\"])(?:\b|(?<=\W))",
    re.IGNORECASE,
)
_PROSE = re.compile(r"\s+(?:to|which|that|will|would|this|returns|gives|because|it)\s", re.IGNORECASE)
_STRING = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*")


def statements(answer: str) -> Iterator[str]:
    """Readings of the answer as one SQL statement, the likeliest first; the first that SQLite accepts is the answer.

    An answer that starts as a statement is that statement: no other part of it can count. Only the first statement of a script counts.
    """
    text = (
        answer[:MAX_ANSWER].replace("\\_", "_").replace("\u2018", "'").replace("\u2019", "'").replace("\u201c", '"').replace("\u201d", '"')
    )
    for part in _parts(text):
        starts = [match.start() for match in _QUERY.finditer(part) if not _INNER.search(part[max(0, match.start() - 40) : match.start()])]
        if _OTHER_STATEMENT.match(part):
            yield part.strip()
            return
        if starts and not part[: starts[0]].strip():
            yield from _readings(part[starts[0] :])
            return
        for start in starts:
            yield from _readings(part[start:])


def _parts(text: str) -> list[str]:
    """Fenced blocks if one holds a query, else inline code if one does, else the whole text."""
    for pattern in (_FENCE, _INLINE):
        found = [part for part in pattern.findall(text) if _QUERY.search(part) or _OTHER_STATEMENT.match(part)]
        if found:
            # Text before the first statement of a block is a comment or an echo of the schema.
            return found
    return [text.replace("`", " ").replace("**", " ")]


def _readings(text: str) -> Iterator[str]:
    end = _semicolon(text)
    if end is not None:
        yield text[:end].strip()
        if "\n" not in text[:end]:
            return
    paragraph = re.split(r"\n\s*\n", text[:end])[0].strip()
    if end is None:
        yield paragraph.rstrip(".")
    lines = paragraph.split("\n")
    for kept in range(len(lines) - 1, 0, -1):
        # A line that goes on with SQL belongs to the query; without it, it would be another query.
        if not _CLAUSE.match(lines[kept]):
            yield "\n".join(lines[:kept]).strip().rstrip(".")
    prose = _PROSE.search(lines[0])
    if prose:
        yield lines[0][: prose.start()].strip().rstrip(",")


def _semicolon(text: str) -> int | None:
    """Position of the first semicolon outside strings and comments."""
    blanked = _STRING.sub(lambda match: " " * len(match[0]), text)
    position = blanked.find(";")
    return None if position < 0 else position


def _outer(query: str) -> str:
    """The query with strings, comments and everything in parentheses blanked, position by position."""
    text = _STRING.sub(lambda match: " " * len(match[0]), query)
    while True:
        shorter = re.sub(r"\([^()]*\)", lambda match: " " * len(match[0]), text)
        if shorter == text:
            return text
        text = shorter


def has_outer_order(query: str) -> bool:
    """True when the query itself, not one inside it, has an ORDER BY."""
    return re.search(r"\border\s+by\b", _outer(query), re.IGNORECASE) is not None


def with_ties_broken(query: str) -> list[str]:
    """Two stricter versions of a query that sorts: ties go up, or down, by the first result column. None for one that does not sort."""
    if not has_outer_order(query):
        return []
    limit = re.search(r"\s+limit\b", _outer(query), re.IGNORECASE)
    end = limit.start() if limit else len(query)
    return [f"{query[:end]}, 1 {direction}{query[end:]}" for direction in ("ASC", "DESC")]
