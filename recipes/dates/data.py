"""Make the data of the dates recipe: dates in 23 languages, and the same dates in ISO 8601.

    python recipes/dates/data.py --out recipes/dates/data --seed 0

Writes train.jsonl, validation.jsonl and test.jsonl. The three splits share no way of asking and no date, and some ways to write a date
in a language are kept for the held-out splits. Names and patterns are CLDR's (cldr.json, Unicode licence). Every prompt has one answer:
where day and month could be mixed up, the language or the prompt says which is which.
"""

from __future__ import annotations

import datetime
import hashlib
import random
import re
import sys
from collections import defaultdict
from pathlib import Path

from expert_kit.recipe_data import run_data_script

sys.path.insert(0, str(Path(__file__).resolve().parent))

import date_formats as formats  # the recipe's folder is not a package

SIZES = {"train": 8_000, "validation": 200, "test": 400}
ENGLISH_SHARE = 0.28
"""Absolute dates written in English; the other languages share the rest evenly."""
RELATIVE_SHARE = {"train": 0.17, "validation": 0.1, "test": 0.1}
"""Rows that give a day and ask for one near it."""
HELD_PATTERN_SHARE = 0.45
"""Held-out rows whose pattern is in no training row."""
MARKS = {"": "train", "~": "validation", "*": "test"}
NUMBER_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven"]

OPENERS = (
    "hi, ",
    "Hello! ",
    "hey, ",
    "ok so ",
    "quick question: ",
    "Hi there. ",
    "please: ",
    "One more: ",
    "next: ",
    "Sorry to bother you. ",
)

Phrasings = dict[tuple[str, str], list[str]]
"""(mark, split) -> lines."""


def load_phrasings(path: Path) -> tuple[dict[str, Phrasings], dict[str, str]]:
    """The lines of the phrasings file by language, and the English names of the languages."""
    found: dict[str, Phrasings] = {}
    names: dict[str, str] = {}
    code = ""
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith("= "):
            code, name = line.removeprefix("= ").split()
            names[code] = name
            found[code] = defaultdict(list)
        elif line and not line.startswith("#"):
            mark, _, text = line.partition(": ")
            found[code][mark.rstrip("~*"), MARKS[mark[-1] if mark[-1] in "~*" else ""]].append(text)
    return found, names


PHRASINGS, LANGUAGE_NAMES = load_phrasings(Path(__file__).resolve().parent / "phrasings.txt")


def date_split(date: datetime.date) -> str:
    """The split that a date belongs to, as an answer."""
    bucket = hashlib.sha256(date.isoformat().encode()).digest()[0] % 100
    return "test" if bucket < 10 else "validation" if bucket < 15 else "train"


def some_date(rng: random.Random, split: str) -> datetime.date:
    """A date whose split this is, most often of the last decades."""
    while True:
        first, last = (1990, 2035) if rng.random() < 0.7 else (1900, 2060)
        day = datetime.date(first, 1, 1) + datetime.timedelta(rng.randrange((last - first + 1) * 365))
        if date_split(day) == split:
            return day


def phrase(language: str, mark: str, split: str, rng: random.Random) -> str:
    """A line of the language and the split; words for days are the same in all splits."""
    lines = PHRASINGS[language]
    return rng.choice(lines[mark, "train"] if mark[0] in "wi" else lines[mark, split])


def choose_pattern(language: str, split: str, rng: random.Random) -> str:
    """A way to write a date that the split may use."""
    by_split = defaultdict(list)
    for pattern in formats.patterns(language):
        by_split[formats.pattern_split(language, pattern)].append(pattern)
    held = by_split[split] if split != "train" and rng.random() < HELD_PATTERN_SHARE else []
    if not held and rng.random() < 0.25:
        return rng.choice(by_split["train"][:2])
    return rng.choice(held or by_split["train"])


def asked(said: str, language: str, split: str, rng: random.Random) -> str:
    """A prompt in the language: a request, or a sentence with the date and then the request."""
    if rng.random() < 0.6:
        return phrase(language, "a", split, rng).replace("{d}", said)
    sentence = phrase(language, "s", split, rng).replace("{d}", said)
    tail = phrase("en" if rng.random() < 0.15 else language, "t", split, rng)
    return joined(sentence, tail, language, rng)


def joined(sentence: str, tail: str, language: str, rng: random.Random) -> str:
    """A sentence and the question about it, in either order."""
    roll = rng.random()
    if roll < 0.15 and language not in {"ja", "zh"}:
        return f'{tail} "{sentence.rstrip(".")}"'
    if roll < 0.25:
        return f"{tail}\n\n{sentence}"
    if roll < 0.4:
        return f"{sentence}\n{tail}"
    if sentence[-1] not in ".\u3002?!":
        sentence += "\u3002" if language in {"ja", "zh"} else "."
    return sentence + ("" if language in {"ja", "zh"} and rng.random() < 0.7 else " ") + tail


