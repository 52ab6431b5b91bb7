"""The lines of the shell recipe: tasks and command lines of tldr-pages that a small model can learn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from shell_slots import Piece, option_pairs, pieces
from tldr_pages import Example

HERE = Path(__file__).resolve().parent
MAX_CODE, MAX_TASK = 52, 90
"""Characters; longer command lines are not learnt by a small model, longer tasks are explanations."""
PER_PAGE = 4
"""Examples of a page, from its first on; the first are the most useful ones."""
_NO_TASK = re.compile(
    r"^(?:if|in|when|while|for|same|also|note|on|by|as|the|this|an?|it|similar|like|with|from|to|two|see)\b|^[#<'\"]"
    r"|\b(?:help|version|manual|documentation)\b|\bas above\b|~~",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Line:
    """What to do and the command line that does it."""

    page: str
    task: str
    code: tuple[Piece, ...]

    @property
    def shown(self) -> str:
        """The command line with placeholders."""
        return "".join(piece if isinstance(piece, str) else piece.shown for piece in self.code)


def pages_of(name: str) -> set[str]:
    """The pages that a list beside this script names; ``|`` stands for a space."""
    return {word.replace("|", " ") for word in (HERE / name).read_text(encoding="utf-8").split()}


def plain_task(query: str) -> str:
    """The task without the letters that tldr-pages mark ("E[x]tract"), without code marks and asides."""
    text = re.sub(r"\[(\w+)\]", r"\1", query).replace("`", "")
    text = re.sub(r"\s*\([^()]*\)", "", text)
    return re.split(r"\. |; | \(| - ", text)[0].strip(" .:")


def line_of(example: Example) -> Line | None:
    """The example as a line; None if it is too long or leaves a choice open."""
    task, code = plain_task(example.query), pieces(example.code)
    if code is None or example.code.startswith(("tldr ", "<")) or not len(task.split()) >= 2 or len(task) > MAX_TASK:
        return None
    if _NO_TASK.search(task) or "/" in task.split()[0]:
        return None
    line = Line(example.page, task, code)
    return line if len(line.shown) <= MAX_CODE else None


class Lines:
    """The lines of the pages, those of training apart from those of held-out commands."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    @cached_property
    def options(self) -> dict[str, dict[str, str]]:
        """Page -> long option -> short option."""
        found: dict[str, dict[str, str]] = {}
        for example in self.examples:
            found.setdefault(example.page, {}).update(option_pairs(example.code))
        return found

    def _of(self, pages: set[str]) -> list[Line]:
        found: list[Line] = []
        tasks: set[str] = set()
        codes: set[str] = set()
        uses: dict[str, int] = {}
        for example in self.examples:
            line = line_of(example) if example.page in pages and uses.get(example.page, 0) < PER_PAGE else None
            if line is None or line.task.lower() in tasks or line.shown in codes:
                continue
            tasks.add(line.task.lower())
            codes.add(line.shown)
            uses[line.page] = uses.get(line.page, 0) + 1
            found.append(line)
        return found

    @cached_property
    def known(self) -> list[Line]:
        """Those of the listed commands, and our own ones; none runs a held-out command."""
        return [*own_lines(), *(line for line in self._of(pages_of("shell_programs.txt")) if not runs_held_out(line))]

    @cached_property
    def new(self) -> list[Line]:
        """Those of the held-out commands themselves."""
        return [line for line in self._of(pages_of("held_out_programs.txt")) if runs_held_out(line)]


def own_lines() -> list[Line]:
    """Those of ``common_lines.txt``: page, command line, and tasks in which ``{0}`` is the value of the first slot."""
    found = []
    for text in (HERE / "common_lines.txt").read_text(encoding="utf-8").strip().split("\n"):
        page, code, tasks = text.split(" | ")
        found += [Line(page, task, pieces(code) or ()) for task in tasks.split(" ; ")]
    return found


def runs_held_out(line: Line) -> bool:
    """Whether a held-out command occurs anywhere in it."""
    return bool(_held_out().search(line.shown))


@cache
def _held_out() -> re.Pattern[str]:
    return re.compile(
        rf"(?:^|[|;&(] *|sudo |exec |xargs )(?:{'|'.join(map(re.escape, sorted(pages_of('held_out_programs.txt'))))})(?![\w-])"
    )
