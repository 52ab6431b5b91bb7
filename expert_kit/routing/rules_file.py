"""Reads the TOML of the user's rules, and knows in which line each key stands, which ``tomllib`` does not tell."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from expert_kit.errors import DataError
from expert_kit.names import printable

LARGEST_FILE: Final = 256 * 1024
MOST_RULES: Final = 1_000
MOST_VALUES: Final = 200

_HEADER: Final = re.compile(r"\s*\[\[\s*rule\s*\]\]")
_KEY: Final = re.compile(r"(?:^|[{,.\]\[])\s*([A-Za-z_][\w-]*)\s*(?==|\.|\]\s*$)")


class Problems:
    """Everything that is wrong with one file, so that all of it is said at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []

    def add(self, line: int, key: str, problem: str) -> None:
        """One problem; line 0: no place in the file."""
        where = f"{self.path}:{line}" if line else str(self.path)
        self.lines.append(printable(f"{where}: {key}: {problem}"))

    def unknown(self, line: int, key: str, known: Iterable[str]) -> None:
        """A key that nothing reads."""
        names = list(known)
        close = difflib.get_close_matches(key.rpartition(".")[2], names, n=1)
        self.add(line, key, f"unknown key, did you mean {close[0]}?" if close else f"unknown key; known: {', '.join(names)}")

    def stop(self) -> None:
        """End here if there was any.

        Raises:
            DataError: ``rules_invalid``.
        """
        if self.lines:
            listed = "\n".join(f"  {line}" for line in self.lines)
            raise DataError(
                f"the routing rules have {len(self.lines)} problem(s):\n{listed}",
                hint="correct the lines named above",
                code="rules_invalid",
            )


@dataclass(frozen=True)
class RawRule:
    """One ``[[rule]]`` as TOML has it."""

    values: Mapping[str, Any]
    line: int
    key_lines: Mapping[str, int]

    def line_of(self, key: str, table: str = "") -> int:
        """Line of a key, or of its table, or of the rule."""
        return self.key_lines.get(key) or self.key_lines.get(table) or self.line

    def unknown(self, known: set[str]) -> list[str]:
        """Keys that are not known."""
        return sorted(self.values.keys() - known)

    def text(self, key: str, problems: Problems) -> str:
        """Text of 1 to 100 characters."""
        value = self.values.get(key)
        if not isinstance(value, str) or not value.strip() or len(value) > 100:
            problems.add(self.line_of(key), key, "every rule needs a name of 1 to 100 characters")
            return ""
        return value

    def integer(self, key: str, low: int, high: int, problems: Problems) -> int:
        """A whole number, 0 if it is not there."""
        value = self.values.get(key, 0)
        if type(value) is not int or not low <= value <= high:
            problems.add(self.line_of(key), key, f"a whole number from {low} to {high}, not {value!r}")
            return 0
        return value

    def table(self, key: str, problems: Problems) -> Mapping[str, Any]:
        """A table that is not empty."""
        value = self.values.get(key)
        if not isinstance(value, dict) or not value:
            problems.add(self.line_of(key), key, "every rule needs a table of this name that is not empty")
            return {}
        return value

    def texts(self, table: str, key: str, problems: Problems) -> tuple[str, ...]:
        """One text, or a list of 1 to 200 of them."""
        value = self.values[table][key]
        listed = value if isinstance(value, list) else [value]
        if not 1 <= len(listed) <= MOST_VALUES or not all(isinstance(one, str) and one for one in listed):
            problems.add(self.line_of(key, table), f"{table}.{key}", f"text, or a list of 1 to {MOST_VALUES} texts")
            return ()
        return tuple(listed)


def read_rules_file(path: Path, problems: Problems) -> list[RawRule]:
    """The rules as they stand there; an absent file has none.

    Raises:
        DataError: ``rules_invalid``, and there is nothing to go on with.
    """
    values, text = _load(path, problems)
    for key in sorted(values.keys() - {"rule"}):
        problems.unknown(_first_line(text, key), key, ["rule"])
    rules = values.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        problems.add(_first_line(text, "rule"), "rule", "write each rule under a line [[rule]]")
        rules = []
    if len(rules) > MOST_RULES:
        problems.add(0, "rule", f"{len(rules)} rules, at most {MOST_RULES} are allowed")
    places = _places(text)
    # With rules in another notation than [[rule]] the lines are not known.
    fitting = places if len(places) == len(rules) else [(0, {})] * len(rules)
    return [RawRule(rule, line, keys) for rule, (line, keys) in zip(rules, fitting, strict=True)]


def _load(path: Path, problems: Problems) -> tuple[dict[str, Any], str]:
    try:
        data = path.read_bytes()
        if len(data) > LARGEST_FILE:
            problems.add(0, "file", f"{len(data)} bytes, at most {LARGEST_FILE} are allowed")
            problems.stop()
        text = data.decode("utf-8").replace("\r\n", "\n")
        return tomllib.loads(text), text
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        problems.add(0, "file", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.add(0, "file", "is no UTF-8 text")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problems.add(0, "file", f"is no TOML: {error}")
    problems.stop()
    raise AssertionError("stop() raises where there are problems")


def _places(text: str) -> list[tuple[int, dict[str, int]]]:
    """Line of every ``[[rule]]``, and the first line of every key in it, outside multi-line strings."""
    found: list[tuple[int, dict[str, int]]] = []
    quote = ""
    for number, line in enumerate(text.split("\n"), start=1):
        inside = bool(quote)
        for mark in re.findall(r"'''|\"\"\"", line):
            quote = "" if quote == mark else quote or mark
        if inside:
            continue
        if _HEADER.match(line):
            found.append((number, {}))
        elif found:
            for key in _KEY.findall(_without_strings(line)):
                found[-1][1].setdefault(key, number)
    return found


def _without_strings(line: str) -> str:
    return re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'", '""', line).split("#")[0]


def _first_line(text: str, key: str) -> int:
    pattern = re.compile(rf"\s*\[*\s*{re.escape(key)}\b")
    return next((number for number, line in enumerate(text.split("\n"), start=1) if pattern.match(line)), 0)
