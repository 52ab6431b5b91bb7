"""Write the data of the cron recipe: plain-language schedules, and the five-field cron expression of each.

    python recipes/cron/data.py --out recipes/cron/data --seed 0

The expression is drawn first and then put into words. The splits are apart by source: an expression belongs to one split only, but for the
few plain intervals and full hours that every day has; and each held-out prompt says its schedule in words that training never uses.
further.jsonl is for further.yaml: rows of the training's sources, with more of what the first training leaves wrong. wordings.jsonl is for
wordings.yaml: rows of the same sources, mostly in the further words of ``cron_wordings``.
"""

from __future__ import annotations

import hashlib
import random
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from expert_kit.recipe_data import run_data_script

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cron_phrasings as ph  # the recipe's folder is not a package
import cron_schedules as schedules
import cron_wordings as wordings
from cron_schedules import Part
from cron_words import Style, choose_style

SIZES = {"train": 8_000, "further": 9_000, "wordings": 2_400, "validation": 200, "test": 400}
CAPS = {"train": 60, "further": 60, "wordings": 60, "validation": 2, "test": 2}
"""How many rows may have the same expression."""
SINGLE = {"clock"}
"""Kinds of time that come once a day, so that "once a week" may be said of their days."""
OFTEN_WRONG = {"hour_range", "minutes_in_hours", "all_but", "month_day_range", "first_days", "weekday_range", "month_range"}
"""Kinds of which ``further`` has more."""
KEPT = 0.45
"""Share of other schedules that ``further`` keeps, unless they have times in words."""
NEW_IN_WORDINGS = OFTEN_WRONG | {"hourly_at", "every_n_hours_at", "every_minute", "two_minutes", "three_minutes", "minutes_in_hour"}
"""Kinds of which ``wordings`` has more."""
_COUNTED = re.compile(r"\b(?:once|twice|one time|two times|three times|four times|weekly|monthly|yearly|annually|quarterly|daily)\b")


@dataclass(frozen=True)
class Row:
    """A prompt and its expression."""

    prompt: str
    expression: str
    kind: str
    phrasing: tuple[str, ...]
    """The frame, and the phrases of the time and the days, with their placeholders."""


# ── splits ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def closed(expression: str) -> bool:
    """True for the few schedules that are too common and too few to be held out: every day, and no minute of one hour chosen."""
    minute, hour, *days = expression.split()
    return (
        days == ["*", "*", "*"] and (hour == "*" or hour.startswith("*/") or minute == "0") and "," not in hour + minute and "-" not in hour
    )


SHARES = {"train": 0.88, "validation": 0.04, "test": 0.08}
"""Of all expressions."""


def sources(split: str) -> str:
    """The split whose expressions and words it has."""
    return "train" if split in {"further", "wordings"} else split


def split_of(expression: str) -> str:
    """Where an expression belongs, decided by itself alone."""
    bucket = int.from_bytes(hashlib.sha256(expression.encode()).digest()[:4], "big") / 2**32
    return "test" if bucket < SHARES["test"] else "validation" if bucket < SHARES["test"] + SHARES["validation"] else "train"


def belongs(rng: random.Random, expression: str, split: str) -> bool:
    """Whether a drawn expression may be used; closed ones are as frequent in every split as they were drawn."""
    source = sources(split)
    return rng.random() < SHARES[source] if closed(expression) else split_of(expression) == source


# ── prompts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Chooser:
    """Picks phrases: in training only training's, elsewhere more often the others."""

    def __init__(self, rng: random.Random, *, held: bool, wide: bool = False) -> None:
        self.rng = rng
        self.held = held
        self.wide = wide
        """Whether the phrases of ``cron_wordings`` are among training's."""
        self.phrases: list[str] = []
        self.unseen = 0

    def known(self, table: dict[str, ph.Pair], kind: str) -> ph.Pair:
        """The phrases of a kind."""
        if self.wide and kind in wordings.PHRASES and self.rng.random() < wordings.SHARE:
            return wordings.PHRASES[kind], ()
        return table[kind]

    def pick(self, pair: ph.Pair, *, counts: bool = True, without: re.Pattern[str] | None = None) -> str:
        """A phrase; ``without`` names phrases that do not fit here; ``counts`` if it is part of the schedule's words."""
        use_held = self.held and self.rng.random() < 0.6
        fitting = [phrase for phrase in pair[use_held] if not (without and without.search(phrase))] or list(pair[0])
        phrase = self.rng.choice(fitting)
        self.phrases.append(phrase)
        self.unseen += counts and phrase in pair[1]
        return phrase


def time_text(choose: Chooser, part: Part) -> str:
    """The words of the time."""
    named = dict(part.words)
    if part.kind in {"minutes_in_hours", "minutes_in_hour"}:
        step = "every_minute" if part.fields[0] == "*" else "every_n_minutes"
        named["every"] = choose.pick(choose.known(ph.TIMES, step), counts=False).format(**named)
    return choose.pick(choose.known(ph.TIMES, part.kind)).format(**named)


