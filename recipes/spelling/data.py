"""Write the data of the spelling recipe: requests to correct a sentence with up to three misspelt words, and the sentence.

    python recipes/spelling/data.py --out recipes/spelling/data --seed 0

Needs codespell (pip install codespell), whose dictionary gives the misspellings. The splits are apart by source: a misspelling, a sentence
frame and an instruction belong to one split only, and what is misspelt in the hand-written tests is in none. Some training rows have
misspellings of our own making too, so that words are covered that the dictionary does not have.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from expert_kit.recipe_data import run_data_script

sys.path.insert(0, str(Path(__file__).resolve().parent))

import spelling_mistakes as mistakes  # the recipe's folder is not a package
from spelling_frames import FRAMES, INSTRUCTIONS
from spelling_words import SLOTS

HERE = Path(__file__).resolve().parent
SIZES = {"train": 7_000, "validation": 200, "test": 400}
SHARES = {"train": 0.82, "validation": 0.05, "test": 0.13}
"""Of the misspellings of the dictionary."""
COUNTS = {0: 0.14, 1: 0.38, 2: 0.32, 3: 0.16}
"""Misspelt words in a sentence -> share of the rows."""
SENTENCE_CAPS = {"train": 40, "validation": 2, "test": 3}
"""How many rows may be about the same sentence; only frames without slots come near it."""
MISTAKE_CAPS = {"train": 10_000, "validation": 5, "test": 5}
"""How many rows may have the same misspelling."""
MADE_UP = 0.3
"""How often a word in training is offered a misspelling of our own."""
TOKEN = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Row:
    """A request and its answer."""

    prompt: str
    sentence: str
    """The right one."""
    swaps: tuple[tuple[str, str], ...]
    """Misspelling and word, in small letters, in the order of the sentence."""
    frame: str
    instruction: str


def split_of(wrong: str) -> str:
    """Where a misspelling of the dictionary belongs, decided by itself alone."""
    bucket = int.from_bytes(hashlib.sha256(wrong.encode()).digest()[:4], "big") / 2**32
    return "test" if bucket < SHARES["test"] else "validation" if bucket < SHARES["test"] + SHARES["validation"] else "train"


def words_of(text: str) -> list[str]:
    """The words of a text as they stand in it."""
    return TOKEN.findall(text)


def hand_written_mistakes() -> set[str]:
    """Words of the hand-written prompts that are not in their answers, in small letters: no split may have them as misspellings."""
    found: set[str] = set()
    for name in ("handwritten.jsonl", "handwritten_dev.jsonl"):
        for line in (HERE / name).read_text(encoding="utf-8").split("\n"):
            if line:
                row = json.loads(line)
                found |= {word.lower() for word in words_of(row["prompt"])} - {word.lower() for word in words_of(row["completion"])}
    return found


class Speller:
    """The misspellings that each split may use."""

    def __init__(self, entries: Mapping[str, list[str]]) -> None:
        frames = (frame for side in FRAMES.values() for frame in side)
        listed = (word for side in SLOTS.values() for word in side)
        self.vocabulary = {word for text in (*frames, *listed) for word in words_of(_SLOT.sub(" ", text))}
        self.near = mistakes.Neighbours([*self.vocabulary, *mistakes.CONTRACTIONS], known=entries)
        self.entries = entries

    @cached_property
    def by_split(self) -> dict[str, dict[str, list[str]]]:
        """Split -> word in small letters -> misspellings."""
        barred = hand_written_mistakes()
        found: dict[str, dict[str, list[str]]] = {split: {} for split in SIZES}
        for word, wrongs in mistakes.of_dictionary(self.entries, self.vocabulary, self.near).items():
            for wrong in wrongs:
                known = found[split_of(wrong)].setdefault(word.lower(), [])
                if wrong not in barred and wrong not in known:
                    known.append(wrong)
        return found

    @cached_property
    def held(self) -> set[str]:
        """Misspellings that training must not make up."""
        listed = {wrong for split in ("validation", "test") for wrongs in self.by_split[split].values() for wrong in wrongs}
        return listed | hand_written_mistakes()


def filled(rng: random.Random, frame: str, preferred: Mapping[str, object]) -> str:
    """The frame with words in its slots, half of them preferred ones and no word twice, and a capital at its start."""
    used: set[str] = set()

    def draw(match: re.Match[str]) -> str:
        words = [word for word in SLOTS[match[1]] if word not in used]
        liked = [word for word in words if word.lower() in preferred]
        word = rng.choice(liked if liked and rng.random() < 0.5 else words)
        used.add(word)
        return word

    text = _SLOT.sub(draw, frame)
    text = re.sub(r"\b([Aa]) (?=[aeiou]|hono|hones)(?!uni|usef|one\b|euro)", r"\1n ", text)
    return text[0].upper() + text[1:]


class Misspeller:
    """Misspells sentences of one split, the least used misspellings first."""

    def __init__(self, rng: random.Random, speller: Speller, split: str) -> None:
        self.rng, self.speller, self.split = rng, speller, split
        self.uses: Counter[str] = Counter()

    def candidates(self, word: str) -> list[str]:
        """What the word may become, in small letters."""
        listed = self.speller.by_split[self.split].get(word.lower(), ())
        found = [wrong for wrong in listed if self.uses[wrong] < MISTAKE_CAPS[self.split]]
        if self.split == "train" and (not found or self.rng.random() < MADE_UP):
            wrong = mistakes.made_up(self.rng, word, self.speller.near)
            if wrong and wrong not in self.speller.held and (found or self.rng.random() < MADE_UP):
                return [wrong]
        return found

    def misspell(self, sentence: str, count: int) -> tuple[str, tuple[tuple[str, str], ...]] | None:
        """The sentence with ``count`` misspelt words, and these; None if it has too few words for that."""
        options = []
        for match in TOKEN.finditer(sentence):
            found = self.candidates(match[0])
            if found:
                wrong = min(found, key=lambda form: (self.uses[form], self.rng.random()))
                options.append((self.uses[wrong], self.rng.random(), match, wrong))
        if len(options) < count:
            return None
        chosen = sorted((option[2:] for option in sorted(options, key=lambda option: option[:2])[:count]), key=lambda pair: pair[0].start())
        for match, wrong in reversed(chosen):
            shown = wrong[0].upper() + wrong[1:] if match[0][0].isupper() else wrong
            sentence = sentence[: match.start()] + shown + sentence[match.end() :]
        self.uses.update(wrong for _, wrong in chosen)
        return sentence, tuple((wrong, match[0].lower()) for match, wrong in chosen)


def ask(rng: random.Random, misspeller: Misspeller, split: str) -> Row | None:
    """One request; None if the drawn sentence has too few words to misspell."""
    frame, instruction = rng.choice(FRAMES[split]), rng.choice(INSTRUCTIONS[split])
    sentence = filled(rng, frame, {} if split == "train" else misspeller.speller.by_split[split])
    spelled = misspeller.misspell(sentence, rng.choices(list(COUNTS), list(COUNTS.values()))[0])
    if spelled is None:
        return None
    shown, swaps = spelled
    if rng.random() < 0.15:  # as in a chat
        shown, sentence = (text[0].lower() + text[1:].rstrip(".") if text[1] != "'" else text for text in (shown, sentence))
    return Row(instruction.replace("{s}", shown), sentence, swaps, frame, instruction)


def questions(speller: Speller, split: str, count: int, seed: int) -> list[Row]:
    """The rows of one split; no prompt twice."""
    rng = random.Random(f"spelling/{split}/{seed}")
    misspeller = Misspeller(rng, speller, split)
    found: list[Row] = []
    prompts: set[str] = set()
    uses: Counter[str] = Counter()
    while len(found) < count:
        row = ask(rng, misspeller, split)
        if row and row.prompt.lower() not in prompts and uses[row.sentence.lower()] < SENTENCE_CAPS[split]:
            prompts.add(row.prompt.lower())
            uses[row.sentence.lower()] += 1
            found.append(row)
    return found


def rows(speller: Speller, split: str, count: int, seed: int) -> list[dict[str, str]]:
    """All rows of a split, as JSON takes them."""
    return [
        {
            "id": f"spelling-{split}-{number:05d}",
            "prompt": row.prompt,
            "completion": row.sentence,
            "kind": f"{len(row.swaps)} misspelt",
            "misspelt": " ".join(wrong for wrong, _ in row.swaps),
        }
        for number, row in enumerate(questions(speller, split, count, seed))
    ]


@cache
def installed_speller() -> Speller:
    """The speller of the installed dictionary.

    Raises:
        MissingDictionaryError: codespell is not installed.
    """
    return Speller(mistakes.dictionary_entries(mistakes.dictionary_file().read_text(encoding="utf-8")))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the three files."""
    try:
        run_data_script(__doc__, SIZES, lambda split, count, seed: rows(installed_speller(), split, count, seed), arguments)
    except mistakes.MissingDictionaryError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
