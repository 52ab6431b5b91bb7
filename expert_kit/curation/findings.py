"""What is wrong with rows, each finding with its line; no row is left out on its own account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from expert_kit.curation.near import near_pairs
from expert_kit.curation.rows import DataRow, folded
from expert_kit.curation.syntax import SYNTAXES
from expert_kit.names import steers


@dataclass(frozen=True)
class Finding:
    """One thing about one row."""

    line: int
    code: str
    """``malformed``, ``control_character``, ``repeated``, ``contradicted``, ``nearly_repeated``, ``syntax``, ``leak`` or ``near_leak``."""
    message: str
    other: int | None = None
    """The line of the row that it is about too; for leaks, a line of the other file."""


def check_rows(rows: Sequence[DataRow], syntax: str | None = None, *, near: bool = True) -> list[Finding]:
    """All findings of one file, by line.

    Args:
        rows: of the file, in its order.
        syntax: a key of ``SYNTAXES`` for the completions.
        near: look for nearly repeated prompts too, which takes most of the time.
    """
    found = [Finding(row.line, "malformed", row.problem) for row in rows if row.problem]
    good = [row for row in rows if not row.problem]
    for row in good:
        if control := next(filter(steers, row.prompt + row.completion), ""):
            found.append(Finding(row.line, "control_character", f"has the character U+{ord(control):04X}"))
        if syntax is not None and (wrong := SYNTAXES[syntax](row.completion)):
            found.append(Finding(row.line, "syntax", f"the completion is not {syntax}: {wrong}"))
    found += _repeated(good, near)
    return sorted(found, key=lambda one: (one.line, one.code))


def leaks(rows: Sequence[DataRow], held_out: Sequence[DataRow]) -> list[Finding]:
    """Rows whose prompt is a held-out prompt, or nearly one."""
    good, held = [row for row in rows if not row.problem], [row for row in held_out if not row.problem]
    exact = {folded(row.prompt): row.line for row in reversed(held)}
    found = {row.line: Finding(row.line, "leak", "is a prompt of the held-out file", exact[folded(row.prompt)])
             for row in good if folded(row.prompt) in exact}  # fmt: skip
    for at, other, similarity in near_pairs([row.prompt for row in good], [row.prompt for row in held]):
        line = good[at].line
        found.setdefault(line, Finding(line, "near_leak", f"is {similarity:.0%} a prompt of the held-out file", held[other].line))
    return [found[line] for line in sorted(found)]


def _repeated(rows: Sequence[DataRow], near: bool) -> list[Finding]:
    found: list[Finding] = []
    first: dict[str, DataRow] = {}
    pairs: dict[tuple[str, str], DataRow] = {}
    for row in rows:
        same = pairs.setdefault((folded(row.prompt), folded(row.completion)), row)
        before = first.setdefault(folded(row.prompt), row)
        if same is not row:
            found.append(Finding(row.line, "repeated", f"is line {same.line} again", same.line))
        elif before is not row:
            found.append(Finding(row.line, "contradicted", f"has the prompt of line {before.line} and another completion", before.line))
    return [*found, *_nearly_repeated(list(first.values()))] if near else found


def _nearly_repeated(rows: Sequence[DataRow]) -> list[Finding]:
    """Rows whose prompt is nearly an earlier one that stays when these rows are taken out."""
    found: dict[int, Finding] = {}
    for at, other, similarity in near_pairs([row.prompt for row in rows]):
        mine, earlier = rows[at], rows[other]
        # A prompt that differs in a sign or a number and has another answer is another question.
        if mine.line not in found and earlier.line not in found and folded(mine.completion) == folded(earlier.completion):
            message = f"is {similarity:.0%} the prompt of line {earlier.line}, with the same completion"
            found[mine.line] = Finding(mine.line, "nearly_repeated", message, earlier.line)
    return list(found.values())
