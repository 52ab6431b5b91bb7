"""How the json recipe asks: ways to write the fields down, and ways to put them and the text into one prompt.

Training, validation and test have prompts of their own; some ways to write the fields are kept for the held-out splits.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from json_phrasings import BLOCK, ENDINGS, INLINE, INTROS, NULL_NOTES, OPENERS, REQUESTS
from json_records import Field


@dataclass(frozen=True)
class Asked:
    """A field as the prompt names it."""

    key: str
    field: Field
    nullable: bool


Fields = Sequence[Asked]

WORDS = {
    "string": ("string", "string", "text", "str"),
    "integer": ("integer", "integer", "int", "whole number"),
    "number": ("number", "number", "float"),
    "boolean": ("boolean", "boolean", "bool", "true/false"),
    "array": ("list of {}s", "array of {}s", "{}[]", "array"),
}


def schema(fields: Sequence[tuple[str, Field, bool]]) -> dict[str, object]:
    """The JSON Schema of an object with these keys (key, field, nullable), and no others."""
    return {
        "type": "object",
        "properties": {key: field.schema(nullable=nullable) for key, field, nullable in fields},
        "required": [key for key, _, _ in fields],
        "additionalProperties": False,
    }


def as_schema(fields: Fields, rng: random.Random) -> str:
    """JSON Schema, at times without the words that a small one can do without."""
    found = schema([(asked.key, asked.field, asked.nullable) for asked in fields])
    if rng.random() < 0.75:
        del found["additionalProperties"]
    if rng.random() < 0.15:
        del found["required"]
    return json.dumps(found, ensure_ascii=False, separators=(",", ":") if rng.random() < 0.65 else None)


def _words(rng: random.Random) -> dict[str, str]:
    return {name: rng.choice(words) for name, words in WORDS.items()}


def _type(asked: Asked, words: dict[str, str], glue: str) -> str:
    field = asked.field
    if field.options:
        *some, last = field.options
        text = "|".join(field.options) if glue == " | " else f"{', '.join(some)} or {last}"
    elif field.type == "array":
        text = words["array"].format(words["integer" if field.kind == "intlist" else "string"].replace("whole number", "integer"))
    else:
        text = words[field.type]
    return text + (f"{glue}null" if asked.nullable else "")


def _joined(parts: list[str], rng: random.Random) -> str:
    return ", ".join(parts[:-1]) + rng.choice([", ", " and ", " and "]) + parts[-1] if len(parts) > 1 else parts[0]


def as_typed(fields: Fields, rng: random.Random) -> str:
    """``name (string), age (integer)``."""
    words = _words(rng)
    return _joined([f"{asked.key} ({_type(asked, words, ' or ')})" for asked in fields], rng)


def as_needed(fields: Fields, rng: random.Random) -> str:
    """A type only where the value does not show it."""
    words = _words(rng)
    shown = [asked.nullable or not asked.field.plain or (asked.field.type != "string" and rng.random() < 0.3) for asked in fields]
    return _joined([a.key + (f" ({_type(a, words, ' or ')})" if typed else "") for a, typed in zip(fields, shown, strict=True)], rng)


def as_bullets(fields: Fields, rng: random.Random) -> str:
    """One line a field."""
    words, form = _words(rng), rng.choice(["- {} ({})", "- {}: {}", "* {} ({})", "{}: {}"])
    return "\n".join(form.format(asked.key, _type(asked, words, " or ")) for asked in fields)


def as_interface(fields: Fields, rng: random.Random) -> str:
    """``{ name: string; age: number }``, in the words of TypeScript or nearly so."""
    words = {name: choices[0] for name, choices in WORDS.items()} | {"array": "{}[]"}
    glue = rng.choice(["; ", ", "])
    return "{ " + glue.join(f"{asked.key}: {_type(asked, words, ' | ')}" for asked in fields) + " }"


def as_template(fields: Fields, rng: random.Random) -> str:
    """An object to fill in; what cannot be told from an empty value is said in words."""
    empty = {"string": '""', "integer": "0", "number": rng.choice(["0", "0.0"]), "boolean": "false", "array": "[]"}
    words = _words(rng)
    parts = []
    for asked in fields:
        value = f'"{_type(asked, words, " | ")}"' if asked.field.options else empty[asked.field.type]
        parts.append(f'"{asked.key}": {value}')
    return "{" + ", ".join(parts) + "}"


def as_numbered(fields: Fields, rng: random.Random) -> str:
    """``1. name, string``; kept for the held-out splits."""
    words, form = _words(rng), rng.choice(["{}. {} ({})", "{}) {}: {}"])
    return "\n".join(form.format(at, asked.key, _type(asked, words, " or ")) for at, asked in enumerate(fields, start=1))


def as_quoted(fields: Fields, rng: random.Random) -> str:
    """``"name" (string)``; kept for the held-out splits."""
    words, quote = _words(rng), rng.choice(["`", '"'])
    return _joined([f"{quote}{asked.key}{quote} ({_type(asked, words, ' or ')})" for asked in fields], rng)


def as_typed_template(fields: Fields, rng: random.Random) -> str:
    """``{"name": string, "age": integer}``; kept for the held-out splits."""
    words = {name: choices[0] for name, choices in WORDS.items()}
    brackets = rng.choice(["{}", "<{}>"])
    return "{" + ", ".join(f'"{asked.key}": {brackets.format(_type(asked, words, " | "))}' for asked in fields) + "}"


def as_bare(fields: Fields, rng: random.Random) -> str:
    """The keys alone, for a prompt that says more elsewhere."""
    return _joined([asked.key for asked in fields], rng)


def as_notes(fields: Fields, rng: random.Random) -> str:
    """``age is an integer, active is a boolean``: of what the value does not show, at least."""
    words = _words(rng)
    told = [asked for asked in fields if asked.nullable or not asked.field.plain or (asked.field.type != "string" and rng.random() < 0.3)]
    parts = []
    for asked in told or [rng.choice(list(fields))]:
        what = _type(asked, words, " or ")
        article = "one of" if asked.field.options else "an" if what[0] in "aio" else "a"
        parts.append(f"{asked.key} {rng.choice(['is', 'is', '='])} {article} {what}".replace("= a ", "= ").replace("= an ", "= "))
    return _joined(parts, rng)


Writer = Callable[[Fields, random.Random], str]
INLINE_WRITERS: dict[str, tuple[tuple[int, Writer], ...]] = {
    "train": ((3, as_typed), (4, as_needed)),
    "held": ((2, as_typed), (3, as_needed), (2, as_quoted)),
}
BLOCK_WRITERS: dict[str, tuple[tuple[int, Writer], ...]] = {
    "train": ((5, as_schema), (2, as_bullets), (2, as_interface), (2, as_template)),
    "held": ((5, as_schema), (1, as_bullets), (1, as_interface), (1, as_template), (1, as_numbered), (1, as_typed_template)),
}
"""Weight and function."""
LISTS = (as_bullets, as_numbered)
"""What needs lines of its own."""


def combined(rng: random.Random) -> str:
    """A prompt of training, put together from parts; ``{b}`` stands for bare keys and ``{n}`` for notes on their types."""
    request = rng.choice(OPENERS) + rng.choice(REQUESTS)
    if rng.random() < 0.6:
        request = request[0].upper() + request[1:]
    text, ending, gap, told = rng.choice(INTROS), rng.choice(ENDINGS), rng.choice(["\n\n", "\n\n", "\n", "\n---\n"]), ""
    if rng.random() < 0.3:
        request = request.replace("{s}", "{b}")
        told = rng.choice([" {n}", "\n{n}"] if request.endswith("?") else [". {n}", " ({n})", "\n{n}"])
    if rng.random() < 0.4:
        return text + gap + request + told + ending
    if told and rng.random() < 0.4:
        text, told = text + rng.choice(["\n\n({n})", "\n{n}", " {n}"]), ""
    mark = "" if told or request[-1] in "?)" else rng.choice([".", ":", ""])
    return request + told + mark + gap + text + ending


def choose(split: str, fields: Fields, rng: random.Random) -> str:
    """A prompt about the fields, with ``{t}`` for the text."""
    kind = rng.random()
    writers = "train" if split == "train" else "held"
    if split == "train" and kind < 0.35:
        wrapper, choices = combined(rng), INLINE_WRITERS[writers]
    else:
        inline = kind < 0.6
        wrapper = rng.choice((INLINE if inline else BLOCK)[split])
        choices = (INLINE_WRITERS if inline else BLOCK_WRITERS)[writers]
    if not re.search(r"(^|\n)\{s\}(\n|$)", wrapper):
        choices = tuple((weight, writer) for weight, writer in choices if writer not in LISTS)
    weights, functions = zip(*choices, strict=True)
    writer: Writer = rng.choices(functions, weights)[0]
    prompt = wrapper.replace("{s}", writer(fields, rng)).replace("{b}", as_bare(fields, rng)).replace("{n}", as_notes(fields, rng))
    if any(asked.nullable for asked in fields) and (writer is as_template or rng.random() < 0.6):
        note = rng.choice(NULL_NOTES[split])
        prompt = f"{note} {prompt}" if rng.random() < 0.5 else f"{note}\n{prompt}"
    return prompt
