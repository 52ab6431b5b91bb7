"""Reads a shell command line as far as comparing two of them needs: words without their quotes, operators, and where code is in an answer.

Source: POSIX.1-2024, Shell Command Language, 2.2 Quoting and 2.3 Token Recognition. Nothing is expanded or run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

HOLE = "\ufdd0"
"""Stands for a placeholder ``{{...}}`` in a word; a code point that is no character, so no answer can hold it."""
ACTIVE = "\ufdd1"
"""Stands before a character that the shell would expand; a quoted one has no such mark."""

_PLACEHOLDER = re.compile(r"\{\{(?:[^{}]|\{[^{}]*\})*\}\}")
_OPERATOR = re.compile(r"\|\||&&|\|&|;;|[0-9]?>>|[0-9]?>&[0-9-]|&>>?|[0-9]?>|<<<|<<|<|\||;|&|\(|\)")
_EXPANDED = "*?[~$`{"
_FENCE = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_IS_SUBSTITUTION = re.compile(r"[a-z][\w./-]*(?: [^`\n]*)?`[^`\n]+`[^`\n.]*")
"""A line that runs ``echo `date``` and is no prose; prose begins with a capital."""
_PROMPT = re.compile(r"^(?:[$%>]|\w+@\w+:\S*[$#]) +")


class NotACommandError(ValueError):
    """Quotes are left open."""


def without_marks(text: str) -> str:
    """The text without the two code points that this module uses itself."""
    return text.replace(HOLE, "").replace(ACTIVE, "")


def tokens(line: str) -> list[tuple[str, bool]]:
    """Words and operators of a line in their order; True with an operator.

    Raises:
        NotACommandError: a quote is not closed.
    """
    text = _PLACEHOLDER.sub(HOLE, without_marks(line))
    found: list[tuple[str, bool]] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text[at] == "#":
            break
        operator = _OPERATOR.match(text, at)
        if operator:
            found.append((operator[0], True))
            at = operator.end()
            continue
        word, at = _word(text, at)
        found.append((word, False))
    return found


def _word(text: str, at: int) -> tuple[str, int]:
    """The word that starts here without its quotes, and where it ends."""
    parts: list[str] = []
    while at < len(text) and not text[at].isspace() and text[at] not in "|&;<>()":
        char = text[at]
        if char == "'":
            end = _closing(text, "'", at + 1)
            parts.append(text[at + 1 : end])
            at = end + 1
        elif char == '"':
            inside, at = _double_quoted(text, at + 1)
            parts.append(inside)
        elif char == "\\" and at + 1 < len(text):
            parts.append(text[at + 1])
            at += 2
        elif text.startswith("$(", at):
            end = _closing(text, ")", at + 2)
            parts.append(ACTIVE + " ".join(text[at : end + 1].split()))
            at = end + 1
        else:
            parts.append(ACTIVE + char if char in _EXPANDED and not (char == "~" and parts) else char)
            at += 1
    return "".join(parts), at


def _double_quoted(text: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    while at < len(text) and text[at] != '"':
        if text[at] == "\\" and at + 1 < len(text) and text[at + 1] in '$`"\\':
            parts.append(text[at + 1])
            at += 2
            continue
        parts.append(ACTIVE + text[at] if text[at] in "$`" else text[at])
        at += 1
    if at >= len(text):
        raise NotACommandError('a " is not closed')
    return "".join(parts), at + 1


def _closing(text: str, mark: str, at: int) -> int:
    end = text.find(mark, at)
    if end < 0:
        raise NotACommandError(f"a {mark} is not closed")
    return end


def lines_in(answer: str) -> Iterator[str]:
    """The lines of an answer that may be its command line, likeliest first: of code blocks, of code in prose, the first line."""
    blocks = _FENCE.findall(answer)
    spans = [] if blocks or _IS_SUBSTITUTION.fullmatch(answer.strip()) else [span.strip() for span in _INLINE.findall(answer)]
    for block in blocks:
        yield from _commands(block)
    # "Use `grep` like this: `grep -n word file`": the name alone is not the line.
    yield from sorted(spans, key=lambda span: len(span.split()) == 1)
    yield from _commands(answer)


def _commands(text: str) -> Iterator[str]:
    joined = text.replace("\\\n", " ")
    for line in joined.split("\n"):
        bare = _PROMPT.sub("", line.strip())
        if bare and not bare.startswith("#"):
            yield bare
