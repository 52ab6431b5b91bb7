"""Checks answers that are command lines by comparing them with the row's own ones. Nothing is run.

Two lines are the same if their programs, options, other words and operators are; what does not count: spacing, the kind of quotes where
the shell reads the same, ``sudo``, the path of a program in ``/bin``, the order of options, ``-l -a`` or ``-la``, ``-n5`` or ``-n 5``, a
long option instead of the short one where the row says so. Any word may stand for a placeholder ``{{...}}`` of the row's line.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expert_kit.errors import DataError
from expert_kit.evaluation.shell_options import NUMERIC, SUBCOMMANDS, VALUED
from expert_kit.evaluation.shell_words import ACTIVE, HOLE, NotACommandError, lines_in, tokens
from expert_kit.evaluation.verdict import Verdict

MAX_ANSWER = 4_000
"""Characters of an answer that are read; a command line is far shorter."""
MAX_WORD = 300
"""Characters of a word with what a placeholder stands for."""
_SHOWN = 200
_PATH = re.compile(r"^/(?:usr/(?:local/)?)?s?bin/")
_OLD_TAR = re.compile(r"[cxturA][a-zA-Z]*f?[a-zA-Z]*")

Option = tuple[str, str | None]
"""Name and value."""


@dataclass(frozen=True)
class Simple:
    """One program with its words, and the operator before it."""

    operator: str
    program: str
    options: tuple[Option, ...]
    """Sorted by name; empty where their order may count, then they are among the words."""
    words: tuple[str, ...]


def check(answer: str, row: Mapping[str, Any]) -> Verdict:
    """Judge an answer by ``row["completion"]``, or any of the lines of ``row["accept"]``.

    ``row["options"]`` maps long options of the row's program to their short forms.

    Raises:
        DataError: the row has no command line, or one that cannot be read.
    """
    gold = str(row.get("completion", "")).strip()
    aliases = {str(long): str(short) for long, short in dict(row.get("options") or {}).items()}
    try:
        accepted = [_commands(line, aliases) for line in (gold, *row.get("accept", ()))]
    except NotACommandError as error:
        raise DataError(f"row {row.get('id', '?')}: its own line cannot be read: {error}", hint="correct the row's completion") from error
    if not all(accepted):
        raise DataError(f"row {row.get('id', '?')}: no command line under 'completion'", hint="correct the row's completion")
    got = next(lines_in(answer[:MAX_ANSWER]), "")
    if not got:
        return Verdict(False, answer.strip()[:_SHOWN], gold, "no command line in the answer")
    if " ".join(got.split()) == " ".join(gold.split()):
        return Verdict(True, got[:_SHOWN], gold, "")
    try:
        mine = _commands(got, aliases)
    except NotACommandError as error:
        return Verdict(False, got[:_SHOWN], gold, f"not a command line: {error}")
    if any(_same(mine, theirs) for theirs in accepted):
        return Verdict(True, got[:_SHOWN], gold, "")
    return Verdict(False, got[:_SHOWN], gold, _difference(mine, accepted[0]))


def _commands(line: str, aliases: Mapping[str, str]) -> list[Simple]:
    """The programs of a line with what comes before each."""
    found: list[Simple] = []
    operator = ""
    words: list[str] = []
    for text, is_operator in (*tokens(line), ("", True)):
        if not is_operator:
            words.append(text)
            continue
        if words or operator:
            found.append(_simple(operator, words, aliases))
        operator, words = text, []
    return found


def _simple(operator: str, words: Sequence[str], aliases: Mapping[str, str]) -> Simple:
    if not words or ">" in operator or "<" in operator:
        return Simple(operator, "", (), tuple(words))
    if words[0] == "sudo" and len(words) > 1 and not words[1].startswith("-"):
        words = words[1:]
    program, rest = _PATH.sub("", words[0]), list(words[1:])
    if program in SUBCOMMANDS and rest and not rest[0].startswith("-"):
        program, rest = f"{program} {rest[0]}", rest[1:]
    if program == "tar" and rest and _OLD_TAR.fullmatch(rest[0]):
        rest[0] = "-" + rest[0]
    valued = VALUED.get(program)
    if valued is None:
        return Simple(operator, program, (), tuple(aliases.get(word, word) for word in rest))
    options, others = _parsed(program, rest, valued, aliases)
    return Simple(operator, program, tuple(sorted(options, key=lambda option: option[0])), tuple(others))


def _parsed(program: str, words: Sequence[str], valued: str, aliases: Mapping[str, str]) -> tuple[list[Option], list[str]]:
    """Options with their values, as getopt reads them, and the other words."""
    options: list[Option] = []
    others: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":  # git tells files from branches by it
            others.extend([word, *left] if program.startswith("git") else left)
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            short = aliases.get(name)
            if short is None:
                options.append((name, value if equals else None))
            else:
                takes = short[1:] in valued
                options.append((short, (value if equals else next(left, None)) if takes else None))
        elif re.fullmatch(r"-\d+", word) and program in NUMERIC:
            options.append((NUMERIC[program], word[1:]))
        elif word.startswith("-") and len(word) > 1 and not word[1:].isdigit():
            options.extend(_short(word[1:], valued, left))
        else:
            others.append(word)
    return options, others


def _short(letters: str, valued: str, left: Iterable[str]) -> Iterable[Option]:
    for at, letter in enumerate(letters):
        if letter in valued:
            value = letters[at + 1 :].removeprefix("=") or next(iter(left), None)
            yield f"-{letter}", value
            return
        yield f"-{letter}", None


def _same(mine: Sequence[Simple], theirs: Sequence[Simple]) -> bool:
    if len(mine) != len(theirs):
        return False
    return all(
        a.operator == b.operator
        and _fits(a.program, b.program)
        and len(a.options) == len(b.options)
        and len(a.words) == len(b.words)
        and all(x[0] == y[0] and _fits(x[1], y[1]) for x, y in zip(a.options, b.options, strict=True))
        and all(itertools.starmap(_fits, zip(a.words, b.words, strict=True)))
        for a, b in zip(mine, theirs, strict=True)
    )


def _fits(word: str | None, expected: str | None) -> bool:
    """Whether the word is the expected one; a placeholder in that stands for one or more characters but an option's."""
    if word is None or expected is None or HOLE not in expected:
        return word == expected
    if len(word) > MAX_WORD or (expected.startswith(HOLE) and word.startswith("-")):
        return False
    return _matches(word, expected.split(HOLE))


def _matches(word: str, parts: Sequence[str]) -> bool:
    """Whether the word is these parts in order with one or more characters between each two, none of which the shell would expand.

    Each part is taken where it comes first: a later place leaves less for those behind it. So nothing is looked at twice.
    """
    first, *inner, last = parts
    if not (word.startswith(first) and word.endswith(last)):
        return False
    at, end = len(first), len(word) - len(last)
    for part in inner:
        found = word.find(part, at + 1, end)
        if found < 0 or ACTIVE in word[at:found]:
            return False
        at = found + len(part)
    return at < end and ACTIVE not in word[at:end]


def _difference(mine: Sequence[Simple], theirs: Sequence[Simple]) -> str:
    """The first thing that differs from the row's own line."""
    if [simple.program for simple in mine] != [simple.program for simple in theirs]:
        return "another program"
    if [simple.operator for simple in mine] != [simple.operator for simple in theirs]:
        return "other operators"
    for a, b in zip(mine, theirs, strict=True):
        if [name for name, _ in a.options] != [name for name, _ in b.options]:
            return f"other options of {b.program}"
    return "other words"
