"""Reads a grammar once from left to right and counts; run by ``grammar.py`` in a confined process.

It does not understand grammars. It bounds what a parser of them would have to do: how many rules, how deep the brackets,
how long the literals, how often something repeats; and it refuses what reaches out of the text (``%import``) or into a
regular-expression compiler.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

MAX_RULES = 512
MAX_TOKENS = 20_000
MAX_NESTING = 32
MAX_LITERAL = 1_000
MAX_REPEAT = 1_024

# form -> (sign behind the name of a rule, sign of a comment)
FORMS = {"gbnf": ("::=", "#"), "ebnf": ("::=", "#"), "lark": (":", "//")}
_PAIRS = {")": "(", "]": "[", "}": "{"}
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class _ScanError(Exception):
    """The first thing that is wrong."""


def problem_of(text: str, form: str) -> str:
    """What is wrong with a grammar of one of ``FORMS``; empty if nothing is."""
    try:
        _check(list(_tokens(text, form)), form)
    except _ScanError as error:
        return str(error)
    return ""


def _check(tokens: list[str], form: str) -> None:
    define, opened = FORMS[form][0], list[str]()
    places = [at for at, token in enumerate(tokens) if token == define]
    if not 1 <= len(places) <= MAX_RULES:
        raise _ScanError(f"{len(places)} rules, 1 to {MAX_RULES} are allowed")
    if any(at == 0 or not _is_name(tokens[at - 1]) for at in places):
        raise _ScanError(f"a {define} that does not stand behind the name of a rule")
    for token in tokens:
        if token in _PAIRS.values():
            opened.append(token)
            if len(opened) > MAX_NESTING:
                raise _ScanError(f"brackets are nested deeper than {MAX_NESTING}")
        elif token in _PAIRS and (not opened or opened.pop() != _PAIRS[token]):
            raise _ScanError(f"a {token} that closes nothing")
        elif opened and opened[-1] == "{" and token.isdecimal() and (len(token) > 6 or int(token) > MAX_REPEAT):
            raise _ScanError(f"something repeats more than {MAX_REPEAT} times")
    if opened:
        raise _ScanError(f"a {opened[-1]} is not closed")
    defined = {tokens[at - 1] for at in places}
    unknown = [token for token in tokens if _is_name(token) and token not in defined] if define == "::=" else []
    if unknown:
        raise _ScanError(f"{unknown[0][:60]} is used, but no rule has that name")


def _tokens(text: str, form: str) -> Iterator[str]:
    define, comment = FORMS[form]
    at, count = 0, 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            at += 1
            continue
        if text.startswith(comment, at):
            at = _line_end(text, at)
            continue
        end = _token_end(text, at, form, define)
        if (count := count + 1) > MAX_TOKENS:
            raise _ScanError(f"more than {MAX_TOKENS} words and signs")
        yield text[at:end]
        at = end


def _token_end(text: str, at: int, form: str, define: str) -> int:
    char = text[at]
    if text.startswith(define, at):
        return at + len(define)
    if char in "\"'":
        return _literal_end(text, at, char)
    if form == "lark":
        if char == "/":
            raise _ScanError("a regular expression: write the characters that it means")
        if char == "<":
            raise _ScanError("a special token: write the characters of the answer")
        if char == "%" and not text.startswith("%ignore", at):
            raise _ScanError("a % directive other than %ignore")
    elif char == "[":
        return _literal_end(text, at, "]")
    if char in _NAME:
        end, more = at, "." if form == "lark" else ""  # the priority of a terminal: WORD.2
        while end < len(text) and (text[end] in _NAME or text[end] == more):
            end += 1
        if end - at > MAX_LITERAL:
            raise _ScanError(f"a word is longer than {MAX_LITERAL} characters")
        return end
    return at + 1


def _literal_end(text: str, start: int, closing: str) -> int:
    at = start + 1
    while at < len(text) and text[at] != closing:
        at += 2 if text[at] == "\\" else 1
        if at - start > MAX_LITERAL:
            raise _ScanError(f"a literal is longer than {MAX_LITERAL} characters")
    if at >= len(text) or "\n" in text[start:at]:
        raise _ScanError("a literal does not end on its line")
    return at + 1


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _is_name(token: str) -> bool:
    return token[0].isalpha() and token[0].isascii()


def main() -> None:
    """The form is the first argument, the grammar stdin, the problem stdout as JSON."""
    text = sys.stdin.buffer.read().decode("utf-8")
    sys.stdout.write(json.dumps({"problem": problem_of(text, sys.argv[1])}))


if __name__ == "__main__":
    main()
