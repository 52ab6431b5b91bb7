"""What the cron recipe asks for: one kind of time and one kind of day, each with its cron fields and the words that say it.

Convention: Sunday is 0, steps are written ``*/n``, a list keeps the order asked, the weekend is ``0,6``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import cron_words as words
from cron_words import Style

MINUTE_STEPS = (2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
HOUR_STEPS = (2, 3, 4, 6, 8, 12)
NTH = {
    2: ("second", "2nd", "other"),
    3: ("third", "3rd"),
    4: ("fourth", "4th"),
    6: ("sixth", "6th"),
    8: ("eighth", "8th"),
    12: ("twelfth",),
}
WEEK = (1, 2, 3, 4, 5, 6, 0)
PARTS = {"morning": range(4, 12), "afternoon": range(13, 18), "evening": range(17, 22), "night": range(21, 24)}


@dataclass(frozen=True)
class Part:
    """The time or the days of a schedule."""

    kind: str
    """A key of ``TIMES`` or ``DAYS`` in the phrasings."""
    fields: tuple[str, ...]
    """Minute and hour, or day of month, month and weekday."""
    words: dict[str, str] = field(default_factory=dict)
    """What stands at the phrasing's placeholders."""


Draw = Callable[[random.Random, Style], Part]


def minute_of(rng: random.Random) -> int:
    """Mostly a full, half or quarter hour, as people choose."""
    return rng.choices([0, 30, rng.choice([15, 45]), rng.randrange(0, 60, 5), rng.randrange(60)], [30, 14, 12, 20, 24])[0]


# ── times ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def at_clock(rng: random.Random, style: Style) -> Part:
    """One time of day."""
    hour, minute = rng.randrange(24), minute_of(rng)
    return Part("clock", (str(minute), str(hour)), {"c": words.clock(rng, style, hour, minute)})


def several_clocks(count: int) -> Draw:
    """Two or three times of day with the same minute."""

    def draw(rng: random.Random, style: Style) -> Part:
        hours = sorted(rng.sample(range(24), count))
        minute = minute_of(rng) if rng.random() < 0.4 else 0
        named = {f"c{n + 1 if n else ''}": words.clock(rng, style, hour, minute) for n, hour in enumerate(hours)}
        return Part("two_clocks" if count == 2 else "three_clocks", (str(minute), ",".join(map(str, hours))), named)

    return draw


def every_n_minutes(rng: random.Random, style: Style) -> Part:
    """A step that divides the hour."""
    step = rng.choice(MINUTE_STEPS)
    kind = f"every_{step}_minutes" if step in {15, 30} and rng.random() < 0.5 else "every_n_minutes"
    return Part(kind, (f"*/{step}", "*"), {"n": words.number(style, step)})


def hourly_at(rng: random.Random, style: Style) -> Part:
    """Once an hour, not on the hour."""
    minute = rng.randint(1, 59)
    return Part("hourly_at", (str(minute), "*"), {"m": words.number(style, minute), "mm": f"{minute:02d}"})


def hourly_words(rng: random.Random, style: Style) -> Part:
    """Once an hour, at quarter past and the like."""
    minute = rng.choice(list(words.MINUTE_WORDS))
    return Part("hourly_words", (str(minute), "*"), {"q": words.MINUTE_WORDS[minute]})


def every_n_hours(rng: random.Random, style: Style) -> Part:
    """A step that divides the day, on the hour."""
    step = rng.choice(HOUR_STEPS)
    return Part("every_n_hours", ("0", f"*/{step}"), {"n": words.number(style, step), "nth": rng.choice(NTH[step])})


def every_n_hours_at(rng: random.Random, style: Style) -> Part:
    """A step that divides the day, at some minute."""
    step, minute = rng.choice(HOUR_STEPS), rng.randint(1, 59)
    named = {"n": words.number(style, step), "nth": rng.choice(NTH[step]), "m": str(minute), "mm": f"{minute:02d}"}
    return Part("every_n_hours_at", (str(minute), f"*/{step}"), named)


def numeric(style: Style) -> Style:
    """The same writer, giving bounds of a range in figures."""
    return style if style.clock in {"12", "24"} else Style(**{**vars(style), "clock": "12" if style.short or style.zeros else "24"})


def hour_range(rng: random.Random, style: Style) -> Part:
    """On the hour within bounds, both of them included; some ranges go past midnight."""
    style = numeric(style)
    if rng.random() < 0.1:
        first, last = rng.randint(18, 23), rng.randint(1, 7)
        hours = f"{first}-23,0-{last}" if first < 23 else f"23,0-{last}"
    else:
        first, last = sorted(rng.sample(range(24), 2))
        hours = f"{first}-{last}"
    return Part("hour_range", ("0", hours), {"c": words.clock(rng, style, first, 0), "c2": words.clock(rng, style, last, 0)})


