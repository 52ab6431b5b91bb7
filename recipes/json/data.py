"""Make the text-to-JSON data: small texts, the fields to take from them, and the JSON object that holds them.

    python recipes/json/data.py --out recipes/json/data --seed 0

Writes train.jsonl, validation.jsonl and test.jsonl, which share no kind of record, no text, no invented word and no way of asking, and
further.jsonl for further.yaml, rows of training in which mostly the words around a value tell whose it is. The answer is one line of JSON:
keys in the order asked for, values copied from the text, numbers with the digits they have there.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from expert_kit.recipe_data import run_data_script

sys.path.insert(0, str(Path(__file__).resolve().parent))

import json_prompts as prompts  # the recipe's folder is not a package
import json_values as values
from json_phrasings import AFTER, BEFORE
from json_prompts import Asked
from json_records import Entry, Field, draw, load_pool, render
from json_roles import roles
from json_values import Value

POOLS = Path(__file__).resolve().parent / "pools"
SIZES = {"train": 10_000, "further": 6_000, "validation": 200, "test": 400}
GROUP = 4
"""Training texts in a row over one beginning, which a batch then computes once."""
SHARED = 50
"""Characters before the text from which on it pays to share them."""
MAX_PROMPT = 430
"""Longest prompt in characters; longer ones are drawn again, because tokens are training time."""
LISTING_SHARE = 0.12
"""Groups over a made-up list of keys and values instead of a sentence from the pools."""
FURTHER_SHARES = (0.2, 0.15, 0.4)
"""Of the further groups: values of one kind in made-up roles, listings, records of pools/further.txt; the others are as in training."""
NULL_SHARE = 0.1
"""Groups that ask for a field the text does not tell."""

LISTING_KINDS = ("slug", "int 1 9999", "dec 0 90 1", "bool", "code ??-##", "place", "first", "word", "time", "int 0 60", "title")
LISTING_FORMS = {
    "train": ("{k}: {v}|, ", "{k}={v}| ", "{k} = {v}|\n", "{k}: {v}|\n", "{k} is {v}|, ", "{k} {v}| / ", "csv|;", "csv|,"),
    "validation": ("{k}={v}|; ",),
    "test": ("{k}: {v}|; ", "{k} -> {v}|, ", "{k}={v}|&", "csv|\t"),
}
"""How a key and its value are written, and what stands between two of them; ``csv`` is a line of keys and a line of values."""


def listing(rng: random.Random, split: str) -> Entry:
    """A record with keys that mean little, all of which the text names: nothing can be guessed, all must be copied."""
    keys: list[str] = []
    while len(keys) < rng.randint(3, 5):
        key = values.word(rng, split) if rng.random() < 0.4 else values.known(rng, split, "SETTINGS")
        keys += [key] if key not in keys else []
    form, glue = rng.choice(LISTING_FORMS[split]).split("|")
    kinds = [kind for kind in LISTING_KINDS if kind not in {"title", "place"} or glue not in " &"]
    fields = tuple(Field((key,), *rng.choice(kinds).partition(" ")[::2]) for key in keys)
    said = ["{" + field.keys[0] + ("?yes|no}" if field.kind == "bool" else "}") for field in fields]
    if form == "csv":
        return Entry("listing", fields, (glue.join(keys) + "\n" + glue.join(said),))
    return Entry("listing", fields, (glue.join(form.format(k=key, v=value) for key, value in zip(keys, said, strict=True)),))


def key_of(field: Field, rng: random.Random, style: str) -> str:
    """One of the field's keys, as ``snake_case`` or ``camelCase``."""
    key = field.keys[0] if rng.random() < 0.4 else rng.choice(field.keys)
    return re.sub(r"_(\w)", lambda match: match[1].upper(), key) if style == "camel" else key


def asked_fields(entry: Entry, text: str, rng: random.Random) -> tuple[Asked, ...]:
    """What a prompt asks for: some fields of the text, and at times one that the text does not tell."""
    told = list(entry.named(text))
    count = min(len(told), rng.choices([2, 3, 4, 5], [25, 45, 22, 8])[0])
    chosen = rng.sample(told, count)
    if rng.random() < 0.5:
        chosen = [field for field in told if field in chosen]
    silent = [field for field in entry.fields if field not in told]
    nullable: set[str] = set()
    if silent and rng.random() < NULL_SHARE / 0.6:
        extra = rng.choice(silent)
        chosen.insert(rng.randint(0, len(chosen)), extra)
        nullable = {extra.keys[0], *(field.keys[0] for field in chosen if rng.random() < 0.4)}
    elif rng.random() < 0.08:
        nullable = {rng.choice(chosen).keys[0]}
    style = "camel" if rng.random() < 0.12 else "snake"
    return tuple(Asked(key_of(field, rng, style), field, field.keys[0] in nullable) for field in chosen)


