"""Checks answers to "correct the spelling": an answer counts if it is the row's corrected sentence, word by word.

Capitals, spacing, the shape of quotes and a full stop at the end do not count. Of a chatty answer its last line or quoted passage that
resembles the sentence is judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from expert_kit.errors import DataError
from expert_kit.evaluation.verdict import Verdict

MAX_ANSWER = 8_000
"""Characters of an answer that are read; an answer is far shorter."""
RESEMBLANCE = 0.5
"""Share of the sentence's words that a part of a chatty answer needs to be taken for the sentence."""

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " "})
_QUOTED = re.compile(r'"([^"\n]+)"|\*\*([^*\n]+)\*\*|`([^`\n]+)`')
_LABEL = re.compile(r"^[^.!?\"]{0,80}?(?::|->)\s*(?=\S)")


def check(answer: str, row: Mapping[str, Any]) -> Verdict:
    """Judge an answer by the sentence ``row["completion"]``.

    Raises:
        DataError: the row has no sentence.
    """
    gold = str(row.get("completion", ""))
    expected = _words(gold)
    if not expected:
        raise DataError(f"row {row.get('id', '?')}: no sentence under 'completion'", hint="correct the row's completion")
    parts = list(_parts(answer[:MAX_ANSWER].translate(_QUOTES)))
    if _words(parts[0]) == expected:
        return Verdict(True, parts[0], gold, "")
    resembling = [part for part in parts if _resemblance(_words(part), expected) >= RESEMBLANCE]
    if not resembling:
        return Verdict(False, answer[:200], gold, "no sentence found in the answer that resembles the one asked about")
    got = resembling[-1]
    return Verdict(_words(got) == expected, got, gold, _difference(_words(got), expected))


def _parts(text: str) -> Iterator[str]:
    """The whole answer, then each line, without its label, and each quoted passage, in their order."""
    yield text.strip()
    for line in text.split("\n"):
        if line.strip():
            yield line.strip()
            bare = _LABEL.sub("", line.strip())
            if bare != line.strip():
                yield bare
            yield from (next(filter(None, groups)) for groups in _QUOTED.findall(line))


def _words(text: str) -> list[str]:
    """Words and marks in small letters, without quotes around the text and the full stop at its end."""
    text = text.translate(_QUOTES).casefold().strip().strip("\"'`*").strip()
    found: list[str] = re.findall(r"[\w'-]+|[^\w\s]", text)
    return found[:-1] if found and found[-1] == "." else found


def _resemblance(got: Sequence[str], expected: Sequence[str]) -> float:
    """Share of words in common, of the longer of the two."""
    common = sum((Counter(got) & Counter(expected)).values())
    return common / max(len(got), len(expected))


def _difference(got: Sequence[str], expected: Sequence[str]) -> str:
    """The first word that differs; empty if none does."""
    for mine, theirs in zip(got, expected, strict=False):
        if mine != theirs:
            return f"{mine!r} where {theirs!r} was expected"
    if len(got) == len(expected):
        return ""
    return f"{abs(len(got) - len(expected))} word(s) {'too many' if len(got) > len(expected) else 'missing'} at the end"