def minute_step(rng: random.Random) -> tuple[int, str]:
    """1 for every minute, and its cron field."""
    step = rng.choice((1, 5, 10, 15, 20, 30, *MINUTE_STEPS))
    return step, "*" if step == 1 else f"*/{step}"


def last_minute(rng: random.Random, step: int) -> int:
    """The last minute of the last hour, or the last run's: so it is clear whether a last full hour counts."""
    return 59 if rng.random() < 0.6 else 60 - step


def minutes_in_hours(rng: random.Random, style: Style) -> Part:
    """A step of minutes within bounds."""
    style = numeric(style)
    (first, last), (step, field_) = sorted(rng.sample(range(24), 2)), minute_step(rng)
    named = {"c": words.clock(rng, style, first, 0), "c2": words.clock(rng, style, last, last_minute(rng, step))}
    return Part("minutes_in_hours", (field_, f"{first}-{last}"), named | {"h": str(first), "h2": str(last), "n": words.number(style, step)})


def minutes_in_hour(rng: random.Random, style: Style) -> Part:
    """A step of minutes within one hour."""
    style = numeric(style)
    hour, (step, field_) = rng.choice([*range(1, 12), *range(13, 24)]), minute_step(rng)
    named = {"c": words.clock(rng, style, hour, 0), "c2": words.clock(rng, style, hour, last_minute(rng, step))}
    named["hour"] = f"{words.twelve(hour)}{style.suffixes[hour >= 12]}"
    return Part("minutes_in_hour", (field_, str(hour)), named | {"n": words.number(style, step)})


def several_minutes(count: int) -> Draw:
    """Two or three minutes of every hour."""

    def draw(rng: random.Random, style: Style) -> Part:
        minutes = sorted(rng.sample(range(0, 60, 5) if rng.random() < 0.6 else range(60), count))
        named = {}
        for n, minute in enumerate(minutes):
            named |= {f"m{n + 1 if n else ''}": str(minute), f"mm{n + 1 if n else ''}": f"{minute:02d}"}
        return Part("two_minutes" if count == 2 else "three_minutes", (",".join(map(str, minutes)), "*"), named)

    return draw


TIMES: tuple[tuple[float, Draw], ...] = (
    (46, at_clock),
    (7, several_clocks(2)),
    (3, several_clocks(3)),
    (1.5, lambda rng, style: Part("every_minute", ("*", "*"))),
    (9, every_n_minutes),
    (3, lambda rng, style: Part("hourly", ("0", "*"))),
    (4.5, hourly_at),
    (2, hourly_words),
    (5, every_n_hours),
    (3, every_n_hours_at),
    (5, hour_range),
    (6, minutes_in_hours),
    (2.5, minutes_in_hour),
    (3, several_minutes(2)),
    (1.5, several_minutes(3)),
)
"""Shares of the rows that name a time and days apart."""


# ── days ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def weekday(rng: random.Random, style: Style) -> Part:
    """One day of the week."""
    day = rng.randrange(7)
    return Part("weekday", ("*", "*", str(day)), {"w": words.day_name(style, day)})


def weekdays(rng: random.Random, style: Style) -> Part:
    """Two or three days of the week, not the weekend, in the order of the week."""
    chosen = sorted(rng.sample(range(7), rng.choice([2, 2, 3])))
    if chosen == [5, 6]:
        return weekdays(rng, style)
    plural = "s" if not style.short and rng.random() < 0.5 else ""
    days = [WEEK[n] for n in chosen]
    return Part(
        "weekdays", ("*", "*", ",".join(map(str, days))), {"w": words.listing(rng, [words.day_name(style, d) + plural for d in days])}
    )


def weekday_range(rng: random.Random, style: Style) -> Part:
    """Three to six days in a row; -1 is the Sunday before."""
    first = rng.randrange(-1, 5)
    last = rng.randint(first + 2, min(first + 5, 6))
    days = f"{WEEK[first]}-{WEEK[last]}" if last < 6 else f"{WEEK[first]}-6,0"
    return Part("weekday_range", ("*", "*", days), {"w": words.day_name(style, WEEK[first]), "w2": words.day_name(style, WEEK[last])})


ALL_BUT = ("1-6", "0,2-6", "0-1,3-6", "0-2,4-6", "0-3,5-6", "0-4,6", "0-5")


