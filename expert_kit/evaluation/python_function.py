"""Checks answers to "write this function" by calling it: an answer counts if every hidden test gets the right value.

The calls are made in a sandbox, which never learns the right values; they are compared here. See ``sandbox.py`` for what it can bear.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from expert_kit.errors import DataError
from expert_kit.evaluation.python_source import RefusedCodeError, function_in
from expert_kit.evaluation.sandbox import run_calls, same
from expert_kit.evaluation.verdict import Verdict

_SHOWN = 300


def check(answer: str, row: Mapping[str, Any]) -> Verdict:
    """Judge an answer by ``row["tests"]``: pairs of the arguments' tuple and the result, as Python literals.

    ``row["function"]`` names the function, ``row["prompt"]`` has its signature.

    Raises:
        DataError: the row has no tests, or unusable ones. CheckUnavailableError: ``sandbox_unavailable``.
    """
    name, gold = str(row.get("function", "")), str(row.get("completion", ""))
    calls, expected = _tests(row)
    shown = answer.strip()[:_SHOWN]
    try:
        code = function_in(answer, name, str(row.get("prompt", "")))
    except RefusedCodeError as error:
        return Verdict(False, shown, gold, f"not run: {error}")
    if code is None:
        return Verdict(False, shown, gold, f"no function {name} in the answer")
    outcome = run_calls(code.source, name, calls, modules=code.modules)
    if outcome.error:
        return Verdict(False, code.source[:_SHOWN], gold, outcome.error)
    for arguments, result, value in zip(calls, outcome.results, expected, strict=True):
        if result.error:
            return Verdict(False, code.source[:_SHOWN], gold, f"{name}{arguments[:80]} {result.error}")
        if not same(result.value, value):
            return Verdict(False, code.source[:_SHOWN], gold, f"{name}{arguments[:80]} gave {result.value!r:.60}, not {value!r:.60}")
    return Verdict(True, code.source[:_SHOWN], gold, "")


def _tests(row: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    try:
        calls = [str(arguments) for arguments, _ in row["tests"]]
        expected = [ast.literal_eval(str(result)) for _, result in row["tests"]]
        usable = bool(calls) and all(isinstance(ast.literal_eval(arguments), tuple) for arguments in calls)
    except (KeyError, TypeError, ValueError, SyntaxError) as error:
        raise DataError(f"row {row.get('id', '?')}: unusable tests: {error}", hint="write the data again") from error
    if not usable or not str(row.get("function", "")).isidentifier():
        raise DataError(f"row {row.get('id', '?')}: no function, or no tests of it", hint="write the data again")
    return calls, expected