def core_text(choose: Chooser, time: Part, days: Part) -> str:
    """The words of the whole schedule."""
    said = time_text(choose, time)
    silent = 0.06 if time.kind in SINGLE else 0.6
    if days.kind == "daily" and choose.rng.random() < silent:
        return said
    without = None if time.kind in SINGLE else _COUNTED
    name = "".join(days.words.get(key, "") for key in ("w", "w2"))
    pair = choose.known(ph.DAYS, days.kind)
    if days.kind in {"weekday", "all_but", "weekday_in_month"} and name not in schedules.words.DAYS:  # no "on Mons"
        pair = tuple(tuple(phrase for phrase in side if "{w}s" not in phrase) for side in pair)
    day = choose.pick(pair, without=without).format(**days.words)
    joined = choose.pick(ph.ORDERS, counts=False).format(day=day, time=said)
    return re.sub(r"(?<=\d) (?=\d)", ", ", joined)  # "March 3, 17:00", not "March 3 17:00"


def joined_text(choose: Chooser, part: Part) -> str:
    """The words of a schedule whose part of the day tells the half of the day."""
    return choose.pick(ph.WEEKDAY_PARTS if part.kind == "weekday_part" else ph.DAYPARTS).format(**part.words)


def upper_first(text: str) -> str:
    """A capital at the start."""
    return text[:1].upper() + text[1:]


def framed(choose: Chooser, core: str) -> str:
    """The schedule inside a request."""
    if choose.rng.random() < 0.12:
        return core
    frame = choose.pick(ph.FRAMES, counts=False)
    if re.search(r'(?:for|"|:) ?\{core\}', frame) and choose.rng.random() < 0.8:
        core = re.sub("^(?:at|on|@) ", "", core)
    task, thing = choose.pick(ph.TASKS, counts=False), choose.pick(ph.THINGS, counts=False)
    text = frame.replace("{do}", task).replace("{Do}", upper_first(task)).replace("{the}", thing).replace("{The}", upper_first(thing))
    return text.replace("{core}", core).replace("{Core}", upper_first(core)).replace("..", ".").replace(".?", "?")


def roughened(rng: random.Random, text: str) -> str:
    """As people type: small letters, no full stop, two letters swapped."""
    if rng.random() < 0.2:
        text = text.lower()
    if rng.random() < 0.04:
        long = [match for match in re.finditer(r"[a-z]{6,}", text)]
        if long:
            match = rng.choice(long)
            at = rng.randrange(match.start() + 1, match.end() - 2)
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text.rstrip(".?") if rng.random() < 0.15 else text


def drawn(rng: random.Random, style: Style) -> tuple[Part, Part | None]:
    """A schedule: a time and its days, or both in one."""
    kind = rng.random()
    if kind < 0.09:
        return schedules.part_of_day(rng, style, weekday=kind < 0.03), None
    time, days = (rng.choices([draw for _, draw in table], [share for share, _ in table])[0] for table in (schedules.TIMES, schedules.DAYS))
    return time(rng, style), days(rng, style)


def wanted(rng: random.Random, style: Style, time: Part, days: Part | None, split: str) -> bool:
    """Whether a drawn schedule is one that the split takes."""
    kinds = {time.kind, days.kind if days else ""}
    if split == "wordings":
        return bool(kinds & NEW_IN_WORDINGS) or rng.random() < KEPT
    return split != "further" or style.clock == "words" or bool(kinds & OFTEN_WRONG) or rng.random() < KEPT


def ask(rng: random.Random, time: Part, days: Part | None, split: str) -> Row | None:
    """One prompt for the schedule; None if a held-out one came out in words of training only."""
    held = sources(split) != "train"
    choose = Chooser(rng, held=held, wide=split == "wordings")
    core = core_text(choose, time, days) if days else joined_text(choose, time)
    prompt = roughened(rng, framed(choose, core))
    if held and not choose.unseen:
        return None
    fields = time.fields + days.fields if days else time.fields
    return Row(prompt, " ".join(fields), f"{time.kind}+{days.kind}" if days else time.kind, tuple(choose.phrases))


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def questions(split: str, count: int, seed: int) -> list[Row]:
    """The rows of one split; no prompt twice."""
    rng = random.Random(f"cron/{split}/{seed}")
    found: list[Row] = []
    prompts: set[str] = set()
    uses: Counter[str] = Counter()
    while len(found) < count:
        style = choose_style(rng)
        time, days = drawn(rng, style)
        expression = " ".join(time.fields + days.fields if days else time.fields)
        if uses[expression] >= CAPS[split] or not belongs(rng, expression, split) or not wanted(rng, style, time, days, split):
            continue
        row = ask(rng, time, days, split)
        if row and row.prompt.lower() not in prompts:
            prompts.add(row.prompt.lower())
            uses[expression] += 1
            found.append(row)
    return found


def rows(split: str, count: int, seed: int) -> list[dict[str, str]]:
    """All rows of a split, as JSON takes them."""
    return [
        {"id": f"cron-{split}-{number:05d}", "prompt": row.prompt, "completion": row.expression, "kind": row.kind}
        for number, row in enumerate(questions(split, count, seed))
    ]


if __name__ == "__main__":
    run_data_script(__doc__, SIZES, rows)
