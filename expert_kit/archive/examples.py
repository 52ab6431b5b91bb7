"""Routing examples: prompts that an expert is for. Untrusted text, so small, printable and without duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from expert_kit.archive.problems import Problem, refused
from expert_kit.errors import DataError, ManifestError
from expert_kit.manifest import parse_object
from expert_kit.names import printable

MAX_ROWS = 2000
MAX_TEXT = 2000
MAX_PROBLEMS = 50
"""After so many the rest of a file is not looked at."""
SPLITS = ("fit", "validate")
# A prompt may have several lines, such as a schema above a question. Every output escapes them.
_LAYOUT = {ord("\n"): " ", ord("\t"): " "}


@dataclass(frozen=True)
class RoutingExample:
    """One prompt; ``split`` is ``fit`` or ``validate``."""

    text: str
    split: str


def parse_examples(data: bytes) -> tuple[RoutingExample, ...]:
    """Rows of a ``routing/examples.jsonl``; no rows is fine.

    Raises:
        DataError: ``routing_examples_invalid``, the message lists all problems.
    """
    problems = check_examples(data)
    if problems:
        raise DataError("; ".join(f"{item.where}: {item.message}" for item in problems), code="routing_examples_invalid")
    return tuple(RoutingExample(row["text"], row["split"]) for row in map(parse_object, _lines(data)))


def check_examples(data: bytes, where: str = "routing/examples.jsonl") -> list[Problem]:
    """All problems of such a file, one per line at most; ``where`` is completed by the line number."""
    lines = _lines(data)
    if len(lines) > MAX_ROWS:
        return [refused("routing_examples_too_many", where, f"{len(lines)} rows, at most {MAX_ROWS} are allowed")]
    problems: list[Problem] = []
    seen = Counter[str]()
    for number, line in enumerate(lines, start=1):
        spot = f"{where}:{number}"
        if len(problems) >= MAX_PROBLEMS:
            problems.append(refused("routing_examples_invalid", spot, "too many problems: the rows from here on were not looked at"))
            break
        if len(line.splitlines()) > 1 or b"\r" in line:
            message = "a carriage return, at which some readers end a line: end lines in \\n alone"
            problems.append(refused("routing_examples_invalid", spot, message))
            continue
        if line.count(b"[") + line.count(b"{") > MAX_TEXT + 1:
            # More than a text of that length can hold: nested, and dear to parse.
            problems.append(refused("routing_examples_invalid", spot, f"text is not 1 to {MAX_TEXT} characters"))
            continue
        try:
            row = parse_object(line)
        except ManifestError as error:
            problems.append(refused("routing_examples_invalid", spot, error.message))
            continue
        problems += [refused("routing_examples_invalid", spot, message) for message in _row_problems(row)][:1]
        text = row.get("text")
        if isinstance(text, str):
            seen[text] += 1
            if seen[text] == 2:
                problems.append(refused("routing_examples_duplicate", spot, "the same text stands further up"))
    return problems


def _lines(data: bytes) -> list[bytes]:
    return data.removesuffix(b"\n").split(b"\n") if data else []


def _row_problems(row: dict[str, Any]) -> Iterator[str]:
    if row.keys() != {"text", "split"}:
        yield f"the fields are {printable(', '.join(sorted(row))[:100])}, expected split, text"
        return
    text = row["text"]
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT:
        yield f"text is not 1 to {MAX_TEXT} characters"
    elif not text.translate(_LAYOUT).isprintable():
        yield "text has characters that are neither printable nor line breaks or tabs"
    if row["split"] not in SPLITS:
        yield "split is neither fit nor validate"
