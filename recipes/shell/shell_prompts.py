"""The prompts of the shell recipe: a task in words of its split, with values for its placeholders."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import shell_phrasings as ph
from shell_lines import Line
from shell_slots import Slot

PLACEHOLDERS = 0.3
"""Share of the prompts that give no values though the line takes some."""
NAMED = {True: 0.85, False: 0.3}
"""How often a prompt names the program, by whether the task makes little sense without it."""
TOOLS = frozenset(
    ph.words(
        "git docker pip npm cargo apt dnf pacman snap brew dpkg tmux screen vim nano mysql psql sqlite3 ufw jq ffmpeg "
        "python make gcc systemctl journalctl crontab rsync scp htop tree watch zgrep bc tar zip unzip gzip bzip2 xz "
        "awk sed curl wget last iostat at top "
    )
)
"""Programs whose tasks are about themselves ("list all packages", "start a session")."""


NO_REQUEST = re.compile(r"(?:what|which|how|who|where|is)\b|git: ")


def _one_of(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_REWORDED = re.compile(rf"(?:(?<=^)|(?<= and )|(?<=, ))(?P<verb>{_one_of(ph.VERBS)})\b|\b(?P<word>{_one_of(ph.WORDS)})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """A prompt and its command line."""

    prompt: str
    code: str
    line: Line
    unseen: int
    """Phrases in the prompt that training never uses."""
    filled: bool
    """Whether the command line has values of this prompt's."""


class Chooser:
    """Picks phrases: in training only training's, elsewhere more often the others."""

    def __init__(self, rng: random.Random, *, held: bool) -> None:
        self.rng, self.held = rng, held
        self.unseen = 0

    def pick(self, pair: ph.Pair, often: float) -> str:
        """A phrase; a held-out one ``often`` where they are allowed."""
        held = self.held and bool(pair[1]) and self.rng.random() < often
        self.unseen += held
        return self.rng.choice(pair[held])

    def reworded(self, task: str) -> str:
        """The task with other words for some of its words."""

        def other(match: re.Match[str]) -> str:
            if self.rng.random() < (0.25 if self.held else 0.45):
                return match[0]
            said = self.pick((ph.VERBS if match["verb"] else ph.WORDS)[match[0].lower()], 0.75)
            return said[0].upper() + said[1:] if match[0][0].isupper() else said

        return re.sub(
            r"\b([Aa]) (?=[aeiou](?!ni|se))", r"\1n ", re.sub(r"\b([Aa])n (?![aeiouhAEIOUHXRSFM])", r"\1 ", _REWORDED.sub(other, task))
        )


def with_values(choose: Chooser, task: str, values: Sequence[tuple[Slot, str]]) -> str:
    """The task with each value at its noun, or at the end if it has none."""
    if "{0}" in task:
        return task.format(*(value for _, value in values))
    loose: list[str] = []
    holes: dict[str, str] = {}
    for number, (slot, value) in enumerate(values):
        noun = slot.noun()
        match = noun.search(task) if noun else None
        if match is None:
            loose.append(value)
            continue
        named = choose.rng.random() < 0.5 or slot.kind in {"port", "user", "group", "branch", "tag", "remote", "pid", "count"}
        holes[f"\x00{number}\x00"] = f"{match['noun'] if match['noun'].islower() else 'the ' + match['noun']} {value}" if named else value
        task = f"{task[: match.start()]}\x00{number}\x00{task[match.end() :]}"
    if loose:
        task = choose.pick(ph.GIVEN, 0.5).format(q=task, v=choose.rng.choice((" and ", ", ", " ")).join(loose))
    return re.sub("\x00\\d+\x00", lambda match: holes[match[0]], task)


def lower_first(text: str) -> str:
    """A small letter at the start, unless a name in capitals stands there."""
    return text if text[:2].isupper() else text[0].lower() + text[1:]


def upper_first(text: str) -> str:
    """A capital at the start."""
    return text[0].upper() + text[1:]


def ask(rng: random.Random, line: Line, *, held: bool) -> Row:
    """One prompt for the line."""
    choose = Chooser(rng, held=held)
    slots = [piece for piece in line.code if isinstance(piece, Slot)]
    fitting = bool(slots) and len(slots) <= 3 and all(slot.values(held=held) for slot in slots)
    given: list[str] = []
    if fitting and ("{0}" in line.task or rng.random() >= PLACEHOLDERS):
        for slot in slots:
            given.append(rng.choice([value for value in slot.values(held=held) if value not in given]))
    values = iter(given)
    code = "".join(piece if isinstance(piece, str) else next(values, piece.shown) for piece in line.code)
    task = choose.reworded(line.task)
    task = with_values(choose, task, list(zip(slots, given, strict=True))) if given else task
    tool = line.page.split()[0]
    named = NO_REQUEST.match(line.task) or re.search(rf"\b{re.escape(tool)}\b", task, re.IGNORECASE)
    if not named and rng.random() < NAMED[tool in TOOLS]:
        task = upper_first(choose.pick(ph.TOOLS, 0.4).format(q=lower_first(task), t=tool))
    frame = choose.pick(ph.BARE if NO_REQUEST.match(line.task) else ph.FRAMES, 0.7)
    small = lower_first(task)
    prompt = frame.replace("{Q}", task).replace("{q}", small)
    if rng.random() < 0.12:
        prompt = prompt.rstrip("?.") if given else prompt.rstrip("?.").lower()
    return Row(prompt, code, line, choose.unseen, bool(given))