def all_but(rng: random.Random, style: Style) -> Part:
    """Six days of the week."""
    day = rng.randrange(7)
    return Part("all_but", ("*", "*", ALL_BUT[day]), {"w": words.DAYS[day]})


def month_days(count: int) -> Draw:
    """One to three days of the month."""

    def draw(rng: random.Random, style: Style) -> Part:
        days = sorted(rng.sample(range(1, 32), count)) if rng.random() < 0.85 else sorted(rng.sample([1, 10, 15, 20, 30], count))
        named = {}
        for n, day in enumerate(days):
            named |= {f"o{n + 1 if n else ''}": words.ordinal(style, day), f"d{n + 1 if n else ''}": str(day)}
        return Part(("month_day", "month_days", "three_month_days")[count - 1], (",".join(map(str, days)), "*", "*"), named)

    return draw


def month_day_range(rng: random.Random, style: Style) -> Part:
    """Days of the month in a row."""
    if rng.random() < 0.3:
        count = rng.randint(2, 12)
        return Part("first_days", (f"1-{count}", "*", "*"), {"n": words.number(style, count)})
    first, last = sorted(rng.sample(range(1, 32), 2))
    named = {"o": words.ordinal(style, first), "o2": words.ordinal(style, last), "d": str(first), "d2": str(last)}
    return Part("month_day_range", (f"{first}-{last}", "*", "*"), named)


def year_day(rng: random.Random, style: Style) -> Part:
    """One day of the year."""
    month = rng.randint(1, 12)
    day = rng.randint(1, words.MONTH_DAYS[month - 1])
    if rng.random() < 0.12:
        month, day = rng.choice(list(words.HOLIDAYS))
    return Part("year_day", (str(day), str(month), "*"), {"date": words.date(rng, style, month, day)})


def month(rng: random.Random, style: Style) -> Part:
    """Every day of one month."""
    number = rng.randint(1, 12)
    return Part("month", ("*", str(number), "*"), {"M": words.month_name(style, number)})


def two_months(kind: str) -> Draw:
    """Every day of two months or of a range of months, or the same day of two months."""

    def draw(rng: random.Random, style: Style) -> Part:
        first, last = sorted(rng.sample(range(1, 13), 2))
        if kind == "month_range" and last == first + 1:
            return draw(rng, style)
        named = {"M": words.month_name(style, first), "M2": words.month_name(style, last)}
        joined = f"{first}-{last}" if kind == "month_range" else f"{first},{last}"
        day = rng.choice([1, 1, 15, rng.randint(1, 28)]) if kind == "day_of_months" else None
        return Part(kind, (str(day or "*"), joined, "*"), named | ({"o": words.ordinal(style, day)} if day else {}))

    return draw


def weekday_in_month(rng: random.Random, style: Style) -> Part:
    """One day of the week, or the working days, of one month."""
    number, day = rng.randint(1, 12), rng.randrange(7)
    named = {"M": words.month_name(style, number), "w": words.day_name(style, day)}
    if rng.random() < 0.25:
        return Part("workdays_in_month", ("*", str(number), "1-5"), named)
    return Part("weekday_in_month", ("*", str(number), str(day)), named)


DAYS: tuple[tuple[float, Draw], ...] = (
    (24, lambda rng, style: Part("daily", ("*", "*", "*"))),
    (15, weekday),
    (8, weekdays),
    (6, weekday_range),
    (8, lambda rng, style: Part("workdays", ("*", "*", "1-5"))),
    (5, lambda rng, style: Part("weekend", ("*", "*", "0,6"))),
    (3, all_but),
    (7, month_days(1)),
    (3.5, month_days(2)),
    (1.5, month_days(3)),
    (3, month_day_range),
    (7, year_day),
    (4, month),
    (1.5, two_months("months")),
    (2.5, two_months("month_range")),
    (2, two_months("day_of_months")),
    (3, weekday_in_month),
    (1.2, lambda rng, style: Part("quarter", ("1", "1,4,7,10", "*"))),
)


def part_of_day(rng: random.Random, style: Style, *, weekday: bool) -> Part:
    """A time whose half of the day is said by its part of the day, every day or on one day of the week."""
    name = rng.choice(list(PARTS))
    hour, minute = rng.choice(PARTS[name]), minute_of(rng)
    if minute > 30 and hour in {11, 23}:
        minute = 0
    day = rng.randrange(7) if weekday else None
    named = {"part": name, "b": words.bare_clock(rng, style, hour, minute)}
    if day is not None:
        named["w"] = words.DAYS[day]
    return Part("weekday_part" if weekday else "daypart", (str(minute), str(hour), "*", "*", "*" if day is None else str(day)), named)
