"""Records of the json recipe: pools of fields and texts, and what a drawn record says.

A pool file holds paragraphs: ``= name``, one line a field (``key|other key: kind``), one line a text (``- ...``).
Kinds are those of ``json_values.NAMES``, ``bool``, ``year``, and with arguments: ``count``, ``int``, ``big``, ``money``, ``intlist`` (low,
high), ``dec`` (low, high, decimals), ``code`` and ``digits`` (a pattern), ``pick`` and ``enum`` (options), ``brandname`` (nouns), ``list``
(options, or a kind as in ``@first``).
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

import json_values as values
from json_values import Value

_PLACEHOLDER = re.compile(r"\{(\w+)(?:\?([^{}|]*)\|([^{}|]*)|=([^{}]*))?\}")
TYPES = {"count": "integer", "int": "integer", "big": "integer", "year": "integer", "money": "number", "dec": "number", "bool": "boolean"}


@dataclass(frozen=True)
class Field:
    """One field of a record."""

    keys: tuple[str, ...]
    """The first names it in the texts; any may be the key in the JSON."""
    kind: str
    arguments: str

    @property
    def type(self) -> str:
        """The JSON type; ``list`` and ``intlist`` are arrays, ``enum`` is a string."""
        return TYPES.get(self.kind, "array" if self.kind.endswith("list") else "string")

    @property
    def options(self) -> tuple[str, ...]:
        """What an enum allows."""
        return tuple(self.arguments.split("|")) if self.kind == "enum" else ()

    @property
    def plain(self) -> bool:
        """Whether anyone guesses the type from the value, so that a prompt need not tell it."""
        return self.kind not in {"bool", "enum", "digits", "intlist", "list", "phone"} and not (
            self.kind == "code" and "?" not in self.arguments
        )

    def schema(self, *, nullable: bool = False) -> dict[str, object]:
        """The field's JSON Schema."""
        if self.options:
            return {"enum": [*self.options, *([None] if nullable else [])]}
        found: dict[str, object] = {"type": [self.type, "null"] if nullable else self.type}
        if self.type == "array":
            found["items"] = {"type": "integer" if self.kind == "intlist" else "string"}
        return found


@dataclass(frozen=True)
class Entry:
    """A paragraph of a pool."""

    key: str
    fields: tuple[Field, ...]
    texts: tuple[str, ...]

    def named(self, text: str) -> tuple[Field, ...]:
        """The fields that a text tells."""
        found = {match[1] for match in _PLACEHOLDER.finditer(text)}
        return tuple(field for field in self.fields if field.keys[0] in found)


def load_pool(path: Path) -> list[Entry]:
    """All paragraphs of a pool file; a text that names an unknown field is an error."""
    entries = []
    for paragraph in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
        lines = [line for line in paragraph.strip().split("\n") if line and not line.startswith("#")]
        if not lines:
            continue
        fields = [_field(line) for line in lines[1:] if not line.startswith("- ")]
        texts = tuple(line[2:] for line in lines[1:] if line.startswith("- "))
        known = {field.keys[0] for field in fields}
        for name in (match[1] for text in texts for match in _PLACEHOLDER.finditer(text)):
            if name not in known:
                raise ValueError(f"{path}: {lines[0]}: no field {name!r}")
        entries.append(Entry(lines[0].removeprefix("= "), tuple(fields), texts))
    return entries


def _field(line: str) -> Field:
    keys, _, kind = line.partition(": ")
    kind, _, arguments = kind.partition(" ")
    return Field(tuple(keys.split("|")), kind, arguments)


def draw(field: Field, rng: random.Random, split: str) -> Value:
    """A value of the field."""
    kind, arguments = field.kind, field.arguments
    if kind in values.NAMES:
        return _text(values.NAMES[kind](rng, split))
    if kind in {"code", "digits"}:
        return _text(values.code(rng, arguments))
    if kind in {"pick", "enum"}:
        return _text(rng.choice(arguments.split("|")))
    if kind == "brandname":
        return _text(f"{values.word(rng, split).capitalize()} {rng.choice(arguments.split('|'))}")
    if kind == "bool":
        truth = rng.random() < 0.5
        return Value(str(truth).lower(), str(truth).lower(), truth)
    if kind == "year":
        return values.number(rng, kind, 1850 if rng.random() < 0.2 else 1950, 2024, 0)
    if field.type == "array":
        return _list(field, rng, split)
    low, high, *digits = (int(part) for part in arguments.split())
    return values.number(rng, kind, low, high, digits[0] if digits else 0)


def _text(text: str) -> Value:
    return Value(text, json.dumps(text, ensure_ascii=False), text)


def _list(field: Field, rng: random.Random, split: str) -> Value:
    count = rng.choice([2, 3, 3, 4])
    if field.kind == "intlist":
        low, high = map(int, field.arguments.split())
        items = [str(rng.randint(low, high)) for _ in range(count)]
        source = items
    else:
        if field.arguments.startswith("@"):
            items = list(dict.fromkeys(values.NAMES[field.arguments[1:]](rng, split) for _ in range(count)))
        else:
            items = rng.sample(field.arguments.split("|"), count)
        source = [json.dumps(item, ensure_ascii=False) for item in items]
    glue = rng.choice([" and ", " and ", ", and ", ", "]) if len(items) > 2 else " and "
    said = glue.join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else items[0]
    return Value(said, f"[{', '.join(source)}]")


def render(text: str, drawn: dict[str, Value], fields: tuple[Field, ...]) -> str:
    """The text with the values in it."""
    options = {field.keys[0]: field.options for field in fields}

    def said(match: re.Match[str]) -> str:
        name, yes, no, cases = match.groups()
        value = drawn[name]
        if yes is not None:
            return yes if value.plain else no
        if cases == "art":
            return ("an " if value.said[0] in "aeiou" else "a ") + value.said
        if cases is not None:
            return cases.split("|")[options[name].index(str(value.plain))]
        return value.said

    return re.sub(r" {2,}", " ", _PLACEHOLDER.sub(said, text)).strip()
