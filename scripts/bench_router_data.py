"""Data sets of the router benchmark: labelled prompts as experts with examples, and the ways prompts are disturbed."""

from __future__ import annotations

import csv
import hashlib
import json
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

Rows = list[tuple[str, str]]
LETTERS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
PREAMBLES = (
    "Hi! I hope you are doing great today and that this is not a bad moment. I really appreciate your patience and your kindness, "
    "you have always been so helpful to me. When you have a second, and only if you do not mind, I would like to ask the following.",
    "excuse me please i do not want to take too much of your valuable time but i have a small question that has been on my mind "
    "for a while and i would be so very thankful if you could be so kind as to answer it for me",
    "Greetings and many thanks in advance for your support, it means a great deal to me and my family. I would like to begin by "
    "saying how much I value your service; it has been wonderful from the very first day. With that said, my humble request is this:",
)


@dataclass(frozen=True)
class Task:
    """Fit on ``train``, calibrate on ``held``, measure on ``test``; ``none`` holds prompts that nobody covers."""

    train: Rows
    held: Rows
    test: Rows
    none: tuple[str, ...] = ()


def clinc(folder: Path, examples: int, seed: int, half: int, gone: frozenset[str] = frozenset(), test_file: Path | None = None) -> Task:
    """CLINC150 with so many examples an intent; ``half`` of ``val`` calibrates, the other is measured."""
    data = json.loads((folder / "clinc150" / "clinc150_dev.json").read_text(encoding="utf-8"))
    by_label: dict[str, list[str]] = {}
    for text, label in data["train"]:
        by_label.setdefault(label, []).append(text)
    draw = random.Random(seed)
    train = [(text, label) for label in sorted(by_label) for text in draw.sample(by_label[label], examples) if label not in gone]
    held = [(text, label) for at, (text, label) in enumerate(data["val"]) if at % 2 == half and label not in gone]
    rest = [(text, label) for at, (text, label) in enumerate(data["val"]) if at % 2 != half]
    none = tuple(text for split in ("oos_train", "oos_val") for text, _ in data[split])
    if test_file is not None:
        other = json.loads(test_file.read_text(encoding="utf-8"))
        rest, none = [tuple(row) for row in other["test"]], tuple(text for text, _ in other["oos_test"])
    if gone:
        none = tuple(text for text, label in rest if label in gone)
    return Task(train, held, [row for row in rest if row[1] not in gone], none)


def clinc_labels(folder: Path) -> list[str]:
    """All intents."""
    data = json.loads((folder / "clinc150" / "clinc150_dev.json").read_text(encoding="utf-8"))
    return sorted({label for _, label in data["train"]})


def banking(folder: Path) -> Task:
    """BANKING77; about 15 % of ``train`` calibrate, by a hash of the text."""
    rows = {}
    for name in ("train", "test"):
        with (folder / "banking77" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            rows[name] = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    kept = [int(hashlib.sha256(text.encode()).hexdigest(), 16) % 20 < 3 for text, _ in rows["train"]]
    train = [row for row, held in zip(rows["train"], kept, strict=True) if not held]
    return Task(train, [row for row, held in zip(rows["train"], kept, strict=True) if held], rows["test"])


def nlupp(folder: Path) -> tuple[list[tuple[str, list[str]]], ...]:
    """NLU++, both domains: folds 0-15, 16-17 and 18-19 as (text, intents)."""
    parts: tuple[list[tuple[str, list[str]]], ...] = ([], [], [])
    for domain in ("banking", "hotels"):
        for fold in range(20):
            place = 0 if fold < 16 else 1 if fold < 18 else 2
            for row in json.loads((folder / "nlupp" / domain / f"fold{fold}.json").read_text(encoding="utf-8")):
                parts[place].append((row["text"], row.get("intents", [])))
    return parts


def with_preamble(text: str, at: int) -> str:
    """The prompt after some 45 polite words."""
    return f"{PREAMBLES[at % len(PREAMBLES)]} {text}"


def with_two_typos(text: str, draw: random.Random) -> str:
    """What ``typo_acc`` measures."""
    return with_typos(text, draw, 2)


def with_typos(text: str, draw: random.Random, slips: int) -> str:
    """Slips at random letters: swapped, lost, doubled by a neighbour on the keyboard, or replaced by one."""
    for _ in range(slips):
        places = [at for at, letter in enumerate(text[:-1]) if letter.isalpha() and text[at + 1].isalpha()]
        if not places:
            return text
        at = draw.choice(places)
        row = next((row for row in LETTERS if text[at].lower() in row), "etaoin")
        other = draw.choice(row)
        forms = (text[at + 1] + text[at], text[at + 1], other + text[at : at + 2], other + text[at + 1])
        text = text[:at] + draw.choice(forms) + text[at + 2 :]
    return text


class Stuffer:
    """Appends three words that are typical of another label."""

    def __init__(self, train: Rows, common: int = 15) -> None:
        """Rank each label's words by how many of its examples have them and how few other labels do."""
        own: dict[str, Counter[str]] = {}
        for text, label in train:
            own.setdefault(label, Counter()).update(set(re.findall(r"[a-z']+", text.lower())))
        spread = Counter(word for words in own.values() for word in words)
        self.words = {
            label: [word for word, _ in sorted(words.items(), key=lambda item: (-item[1] / spread[item[0]], item[0]))[:common]]
            for label, words in sorted(own.items())
        }

    def __call__(self, text: str, label: str, draw: random.Random) -> str:
        """The prompt with three words of another label behind it."""
        other = draw.choice([name for name in self.words if name != label])
        return f"{text} {' '.join(draw.sample(self.words[other], min(3, len(self.words[other]))))}"