def completion(asked: tuple[Asked, ...], drawn: dict[str, Value]) -> str:
    """The answer as the model is to write it."""
    pairs = [(one.key, drawn[one.field.keys[0]].json if one.field.keys[0] in drawn else "null") for one in asked]
    return "{" + ", ".join(f'"{key}": {value}' for key, value in pairs) + "}"


def roughened(text: str, rng: random.Random, split: str) -> str:
    """As people type: no full stop; in training with some small talk."""
    if split == "train" and "\n" not in text and rng.random() < 0.15:
        return rng.choice(BEFORE) + text if rng.random() < 0.5 else text + ("" if text[-1] in ".!?" else ".") + rng.choice(AFTER)
    return text[:-1] if text.endswith(".") and rng.random() < 0.15 else text


def group(entry: Entry, rng: random.Random, split: str) -> list[dict[str, Any]]:
    """Groups that ask for the same fields in the same words; one row, unless the prompt ends with its text."""
    first = rng.choice(entry.texts)
    asked = asked_fields(entry, first, rng)
    prompt = prompts.choose(split, asked, rng)
    shared = split == "train" and prompt.index("{t}") >= SHARED
    rows = []
    for turn in range(GROUP if shared else 1):
        fitting = [text for text in entry.texts if _tells(entry, text, asked) == _tells(entry, first, asked)]
        text = rng.choice(fitting) if turn else first
        drawn = {field.keys[0]: draw(field, rng, split) for field in entry.named(text)}
        said = roughened(render(text, drawn, entry.fields), rng, split)
        row = {"prompt": prompt.replace("{t}", said), "completion": completion(asked, drawn), "kind": entry.key}
        if split != "train":
            row["schema"] = prompts.schema([(one.key, one.field, one.nullable) for one in asked])
            row["text"] = said
        rows.append(row)
    return rows


def _tells(entry: Entry, text: str, asked: tuple[Asked, ...]) -> list[bool]:
    """Which of the fields asked for a text tells."""
    return [one.field in entry.named(text) for one in asked]


def clear(row: dict[str, Any]) -> bool:
    """False for a row that a careful reader could answer in two ways: a value that stands in the text twice, or a key that does."""
    found = json.loads(row["completion"])
    numbers = [value for value in found.values() if isinstance(value, (int, float)) and not isinstance(value, bool)]
    texts = [value for value in found.values() if isinstance(value, str)]
    return len(set(numbers)) == len(numbers) and len(set(texts)) == len(texts)


def entries(rng: random.Random, split: str) -> Iterator[Entry]:
    """What the groups of a split are about, without end."""
    pool = load_pool(POOLS / f"{split}.txt")
    for turn in itertools.count(1):
        yield listing(rng, split) if rng.random() < LISTING_SHARE else pool[turn % len(pool)]


def further_entries(rng: random.Random) -> Iterator[Entry]:
    """What the further groups are about, without end."""
    known, new = load_pool(POOLS / "train.txt"), load_pool(POOLS / "further.txt")
    for turn in itertools.count(1):
        kind = rng.choices(range(4), (*FURTHER_SHARES, 1 - sum(FURTHER_SHARES)))[0]
        yield (roles(rng), listing(rng, "train"), new[turn % len(new)], rng.choice(known))[kind]


def split_rows(split: str, size: int, seed: int) -> list[dict[str, Any]]:
    """All rows of one split; deterministic for a seed."""
    rng = random.Random(f"json/{split}/{seed}")
    source, words = (further_entries(rng), "train") if split == "further" else (entries(rng, split), split)
    seen: set[str] = set()
    groups: list[list[dict[str, Any]]] = []
    count = 0
    while count < size:
        found = [row for row in group(next(source), rng, words) if len(row["prompt"]) <= MAX_PROMPT and clear(row)]
        fresh = [row for row in found if row["prompt"] not in seen][: size - count]
        seen |= {row["prompt"] for row in fresh}
        count += len(fresh)
        groups.append(fresh)
    rng.shuffle(groups)
    rows = [row for one in groups for row in one]
    return [{"id": f"json-{split}-{at:05d}", **row} for at, row in enumerate(rows)]


if __name__ == "__main__":
    run_data_script(__doc__, SIZES, split_rows)
