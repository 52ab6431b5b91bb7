"""The natural language of a prompt: a script rule that needs nothing, then ``eldc``, and English where both are unsure."""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import Any, Final, Literal, NamedTuple

UNKNOWN: Final = "unknown"
"""There is no natural text, or no way to tell."""

MISSING_NOTE: Final = 'languages are told by script only; for more: pip install "expert-kit[language]"'
"""Said where the detector would have been asked and is not installed."""

Source = Literal["script", "eldc", "default", "none"]
"""What told the language. Default: short or unsure, so English. None: nothing to look at, or no detector."""

_LOOKED_AT: Final = 2_000
_SHORTEST: Final = 12
_FENCE: Final = "```"
_EDGES: Final = "\"'()[]{}.,;:!?-\u2026\u00ab\u00bb\u2018\u2019\u201c\u201d\u201e\u00bf\u00a1"
_LATIN: Final = re.compile(r"[A-Za-z\u00c0-\u024f]")
_NOT_IN_WORDS: Final = re.compile(r"[\x00-&(-,./0-9:-@\[-`{-\x7f]")

# Scripts of one language each, and Han and Kana, which are two; the first that fills a fifth of the letters wins.
_SCRIPTS: Final = tuple(
    (code, re.compile(f"[{letters}]"))
    for code, letters in (
        ("ja", "\u3041-\u30ff\uff66-\uff9f"),
        ("ko", "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"),
        ("zh", "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002fa1f"),
        ("el", "\u0370-\u03ff\u1f00-\u1fff"),
        ("he", "\u0590-\u05ff"),
        ("hy", "\u0531-\u058f"),
        ("ka", "\u10a0-\u10ff"),
        ("th", "\u0e01-\u0e5b"),
        ("lo", "\u0e81-\u0edf"),
        ("bn", "\u0981-\u09fe"),
        ("pa", "\u0a01-\u0a76"),
        ("gu", "\u0a81-\u0aff"),
        ("or", "\u0b01-\u0b77"),
        ("ta", "\u0b82-\u0bfa"),
        ("te", "\u0c00-\u0c7f"),
        ("kn", "\u0c80-\u0cf2"),
        ("ml", "\u0d00-\u0d7f"),
        ("am", "\u1200-\u137f"),
    )
)


class Language(NamedTuple):
    """An ISO 639-1 code, or ``unknown``, and what told it."""

    code: str
    source: Source


def detect_language(text: str) -> Language:
    """The language of the words in a text; code, numbers, names of files and the like are left out.

    A prompt in Latin letters counts as English unless it is long enough and the detector is sure: short English and
    code are otherwise easily taken for something else. Only the first 2,000 characters of natural text count.
    """
    words = natural_text(text)
    letters = sum(map(str.isalpha, words))
    if not letters:
        return Language(UNKNOWN, "none")
    if not words.isascii():
        for code, pattern in _SCRIPTS:
            if 5 * len(pattern.findall(words)) >= letters:
                return Language(code, "script")
    detector = _detector()
    if detector is None:
        return Language(UNKNOWN, "none")
    found = detector.detect_details(words)
    if _could_be_english(words, letters) and (letters < _SHORTEST or not found.reliable):
        return Language("en", "default")
    return Language(UNKNOWN, "none") if found.language == "und" else Language(found.language, "eldc")


def _could_be_english(words: str, letters: int) -> bool:
    return 2 * len(_LATIN.findall(words)) >= letters


def has_detector() -> bool:
    """Whether ``eldc`` is installed."""
    return _detector() is not None


def natural_text(text: str) -> str:
    """The words of a text, at most 2,000 characters: without fenced code and without whatever is no word."""
    kept = (word.strip(_EDGES) for word in _without_fences(text[: 4 * _LOOKED_AT]).split())
    words = " ".join(word for word in kept if word and not _NOT_IN_WORDS.search(word))[:_LOOKED_AT]
    return words.encode("utf-8", "ignore").decode()


def _without_fences(text: str) -> str:
    return " ".join(text.split(_FENCE)[::2])


@cache
def _detector() -> Any:
    try:
        detector = importlib.import_module("eldc")
    except ImportError:
        return None
    detector.init()
    return detector