def absolute(split: str, rng: random.Random) -> dict[str, str]:
    """A row about a date that is written out."""
    language = "en" if rng.random() < ENGLISH_SHARE else rng.choice([code for code in PHRASINGS if code != "en"])
    pattern, date = choose_pattern(language, split, rng), some_date(rng, split)
    said = formats.roughened(formats.write(date, language, pattern), language, rng)
    if language == "en":
        unclear = formats.is_numeric(pattern) and pattern[0] != "y" and date.day <= 12
        if unclear or (formats.is_numeric(pattern) and pattern[0] != "y" and rng.random() < 0.4):
            told = phrase("en", "m" if formats.month_first(pattern) else "y", split, rng).replace("{d}", said)
            prompt = phrase("en", "a", split, rng).replace('"{d}"', "{d}").replace("'{d}'", "{d}").replace("{d}", told)
        else:
            prompt = asked(said, "en", split, rng)
    elif rng.random() < 0.62:
        prompt = asked(said, language, split, rng)
    elif rng.random() < 0.5 or formats.is_numeric(pattern):
        name = LANGUAGE_NAMES[language]
        prompt = phrase("en", "x", split, rng).replace("{l}", name).replace("{d}", said)
        prompt = re.sub(rf"\b([Aa]) {name}", rf"\1n {name}", prompt) if name[0] in "IE" else prompt
    else:
        prompt = phrase("en", "a", split, rng).replace("{d}", said)
    return {"prompt": prompt, "completion": date.isoformat(), "kind": "absolute", "language": language, "pattern": pattern}


def day_words(language: str, rng: random.Random) -> tuple[int, str]:
    """How many days on, and the words for it."""
    roll = rng.random()
    if roll < 0.55:
        days = rng.choice([1, -1])
    elif roll < 0.78:
        days = rng.choice([2, -2])
    elif roll < 0.81 and language == "en":
        days = 0
    else:
        days = rng.randint(2, 7) * rng.choice([1, -1])
        if PHRASINGS[language]["i+", "train"]:
            number = NUMBER_WORDS[abs(days)] if language == "en" and rng.random() < 0.2 else str(abs(days))
            return days, phrase(language, "i+" if days > 0 else "i-", "train", rng).replace("{n}", number)
        days = rng.choice([1, -1])
    return days, phrase(language, f"w{days:+d}", "train", rng)


RELATIVE = [code for code, lines in PHRASINGS.items() if lines["w+1", "train"]]


def relative(split: str, rng: random.Random) -> dict[str, str]:
    """A row that gives a day and asks for one near it."""
    language = "en" if rng.random() < 0.4 else rng.choice([code for code in RELATIVE if code != "en"])
    days, words = day_words(language, rng)
    answer = some_date(rng, split)
    given = answer - datetime.timedelta(days)
    pattern = rng.choice(["y-MM-dd", "y-MM-dd", *formats.patterns(language)[:2]])
    said = formats.write(given, language, pattern)
    day = phrase(language, "n", split, rng).replace("{d}", said)
    question = phrase(language, "f" if days >= 0 else "p", split, rng).replace("{w}", words)
    question = question[0].upper() + question[1:] if rng.random() < 0.6 else question
    prompt = day + rng.choice([" ", " ", " ", "\n"]) + question
    return {"prompt": prompt, "completion": answer.isoformat(), "kind": "relative", "language": language, "pattern": pattern}


def roughened(prompt: str, rng: random.Random) -> str:
    """As people type: no mark at the end, a small letter at the beginning."""
    prompt = re.sub(r"(?<!\.)\.\.(?!\.)", ".", prompt)
    if rng.random() < 0.12:
        prompt = prompt.rstrip(".?\u3002\uff1f")
    if rng.random() < 0.08 and prompt[1:2].islower():
        prompt = prompt[0].lower() + prompt[1:]
    return prompt


def split_rows(split: str, size: int, seed: int) -> list[dict[str, str]]:
    """All rows of one split; deterministic for a seed."""
    rng = random.Random(f"dates/{split}/{seed}")
    rows: list[dict[str, str]] = []
    seen: set[str] = set()
    relatives = round(size * RELATIVE_SHARE[split])
    while len(rows) < size:
        row = (relative if len(rows) < relatives else absolute)(split, rng)
        opener = rng.choice(OPENERS) if split == "train" and row["language"] == "en" and rng.random() < 0.15 else ""
        row["prompt"] = opener + roughened(row["prompt"], rng)
        key = re.sub(r"\W+", " ", row["prompt"]).casefold()
        if key not in seen:
            seen.add(key)
            rows.append(row)
    rng.shuffle(rows)
    return [{"id": f"dates-{split}-{at:05d}", **row} for at, row in enumerate(rows)]


if __name__ == "__main__":
    run_data_script(__doc__, SIZES, split_rows)
