"""Grammar files: untrusted text that a constrained decoder would compile, so bounded before anything reads it."""

from __future__ import annotations

import json
import tempfile
from importlib.util import find_spec
from pathlib import Path

from expert_kit.archive import grammar_compile, grammar_names, grammar_scan
from expert_kit.archive.confined import Limits, run_confined
from expert_kit.archive.problems import Problem, Severity, refused
from expert_kit.errors import ArchiveError
from expert_kit.names import printable

MAX_SIZE = 1 << 16
_LIMITS = Limits(seconds=10, output=4096, memory=128 << 20)
_COMPILE_LIMITS = Limits(seconds=20, output=1 << 14, memory=512 << 20)
_LAYOUT = {ord("\n"): " ", ord("\t"): " "}


def check_grammar(data: bytes, where: str) -> list[Problem]:
    """Problems of a grammar file; its form is that of its extension."""
    problem = text_problem(data)
    if problem:
        return [refused("grammar_invalid", where, problem)]
    form = where.rpartition(".")[2]
    if form not in grammar_scan.FORMS:
        return [Problem("check_unavailable", Severity.UNCHECKED, where, "this version does not know the form of this grammar")]
    try:
        problem = _scan(data, form)
    except ArchiveError as error:
        return [refused(error.code, where, error.message)]
    return [refused("grammar_invalid", where, problem)] if problem else []


def text_problem(data: bytes) -> str:
    """What is wrong with a file before its form matters; empty if nothing is."""
    if len(data) > MAX_SIZE:
        return f"{len(data)} bytes, at most {MAX_SIZE} are allowed"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    return "" if text.translate(_LAYOUT).isprintable() else "has characters that are neither printable nor line feeds or tabs"


def lark_problems(data: bytes, where: str) -> list[Problem]:
    """What the constrained decoder has against a grammar that :func:`check_grammar` takes; for its author.

    Raises:
        ArchiveError: see :func:`compile_problem`.
    """
    problem = compile_problem(data.decode("utf-8"))
    return [refused("grammar_invalid", where, printable(problem))] if problem else []


def compile_problem(text: str) -> str:
    """What the constrained decoder has against a Lark grammar, which may use ``PROMPT_WORD`` and its like; empty if nothing.

    Raises:
        ArchiveError: ``parser_stopped``, it took more time or memory than a grammar may.
    """
    if grammar_names.defines_prompt_words(text):
        return f"{', '.join(grammar_names.NAMES)} stand for what is in a prompt and are not to be defined"
    if "<" in grammar_names.outside_literals(text):
        return "a < outside literals: special tokens are no text, and an answer is nothing else"
    if grammar_names.uses_prompt_words(text):
        text = grammar_names.with_names(text, grammar_names.many_names())
    library = find_spec("llguidance")
    assert library is not None
    assert library.origin is not None
    folder = Path(library.origin).parents[1]
    return _run(grammar_compile.__file__, text.encode(), _COMPILE_LIMITS, str(folder)).partition("\n")[0][:200]


def _scan(data: bytes, form: str) -> str:
    return printable(_run(grammar_scan.__file__, data, _LIMITS, form))


def _run(script: str, data: bytes, limits: Limits, argument: str) -> str:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return str(json.loads(run_confined(Path(script), file, limits, argument))["problem"])
