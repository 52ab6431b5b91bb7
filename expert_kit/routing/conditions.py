"""What a user's rule may ask of a prompt: one row of :data:`CONDITIONS` each."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple, Self

from expert_kit.routing import formats
from expert_kit.routing.signals import Signals

REGEX_SECONDS: Final = 0.05
"""Most time that one regular expression gets for one prompt."""

LONGEST_VALUE: Final = 200
LOOKED_AT: Final = 20_000

_LANGUAGE: Final = re.compile(r"[a-z]{2}|unknown")
_WORDS: Final = re.compile(r"\w+")


@dataclass(frozen=True)
class Given:
    """A prompt as conditions see it."""

    text: str
    """Its first 20,000 characters after leading white space."""
    folded: str
    words: str
    """Its words, case folded, one space around each."""
    signals: Signals

    @classmethod
    def of(cls, text: str, signals: Signals) -> Self:
        """Prepare a prompt once for all rules."""
        seen = text.lstrip()[:LOOKED_AT]
        folded = seen.casefold()
        return cls(seen, folded, spaced_words(folded), signals)


class Condition(NamedTuple):
    """How a condition is checked."""

    find: Callable[[Given, tuple[str, ...]], str | None]
    """What met it, in words; None if it is not met. Raises ``TimeoutError``."""
    problem: Callable[[str], str | None]
    """What is wrong with a value."""


def spaced_words(folded: str) -> str:
    """Words with one space around each, so that ``" a b "`` is in it only where whole words stand."""
    return f" {' '.join(_WORDS.findall(folded))} "


def _contains(given: Given, values: tuple[str, ...]) -> str | None:
    found = next((value for value in values if spaced_words(value.casefold()) in given.words), None)
    return f"it contains {found!r}" if found is not None else None


def _contains_all(given: Given, values: tuple[str, ...]) -> str | None:
    whole = all(spaced_words(value.casefold()) in given.words for value in values)
    return f"it contains {', '.join(map(repr, values))}" if whole else None


def _starts_with(given: Given, values: tuple[str, ...]) -> str | None:
    found = next((value for value in values if given.folded.startswith(value.casefold())), None)
    return f"it starts with {found!r}" if found is not None else None


def _language(given: Given, values: tuple[str, ...]) -> str | None:
    return f"its language is {given.signals.language.code}" if given.signals.language.code in values else None


def _format(given: Given, values: tuple[str, ...]) -> str | None:
    finding = next((one for one in given.signals.findings if one.format in values), None)
    return f"{finding.by} shows {finding.format}: {finding.excerpt!r}" if finding else None


def _asks_for(given: Given, values: tuple[str, ...]) -> str | None:
    found = next((name for name in given.signals.asks_for if name in values), None)
    return f"it asks for {found}" if found else None


def _regex(given: Given, values: tuple[str, ...]) -> str | None:
    for value in values:
        match = _compiled(value).search(given.text, timeout=REGEX_SECONDS)
        if match:
            return f"{value!r} matches {match[0][:60]!r}"
    return None


@cache
def _compiled(pattern: str) -> Any:
    # Not ``re``: only ``regex`` can be stopped, and a user's pattern may need more than linear time.
    return importlib.import_module("regex").compile(pattern)


def _bad_words(value: str) -> str | None:
    return _bad_length(value) or (None if _WORDS.search(value) else f"{value!r} has no letter or digit")


def _bad_length(value: str) -> str | None:
    return None if len(value) <= LONGEST_VALUE else f"{len(value)} characters, at most {LONGEST_VALUE} are allowed"


def _bad_language(value: str) -> str | None:
    return None if _LANGUAGE.fullmatch(value) else f"{value!r} is no language; write a code of two letters, such as de, or unknown"


def _bad_format(value: str) -> str | None:
    return None if value in formats.NAMES else f"{value!r} is no format; known: {', '.join(formats.NAMES)}"


def _bad_wish(value: str) -> str | None:
    return None if value in formats.ASKED else f"{value!r} cannot be asked for; known: {', '.join(formats.ASKED)}"


def _bad_regex(value: str) -> str | None:
    if problem := _bad_length(value):
        return problem
    try:
        _compiled(value)
    except importlib.import_module("regex").error as error:
        return f"{value!r} is no regular expression: {error}"
    return None


CONDITIONS: Final = {
    "contains": Condition(_contains, _bad_words),
    "contains_all": Condition(_contains_all, _bad_words),
    "starts_with": Condition(_starts_with, _bad_length),
    "language": Condition(_language, _bad_language),
    "format": Condition(_format, _bad_format),
    "asks_for": Condition(_asks_for, _bad_wish),
    "regex": Condition(_regex, _bad_regex),
}
"""Key under ``when`` -> how it is checked."""
