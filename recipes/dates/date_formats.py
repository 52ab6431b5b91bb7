"""How the dates recipe writes a date: CLDR patterns of a language, and others that people use.

The letters are those of CLDR (``d``, ``dd``, ``M`` to ``MMMM``, ``y``, ``E`` to ``EEEE``, quotes around other text); ``o`` and ``w`` stand
for an English day as "3rd" and as "third". See https://www.unicode.org/reports/tr35/tr35-dates.html#Date_Format_Patterns
"""

from __future__ import annotations

import datetime
import hashlib
import json
import random
import re
import unicodedata
from pathlib import Path
from typing import Any

CLDR: dict[str, dict[str, Any]] = json.loads((Path(__file__).resolve().parent / "cldr.json").read_text(encoding="utf-8"))
_TOKEN = re.compile(r"'([^']*)'|y+|M+|d+|E+|[ow]|.")
_UNITS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
_TEENS = ["tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth"]
ORDINALS = ["", *_UNITS, *_TEENS, "twentieth", *(f"twenty-{unit}" for unit in _UNITS), "thirtieth", "thirty-first"]

DOTTED, SLASHED, YEAR_FIRST = ("d.M.y", "dd.MM.y"), ("d/M/y", "dd/MM/y"), ("y/M/d", "y/MM/dd", "y.MM.dd", "yMMdd")
WORDY = ("d MMMM y", "dd MMMM y", "EEEE, d MMMM y", "d-MMM-y", "d MMMM, y", "y MMMM d", "E. d MMM y")
EXTRA: dict[str, tuple[str, ...]] = {
    "en": (
        "d MMMM y",
        "dd MMM y",
        "o MMMM y",
        "MMMM o, y",
        "MMM o y",
        "o 'of' MMMM y",
        "'the' o 'of' MMMM, y",
        "d-MMM-y",
        "E d MMM y",
        "EEEE o MMMM y",
        "EEEE, d MMMM y",
        "EEEE, MMMM o, y",
        "MMMM d y",
        "MMM d y",
        "d MMM, y",
        "y MMM d",
        "y, MMMM d",
        "'the' w 'of' MMMM y",
        "'the' w 'of' MMMM, y",
        "MMMM 'the' w, y",
        "d/MMM/y",
        "MMM-dd-y",
        "d.M.y",
        "d/M/y",
        "dd/MM/y",
        "MM/dd/y",
        *YEAR_FIRST,
    ),
    "es": ("d MMMM y", "d 'de' MMMM 'del' y", "d 'de' MMMM, y", "EEEE d 'de' MMMM 'de' y", "d-MMM-y", "dd 'de' MMM 'de' y", *SLASHED),
    "pt": ("d MMMM y", "d 'de' MMMM, y", "EEEE d 'de' MMMM 'de' y", "d-MMM-y", "dd 'de' MMMM 'de' y", *SLASHED),
    "de": (*WORDY, "EEEE, 'den' d. MMMM y", "'den' d. MMMM y", "dd. MMM y", *DOTTED),
    "fr": (*WORDY, "EEEE d MMM y", "'le' d MMMM y", *SLASHED),
    "it": (*WORDY, *SLASHED),
    "nl": (*WORDY, "dd-MM-y", "d-M-y"),
    "sv": (*WORDY, "'den' d MMMM y", "EEEE'en' 'den' d MMMM y", "d/M y"),
    "da": (*WORDY, "'den' d. MMMM y", "EEEE 'd.' d. MMMM y", *DOTTED),
    "nb": (*WORDY, "EEEE 'den' d. MMMM y", *DOTTED),
    "pl": (*WORDY, "d MMMM y 'r.'", "'dnia' d MMMM y", *DOTTED),
    "ru": ("d MMMM y", "d MMMM y 'года'", "EEEE, d MMMM y", "dd MMMM y", "d MMM y", "y, d MMMM", *DOTTED),
    "uk": ("d MMMM y", "d MMMM y 'року'", "EEEE, d MMMM y", "dd MMMM y", *DOTTED),
    "hu": ("y. MMMM d", "y MMMM d", "y. MM. dd.", "y.MM.dd."),
    "ja": ("y年MM月dd日", "y年 M月 d日", "y/M/d", "y.M.d"),
    "zh": ("y年MM月dd日", "y年M月d号", "y年 M月 d日", "y.M.d"),
    "ko": ("y년M월d일", "y년 MM월 dd일", "y.M.d", "y. MM. dd."),
    "el": (*WORDY, *SLASHED),
    "id": (*WORDY, *SLASHED),
}
"""Patterns beside CLDR's, by language; the others have ``WORDY`` and ``DOTTED``."""


