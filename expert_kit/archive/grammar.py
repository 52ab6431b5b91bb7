"""Grammar files: untrusted text that a constrained decoder would compile, so bounded before anything reads it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from expert_kit.archive import grammar_scan
from expert_kit.archive.confined import Limits, run_confined
from expert_kit.archive.problems import Problem, Severity, refused
from expert_kit.errors import ArchiveError
from expert_kit.names import printable

MAX_SIZE = 1 << 16
_LIMITS = Limits(seconds=10, output=4096, memory=128 << 20)
_LAYOUT = {ord("\n"): " ", ord("\t"): " "}


def check_grammar(data: bytes, where: str) -> list[Problem]:
    """Problems of a grammar file; its form is that of its extension."""
    problem = _text_problem(data)
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


def _text_problem(data: bytes) -> str:
    if len(data) > MAX_SIZE:
        return f"{len(data)} bytes, at most {MAX_SIZE} are allowed"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    return "" if text.translate(_LAYOUT).isprintable() else "has characters that are neither printable nor line feeds or tabs"


def _scan(data: bytes, form: str) -> str:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return printable(str(json.loads(run_confined(Path(grammar_scan.__file__), file, _LIMITS, form))["problem"]))
