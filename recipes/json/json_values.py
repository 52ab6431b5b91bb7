"""Values for the records of the json recipe: half of them invented, so that a model has to copy them.

A word belongs to one split only, by its hash.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def _words(path: Path) -> dict[str, list[str]]:
    """Lists of words: ``= NAME``, then lines of words."""
    found: dict[str, list[str]] = {}
    for paragraph in path.read_text(encoding="utf-8").split("= ")[1:]:
        name, *words = paragraph.split()
        found[name] = words
    return found


WORDS = _words(Path(__file__).resolve().parent / "pools" / "words.txt")
CODAS = ["", "", "", "n", "r", "l", "s", "m", "nd", "rt", "ck", "lm", "x"]
PLACE_ENDS = ["ton", "ville", "stad", "berg", "ford", "mouth", "haven", "field", "by", "ia", "o", "a", ""]
COMPANY_ENDS = [
    "Foods",
    "Motors",
    "Labs",
    "Bank",
    "Studio",
    "Works",
    "Press",
    "Energy",
    "Textiles",
    "Group",
    "Hall",
    "& Sons",
    "House",
    "Farm",
]
STREETS = ["Street", "Road", "Lane", "Avenue", "Square", "Way"]
DOMAINS = ["example", "example.org", "example.com", "example.net"]
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Value:
    """A value, as the text says it and as JSON holds it."""

    said: str
    """In the text."""
    json: str
    """JSON source; numbers keep the digits of the text."""
    plain: object = None
    """For options and truth values: which one."""


def split_of(word: str) -> str:
    """The split that an invented word belongs to."""
    bucket = hashlib.sha256(word.lower().encode()).digest()[0] % 10
    return "test" if bucket < 2 else "validation" if bucket < 3 else "train"


def word(rng: random.Random, split: str, *, least: int = 1, end: str = "") -> str:
    """A word that no other split uses."""
    while True:
        parts = [
            rng.choice(WORDS["ONSETS"]) + rng.choice(WORDS["VOWELS"]) + rng.choice(CODAS) for _ in range(rng.randint(least, least + 1))
        ]
        made = "".join(parts) + end
        if 4 <= len(made) <= 11 and split_of(made) == split:
            return made


def known(rng: random.Random, split: str, name: str) -> str:
    """A word of a list, but only one that belongs to the split."""
    while True:
        found = rng.choice(WORDS[name])
        if split_of(found) == split:
            return found


def first(rng: random.Random, split: str) -> str:
    """A first name, common or invented."""
    if rng.random() < 0.55:
        return known(rng, split, "FIRST_NAMES")
    return word(rng, split, end=rng.choice(["", "a", "o", "n", "e"])).capitalize()


def person(rng: random.Random, split: str) -> str:
    """First and last name."""
    if rng.random() < 0.5:
        return f"{first(rng, split)} {known(rng, split, 'LAST_NAMES')}"
    return f"{first(rng, split)} {word(rng, split, end=rng.choice(['', 'sen', 'man', 'ez', 'ov', ''])).capitalize()}"


def place(rng: random.Random, split: str) -> str:
    """A town or country, real or invented."""
    if rng.random() < 0.45:
        return known(rng, split, "PLACES")
    name = word(rng, split, end=rng.choice(PLACE_ENDS)).capitalize()
    return f"{rng.choice(['New', 'Port', 'San', 'Upper', 'Lake'])} {name}" if rng.random() < 0.15 else name


def title(rng: random.Random, split: str) -> str:
    """A title of two to four words, often with an invented one."""
    while True:
        adjective, noun, other, made = (
            rng.choice(WORDS["ADJECTIVES"]),
            rng.choice(WORDS["NOUNS"]),
            rng.choice(WORDS["NOUNS"]),
            word(rng, split),
        )
        found = rng.choice(
            (
                f"{adjective} {made}".capitalize(),
                f"{made} {noun}".title(),
                f"{noun} of ".capitalize() + made.capitalize(),
                f"{adjective} {made} {noun}".title(),
                f"{adjective} {noun}".title(),
                f"{adjective} {noun}".capitalize(),
                f"{noun.capitalize()} of the {adjective.capitalize()} {other.capitalize()}",
                f"{noun} and {other}".capitalize(),
            )
        )
        if split_of(found) == split:
            return found


def company(rng: random.Random, split: str) -> str:
    """A firm."""
    return f"{word(rng, split).capitalize()} {rng.choice(COMPANY_ENDS)}"


def slug(rng: random.Random, split: str) -> str:
    """A user or service name."""
    made = word(rng, split)
    return rng.choice(
        [f"{made}-{rng.choice(WORDS['NOUNS'])}", f"{made}_{rng.randint(1, 99)}", f"{rng.choice(WORDS['NOUNS'])}.{made}", made]
    )


def email(rng: random.Random, split: str) -> str:
    """A mail address at a reserved domain."""
    user = rng.choice([word(rng, split), f"{word(rng, split)}.{word(rng, split)}", f"{word(rng, split)}{rng.randint(1, 99)}"])
    return f"{user}@{word(rng, split)}.{rng.choice(DOMAINS)}"


def code(rng: random.Random, pattern: str) -> str:
    """``#`` becomes a digit, ``?`` a capital."""
    return "".join(
        rng.choice("123456789") if mark == "#" and at == 0 else rng.choice("0123456789") if mark == "#" else mark
        for at, mark in enumerate("".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") if c == "?" else c for c in pattern))
    )


def clock(rng: random.Random, kind: str) -> str:
    """A time of the day, or how long a run took."""
    minutes = f"{rng.randrange(60):02d}"
    if kind == "time":
        return f"{rng.randint(0, 23) if rng.random() < 0.5 else rng.randint(7, 21)}:{rng.choice(['00', '15', '30', '45', minutes])}"
    hours = f"{rng.randint(1, 5)}:" if rng.random() < 0.3 else ""
    return f"{hours}{minutes if hours else str(rng.randint(12, 59))}:{rng.randrange(60):02d}"


NAMES: dict[str, Callable[[random.Random, str], str]] = {
    "person": person,
    "first": first,
    "place": place,
    "title": title,
    "company": company,
    "slug": slug,
    "email": email,
    "word": word,
    "brand": lambda rng, split: word(rng, split).capitalize(),
    "teamname": lambda rng, split: rng.choice(["{} United", "FC {}", "{}", "{} Rovers"]).format(place(rng, split)),
    "doctor": lambda rng, split: f"Dr. {word(rng, split).capitalize()}",
    "street": lambda rng, split: f"{word(rng, split).capitalize()} {rng.choice(STREETS)} {rng.randint(1, 180)}",
    "phone": lambda rng, _: code(rng, rng.choice(["555-####", "0## ######", "+99 ### ####", "(555) ###-####"])),
    "time": lambda rng, _: clock(rng, "time"),
    "clock": lambda rng, _: clock(rng, "clock"),
    "isodate": lambda rng, _: f"{rng.randint(1990, 2035)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
}
"""Kinds whose value is a text that stands in the prompt as it is."""


def number(rng: random.Random, kind: str, low: int, high: int, digits: int) -> Value:
    """A number of kind ``count``, ``int``, ``big``, ``year``, ``money`` or ``dec``."""
    if kind == "money":
        text = f"{rng.randint(low, high)}{rng.choice(['', f'.{rng.randrange(100):02d}', f'.{rng.randrange(10)}0', '.99'])}"
        return Value(text, text)
    if kind == "dec":
        text = f"{rng.uniform(low, high):.{digits}f}"
        text = text.removeprefix("-") if float(text) == 0 else text
        return Value(text, text)
    value = round(10 ** rng.uniform(math.log10(low), math.log10(high))) if kind == "big" else rng.randint(low, high)
    if kind == "count" and value <= 12 and rng.random() < 0.25:
        return Value(NUMBER_WORDS[value], str(value))
    return Value(f"{value:,}" if kind == "big" and rng.random() < 0.25 else str(value), str(value))
