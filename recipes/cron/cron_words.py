"""Clock times, numbers, dates and names of days as people write them."""

from __future__ import annotations

import random
from dataclasses import dataclass

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
LARGE = {15: "fifteen", 20: "twenty", 30: "thirty"}
ORDINALS = (
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
)
MINUTE_WORDS = {
    5: "five past",
    10: "ten past",
    15: "quarter past",
    20: "twenty past",
    30: "half past",
    40: "twenty to",
    45: "quarter to",
    50: "ten to",
    55: "five to",
}
HOLIDAYS = {
    (1, 1): ("New Year's Day", "new years day"),
    (2, 14): ("Valentine's Day", "valentines day"),
    (3, 17): ("St Patrick's Day",),
    (4, 1): ("April Fools' Day", "april fools day"),
    (10, 31): ("Halloween",),
    (12, 24): ("Christmas Eve",),
    (12, 25): ("Christmas Day", "Christmas"),
    (12, 31): ("New Year's Eve", "new years eve"),
}


@dataclass(frozen=True)
class Style:
    """One writer's habits, the same throughout a prompt."""

    clock: str
    """``24`` 17:05, ``12`` 5:05 pm, ``part`` 5:05 in the afternoon, ``words`` five past five in the afternoon."""
    pad: bool
    """07:30, not 7:30."""
    suffixes: tuple[str, str]
    zeros: bool
    """5:00 pm, not 5 pm."""
    noon: bool
    """noon and midnight, not 12 pm and 0:00."""
    spelled: bool
    """five minutes, not 5 minutes."""
    short: bool
    """Mon and Jan, not Monday and January."""


def choose_style(rng: random.Random) -> Style:
    """A writer."""
    gap = rng.choice(["", " ", " "])
    suffix = rng.choice([("am", "pm"), ("am", "pm"), ("AM", "PM"), ("a.m.", "p.m.")])
    return Style(
        clock=rng.choices(["24", "12", "part", "words"], [40, 34, 12, 14])[0],
        pad=rng.random() < 0.6,
        suffixes=(gap + suffix[0], gap + suffix[1]),
        zeros=rng.random() < 0.3,
        noon=rng.random() < 0.6,
        spelled=rng.random() < 0.25,
        short=rng.random() < 0.25,
    )


def part_of_day(rng: random.Random, hour: int) -> str:
    """The words after a time of twelve hours; ``hour`` is 1 to 23."""
    if hour < 12:
        return "at night" if hour < 4 and rng.random() < 0.3 else "in the morning"
    if hour < 17:
        return "in the afternoon"
    if hour == 17:
        return rng.choice(["in the afternoon", "in the evening"])
    return "in the evening" if hour < 21 or (hour < 23 and rng.random() < 0.3) else "at night"


def twelve(hour: int) -> int:
    """The hour on a clock face."""
    return (hour + 11) % 12 + 1


def _face(rng: random.Random, hour: int, minute: int, *, words: bool) -> str | None:
    """The time as a clock face shows it, without the half of the day; None if no word fits."""
    if not words:
        return str(twelve(hour)) if minute == 0 else f"{twelve(hour)}:{minute:02d}"
    named = hour + (minute > 30)
    number = NUMBERS[twelve(named)] if rng.random() < 0.6 else str(twelve(named))
    if minute == 0:
        return number + rng.choice(["", "", " o'clock"])
    if minute not in MINUTE_WORDS or named == 12 or named % 24 == 0:
        return None
    article = "a " if minute in {15, 45} and rng.random() < 0.4 else ""
    return f"{article}{MINUTE_WORDS[minute]} {number}"


def _around_twelve(rng: random.Random, hour: int, minute: int) -> str | None:
    """Times named after noon and midnight."""
    named = (hour + (minute > 30)) % 24
    if minute not in MINUTE_WORDS or named % 12:
        return None
    return f"{MINUTE_WORDS[minute]} {'noon' if named else 'midnight'}"


def clock(rng: random.Random, style: Style, hour: int, minute: int) -> str:
    """A time of day, unmistakable on its own."""
    if minute == 0 and hour in {0, 12} and (style.noon or style.clock in {"part", "words"}):
        return "noon" if hour else "midnight"
    if style.clock == "words" and (text := _around_twelve(rng, hour, minute)):
        return text
    if style.clock in {"part", "words"} and hour not in {0, 12}:
        face = _face(rng, hour, minute, words=style.clock == "words") or _face(rng, hour, minute, words=False)
        return f"{face} {part_of_day(rng, hour)}"
    if style.clock == "24" and minute == 0 and hour > 12 and not style.pad:
        return f"{hour} o'clock" if rng.random() < 0.2 else f"{hour}:00"
    if style.clock == "24":
        return f"{hour:02d}:{minute:02d}" if style.pad else f"{hour}:{minute:02d}"
    shown = str(twelve(hour)) if minute == 0 and not style.zeros else f"{twelve(hour)}:{minute:02d}"
    return shown + style.suffixes[hour >= 12]


def bare_clock(rng: random.Random, style: Style, hour: int, minute: int) -> str:
    """A time whose half of the day is said elsewhere in the sentence; no hour around twelve."""
    face = _face(rng, hour, minute, words=style.clock == "words") or _face(rng, hour, minute, words=False)
    return str(face)


def number(style: Style, n: int) -> str:
    """A count."""
    if style.spelled and (n <= 12 or n in LARGE):
        return LARGE[n] if n > 12 else NUMBERS[n]
    return str(n)


def ordinal(style: Style, n: int) -> str:
    """3rd or third."""
    if n < len(ORDINALS) and (style.spelled or (n == 1 and style.pad)):
        return ORDINALS[n]
    ending = "th" if n // 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def day_name(style: Style, day: int) -> str:
    """Monday or Mon; Sunday is 0."""
    return DAYS[day][:3] if style.short else DAYS[day]


def month_name(style: Style, month: int) -> str:
    """January or Jan; January is 1."""
    return MONTHS[month - 1][:3] if style.short else MONTHS[month - 1]


def date(rng: random.Random, style: Style, month: int, day: int) -> str:
    """A day of the year."""
    if (month, day) in HOLIDAYS and rng.random() < 0.7:
        return rng.choice(HOLIDAYS[month, day])
    name, nth = month_name(style, month), ordinal(style, day)
    return rng.choice([f"{name} {day}", f"{name} {nth}", f"{day} {name}", f"the {nth} of {name}", f"{nth} of {name}", f"{nth} {name}"])


def listing(rng: random.Random, items: list[str]) -> str:
    """Two or three names in a row."""
    if len(items) == 2:
        return rng.choice([" and ", " and ", " and ", " & ", ", ", "/"]).join(items)
    return rng.choice([", ".join(items[:-1]) + " and " + items[-1], ", ".join(items), "/".join(items), " ".join(items)])
