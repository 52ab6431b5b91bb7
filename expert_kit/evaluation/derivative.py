"""Checks answers to "find the derivative": finds the formula in the answer, compares it with sympy's derivative.

Expert and chatty base model are read by the same rules. An answer that is a formula counts as it stands. Otherwise the last statement about
the whole function counts (``f'(x) = ...``, ``dy/dx = ...``, "the derivative of the function is ..."); only without one, the last formula
after an equals sign or on a line of its own, the question repeated not counting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import sympy

from expert_kit.errors import DataError
from expert_kit.evaluation.expression import parse, plain, same
from expert_kit.evaluation.verdict import Verdict

MAX_ANSWER = 8_000
"""Characters of an answer that are read; an answer is far shorter."""
SHORT_ANSWER = 80
"""Characters below which an unreadable answer was meant as one formula, so that the parser's reason helps."""

_SENTENCE_END = re.compile(r"\n+|[.!?;](?:\s+|$)|\\\\")
_BOLD = re.compile(r"(?:(?<=^)|(?<=[\s:(]))\*\*(?=\S)|(?<=\S)\*\*(?=$|[\s.,:)])", re.MULTILINE)
_PROSE_WORDS = (
    "so where which and for when at since because using by after as with from in on the then thus if this that per is "
    "hence therefore metres meters units dollars"
)
_PROSE = re.compile(r",\s|\s\((?=[A-Za-z]{2,}\s)|\s(?:" + _PROSE_WORDS.replace(" ", "|") + r")\b")
_LINK = re.compile(r"=|:|\b(?:is|becomes|gives|equals|get)\b")
_WHOLE = re.compile(
    r"(?:the |this |your |our )?(?:given |above |original )?(?:function|expression|curve|polynomial)?\s*"
    r"(?:[A-Za-z]\s*\(\s*\w\s*\)|[yf])?"
)


def check(answer: str, row: Mapping[str, Any]) -> Verdict:
    """Judge an answer about the derivative of ``row["expression"]`` with respect to ``row["variable"]``.

    Raises:
        DataError: the row itself is unusable.
    """
    function, variable = _function(row)
    expected = sympy.diff(function, sympy.Symbol(variable))
    shown = sympy.sstr(expected).replace("**", "^")
    reason = "no formula found in the answer"
    for text, whole in _statements(_cleaned(answer[:MAX_ANSWER]), variable, function):
        try:
            got = parse(text, variable)
        except DataError as error:
            reason = error.message if len(answer) < SHORT_ANSWER else reason
            continue
        if not whole and same(got, function) and not same(got, expected):
            continue  # the question, repeated
        if same(got, expected):
            return Verdict(True, text.strip(), shown, "")
        return Verdict(False, text.strip(), shown, "another function than the derivative")
    return Verdict(False, answer.strip()[:200], shown, reason)


def _function(row: Mapping[str, Any]) -> tuple[sympy.Expr, str]:
    expression, variable = row.get("expression"), row.get("variable")
    if not isinstance(expression, str) or not isinstance(variable, str) or not re.fullmatch(r"[A-Za-z]", variable):
        raise DataError(f"row {row.get('id', '?')}: 'expression' must be text and 'variable' one letter", hint="write the data again")
    return parse(expression, variable), variable


def _cleaned(answer: str) -> str:
    """The answer without Markdown and LaTeX dress; line breaks stay."""
    text = re.sub(r"\\(?:begin|end)\{[a-z]+\*?\}", "\n", answer.replace("`", ""))
    text = re.sub(r"\^\s*\{?\s*\\prime\s*\}?|[\u2019\u2032]", "'", _BOLD.sub("", text))
    text = re.sub(r"\\(?:boxed|mathrm|text)\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r" \1 ", text)
    text = re.sub(r"\\d?frac\s*\{\s*d\s*([A-Za-z]?)\s*\}\s*\{\s*d\s*([A-Za-z])\s*\}", r"d\1/d\2", text)
    text = text.replace("\\\\", "\n")
    return "\n".join(plain(line) for line in text.splitlines()).strip()


def _statements(text: str, variable: str, function: sympy.Expr) -> Iterator[tuple[str, bool]]:
    """Candidate formulas, the most trustworthy first, and whether each is about the whole function."""
    if "\n" not in text:
        yield text.rstrip(" .!"), True
    sentences = [sentence.strip(" \t*-#>") if not _leads_with_minus(sentence) else sentence for sentence in _SENTENCE_END.split(text)]
    sentences = [sentence for sentence in sentences if sentence.strip()]
    for sentence in reversed(sentences):
        for tail in _about_whole(sentence, variable, function):
            yield tail, True
    for sentence in reversed(sentences):
        yield _tail(sentence), False
        yield _before_prose(_LINK.split(sentence)[-1]), False


def _leads_with_minus(sentence: str) -> bool:
    return re.match(r"\s*-\S", sentence) is not None


def _tail(statement: str) -> str:
    """The last member of a chain of equations, prose after it cut off."""
    return _LINK.split(_before_prose(statement.strip(" :=")))[-1]


def _before_prose(text: str) -> str:
    return _PROSE.split(text, maxsplit=1)[0]


def _about_whole(sentence: str, variable: str, function: sympy.Expr) -> Iterator[str]:
    """Right sides of statements about the derivative of the whole function, last first."""
    v = re.escape(variable)
    prime = rf"\b(?-i:[a-tw-zA-Z])'\s*(?:\(\s*{v}\s*\))?\s*(?:=|:|is\b)"
    fraction = rf"\bd\s*[A-Za-z]\s*(?:\(\s*{v}\s*\))?\s*/\s*d\s*{v}\s*(?:=|:|is\b)"
    final = r"\b(?:final |correct )?answer\b(?: is\b)?\s*:?|\bderivative\s*(?:is\b:?|:|=)|\bsimplif(?:y|ies)[^=:]*?(?:\bto\b|\bget\b|=|:)"
    for match in reversed(list(re.finditer(f"{prime}|{fraction}|{final}", sentence, re.IGNORECASE))):
        yield _tail(sentence[match.end() :])
    for pattern in (r"\bderivative of (.+)(?:\bis\b:?|:)(.+)", rf"\bd\s*/\s*d\s*{v}\s*(.+?)=(.+)"):
        statement = re.search(pattern, sentence, re.IGNORECASE)
        if statement and _names_whole(statement[1], variable, function):
            yield _tail(statement[2])


def _names_whole(subject: str, variable: str, function: sympy.Expr) -> bool:
    """Whether "derivative of ..." speaks of all of the function, not of one term in an explanation."""
    subject = re.split(r"\bwith respect to\b|,", subject)[0].strip(" :")
    if _WHOLE.fullmatch(subject):
        return True
    try:
        return same(parse(subject.split("=")[-1], variable), function)
    except DataError:
        return False