def patterns(language: str) -> list[str]:
    """All ways to write a date in a language; CLDR's full and long pattern come first."""
    found = [*CLDR[language]["patterns"], *EXTRA.get(language, (*WORDY, *DOTTED))]
    return [pattern for pattern in dict.fromkeys(found) if pattern != "y-MM-dd"]


def pattern_split(language: str, pattern: str) -> str:
    """The split that a language's pattern belongs to; what everybody writes is for training."""
    at = patterns(language).index(pattern)
    if at < 2 or (language, pattern) == ("en", "d MMMM y"):
        return "train"
    bucket = hashlib.sha256(f"{language} {pattern}".encode()).digest()[0] % 100
    return "test" if bucket < 20 else "validation" if bucket < 30 else "train"


def is_numeric(pattern: str) -> bool:
    """Whether the month is a bare number between other bare numbers; not so in Chinese, Japanese and most of Korean."""
    return "MMM" not in pattern and not re.search("[年년]", pattern)


def month_first(pattern: str) -> bool:
    """Whether the month stands before the day, as in the United States."""
    return pattern in {"M/d/y", "MM/dd/y"}


def _day(day: int, token: str, language: str, pattern: str) -> str:
    if token == "w":
        return ORDINALS[day]
    if token == "o":
        suffix = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
        return f"{day}{suffix}"
    if day == 1 and language == "fr" and "MMM" in pattern:
        return "1er"
    return f"{day:02d}" if token == "dd" else str(day)


def write(date: datetime.date, language: str, pattern: str) -> str:
    """The date by the pattern."""
    names = CLDR[language]
    parts = []
    for match in _TOKEN.finditer(pattern):
        token = match[0]
        if match[1] is not None:
            parts.append(match[1])
        elif token[0] == "y":
            parts.append(str(date.year))
        elif token[0] in "dow":
            parts.append(_day(date.day, token, language, pattern))
        elif token[0] == "M" and len(token) > 2:
            parts.append(names["months" if len(token) > 3 else "months_short"][date.month - 1])
        elif token[0] == "M":
            parts.append(f"{date.month:02d}" if len(token) == 2 else str(date.month))
        elif token[0] == "E":
            parts.append(names["days" if len(token) > 3 else "days_short"][date.weekday()])
        else:
            parts.append(token)
    return re.sub(r"\.{2,}", ".", "".join(parts)).replace(".-", "-").replace(".,", ",")


def roughened(text: str, language: str, rng: random.Random) -> str:
    """As people type: capitals, accents left out, an abbreviation with or without its dot."""
    roll = rng.random()
    if roll < 0.05 and language != "el":
        return text.upper()
    if roll < 0.12:
        return text.lower()
    if roll < 0.16 and language not in {"ru", "uk", "el", "ja", "zh", "ko", "tr"}:
        text = text.replace("M\u00e4rz", "Maerz") if language == "de" else text
        plain = unicodedata.normalize("NFD", text)
        return "".join(mark for mark in plain if not unicodedata.combining(mark))
    if roll < 0.20:
        return re.sub(r"(?<=[^\W\d])\.(?= )", "", text)
    if roll < 0.24 and language == "en":
        return re.sub(r"\b(Jan|Feb|Apr|Aug|Sep|Sept|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b(?![.-])", r"\1.", text)
    if roll < 0.26 and language == "en":
        return re.sub(r"\bSep\b", "Sept", text)
    return text
