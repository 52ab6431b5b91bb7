"""What a command says: data on stdout, everything else on stderr. No colours, so that there are none to switch off.

Nothing here lets a control character through but the line breaks of the caller. That is the second line of defence: a
caller puts package text through ``names.printable`` first, so that it has no line breaks of its own either.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from expert_kit.errors import CapacityError, DataError, ExpertKitError, LockError, RecipeError, ResolutionError
from expert_kit.names import printable, steers
from expert_kit.whole_file import replace_whole

_SEVERAL_LINES = (RecipeError, DataError, ResolutionError, LockError)
"""Errors that list what is wrong; they escape foreign text themselves. In other messages a line break is not ours."""


def emit(text: str) -> None:
    """One or more lines of data."""
    typer.echo(_lines(text))


def emit_path(path: Path) -> None:
    """The name of a file as data: as it is into a pipe, on a terminal without what could steer it."""
    typer.echo(printable(str(path)) if sys.stdout.isatty() else str(path))


def emit_json(value: Any) -> None:
    """One JSON value as data; ASCII only, so that nothing in it can steer a terminal."""
    typer.echo(json.dumps(value, indent=2))


def emit_piece(text: str) -> None:
    """A piece of a running answer: as it is into a pipe; on a terminal without what could steer it."""
    sys.stdout.write(terminal_safe(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def note(text: str) -> None:
    """A line for the person at the terminal."""
    typer.echo(_lines(text), err=True)


def emit_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns of data, aligned; cells may be package text."""
    cells = [headers, *rows]
    if not "".join(map("".join, cells)).isprintable():  # one look at everything is much faster than one at each of 50,000 cells
        cells = [list(map(printable, row)) for row in cells]
    columns = [_aligned(column) for column in zip(*cells, strict=True)]
    typer.echo("\n".join(map(str.rstrip, map("  ".join, zip(*columns, strict=True)))))


def _aligned(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    return [cell.ljust(width) for cell in column]


def terminal_safe(text: str) -> str:
    """Text of a model: lines, tabs and every script stay; control characters and bidirectional overrides are escaped."""
    return "".join(f"\\u{{{ord(char):x}}}" if steers(char) else char for char in text)


def counted(number: int, noun: str) -> str:
    """``1 expert``, ``2 experts``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def is_interactive() -> bool:
    """Whether there is a person to ask: both the keyboard and the place of the question are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """A yes or no from the person at the keyboard; anything but a yes is a no. Nothing goes to stdout."""
    sys.stderr.write(f"{question} [y/N]: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def is_debugging() -> bool:
    """Whether tracebacks and the libraries' own messages are wanted."""
    return os.environ.get("EXPERT_KIT_DEBUG", "") not in ("", "0")


def show_error(error: ExpertKitError, *, as_json: bool, param: str | None = None) -> None:
    """The error and the next step, on stderr; the traceback only if it is asked for."""
    if is_debugging():
        note("".join(traceback.format_exception(error)).rstrip())
    if as_json:
        fields = {"code": error.code, "message": error.message, "type": type(error).__name__, "param": param, "next": error.hint}
        note(json.dumps({"error": fields}))
        return
    message = error.message.replace("\n", "\n  ") if isinstance(error, _SEVERAL_LINES) else printable(error.message)
    note(f"error[{error.code}]: {message}")
    if error.hint:
        note(f"next: {printable(error.hint)}")


def _lines(text: str) -> str:
    if text.replace("\n", "").isprintable():  # a list of 10,000 experts is one text
        return text
    return "\n".join(map(printable, text.split("\n")))


class _NoteHandler(logging.Handler):
    """Log records as lines on whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        note(f"{record.levelname.lower()}: {printable(record.getMessage())}")


def set_up_streams() -> None:
    """Show the rooms' warnings, and let no character that the terminal's encoding lacks stop a command."""
    logger = logging.getLogger("expert_kit")
    if not any(isinstance(handler, _NoteHandler) for handler in logger.handlers):
        logger.addHandler(_NoteHandler())
        logger.propagate = False
    logger.setLevel(logging.DEBUG if is_debugging() else logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around what writes a file or folder of the user's: if it cannot be written, that is no bug.

    Raises:
        CapacityError: ``output_unwritable``.
    """
    try:
        yield
    except OSError as error:
        message = f"cannot write {printable(str(path))}: {error.strerror}"
        raise CapacityError(message, hint="check the folder and the free space", code="output_unwritable") from error


def write_whole(path: Path, text: str) -> None:
    """Write a file completely or not at all.

    Raises:
        CapacityError: ``output_unwritable``.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path, text.encode(), mode=0o644)
