"""How far a long task is, on stderr: one line that rewrites itself on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from shutil import get_terminal_size
from types import TracebackType
from typing import Final, Self

from expert_kit.names import printable

_TERMINAL_SECONDS: Final = 0.1
_PLAIN_SECONDS: Final = 15.0


class ProgressLine:
    """Use in ``with``; :meth:`update` may be called as often as the task likes."""

    def __init__(self, *, unit: Callable[[int], str] = str, clock: Callable[[], float] = time.monotonic) -> None:
        """Take how to write an amount, such as :func:`megabytes`."""
        self._unit, self._clock = unit, clock
        self._fancy = sys.stderr.isatty()
        self._task, self._started, self._first, self._shown = "", 0.0, 0, float("-inf")
        self._width = 0

    def __enter__(self) -> Self:
        """The line itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Clear the line."""
        self._write("")

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        """Say how much of a task is done; ``total`` is 0 if unknown. A new task starts a new time estimate, from what is done already."""
        now = self._clock()
        if task != self._task:
            self._task, self._started, self._first, self._shown = task, now, done, float("-inf")
        finished = bool(total) and done >= total
        if now - self._shown < (_TERMINAL_SECONDS if self._fancy else _PLAIN_SECONDS) and not finished:
            return
        self._shown = now
        self._write("  ".join(part for part in (task, self._amount(done, total), detail, self._left(now, done, total)) if part))

    def _amount(self, done: int, total: int) -> str:
        if not total:
            return self._unit(done) if done else ""
        return f"{self._unit(done)}/{self._unit(total)} ({100 * done // total} %)"

    def _left(self, now: float, done: int, total: int) -> str:
        elapsed = now - self._started
        if not self._first < done < total or elapsed < 1:
            return ""
        return f"{duration(elapsed * (total - done) / (done - self._first))} left"

    def _write(self, text: str) -> None:
        text = printable(text)
        if self._fancy:
            text = text[: get_terminal_size().columns - 1]
            sys.stderr.write("\r" + text.ljust(self._width) + ("\r" if not text else ""))
            self._width = len(text)
        elif text:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()


def megabytes(count: int) -> str:
    """Bytes, readable."""
    return f"{count / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """Seconds, readable: ``45 s``, ``12 min``, ``1 h 05 min``."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
