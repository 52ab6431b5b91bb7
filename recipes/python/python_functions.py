"""The functions of the python recipe: composed of parts and shapes, and single ones; each with signature, docstring and code."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from python_inputs import OF_CONDITION
from python_parts import SOURCES, Change, Condition, Source
from python_shapes import SHAPES, Shape
from python_words import clause, plural_clause, singular

HERE = Path(__file__).resolve().parent
SHARES = {"test": 0.12, "validation": 0.04}
"""Of the families; all others are for training."""
_NOUNS = {"vowel": "vowels", "digit": "digits"}
"""Words of conditions that are nouns themselves."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function."""

    name: str
    inputs: str
    """A key of ``python_inputs.KINDS``."""
    hint: str = ""


@dataclass(frozen=True)
class Function:
    """A function to be written."""

    family: str
    name: str
    parameters: tuple[Parameter, ...]
    doc: str
    body: str
    result: str
    """Type hint of the result; may be empty."""

    @property
    def source(self) -> str:
        """The function without hints and docstring."""
        return f"{self.signature(hints=False)}\n" + indented(self.body)

    def signature(self, *, hints: bool) -> str:
        """Its first line."""
        shown = [f"{one.name}: {one.hint}" if hints and one.hint else one.name for one in self.parameters]
        return f"def {self.name}({', '.join(shown)})" + (f" -> {self.result}:" if hints and self.result else ":")


def indented(text: str) -> str:
    """Four spaces before each line."""
    return "\n".join("    " + line for line in text.split("\n"))


HELD_SINGLES = {
    "test": frozenset(
        "lcm running_sum to_snake_case pad_left argmin percentage grade starts_and_ends union row_sums minutes_to_hours countdown "  # noqa: SIM905
        "repeat_string last_items key_of_max count_matches absolute_difference shortest_word".split()
    ),
    "validation": frozenset(("average_value", "hamming_distance", "perimeter", "differences", "from_binary")),
}


def split_of(family: str) -> str:
    """Where a family belongs, decided by its name alone."""
    if family.startswith("single "):
        return next((split for split, names in HELD_SINGLES.items() if family.removeprefix("single ") in names), "train")
    bucket = int.from_bytes(hashlib.sha256(family.encode()).digest()[:4], "big") / 2**32
    return "test" if bucket < SHARES["test"] else "validation" if bucket < sum(SHARES.values()) else "train"


# ── composed functions ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

Family = tuple[str, Callable[[random.Random, bool], Function]]
"""Name, and what draws one of its functions; True for words that training does not use."""


def composed() -> Iterator[Family]:
    """All families that shapes make of sources, conditions and changes."""
    for source in SOURCES:
        for shape in SHAPES:
            if shape.only and source.key not in shape.only.split():
                continue
            conditions: Sequence[Condition | None] = source.conditions if "c" in shape.needs else (None,)
            changes: Sequence[Change | None] = source.changes if "m" in shape.needs else (None,)
            if shape.key in {"sum_map", "sum_map_if"}:
                changes = [change for change in source.changes if change.gives == "number"]
            if shape.key in {"map_if", "sum_map_if"}:  # a choice of the many pairs
                conditions = source.conditions[::3]
            for condition in conditions:
                for change in changes:
                    parts = [source.key, shape.key, condition.key if condition else "", change.key if change else ""]
                    yield " ".join(filter(None, parts)), _drawing(" ".join(filter(None, parts)), source, shape, condition, change)


def _drawing(
    family: str, source: Source, shape: Shape, condition: Condition | None, change: Change | None
) -> Callable[[random.Random, bool], Function]:
    return lambda rng, held: _Composer(rng, held).function(family, source, shape, condition, change)


@dataclass
class _Composer:
    rng: random.Random
    held: bool

    def pick(self, pair: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
        return self.rng.choice(pair[1] if pair[1] and self.held and self.rng.random() < 0.4 else pair[0])

    def function(self, family: str, source: Source, shape: Shape, condition: Condition | None, change: Change | None) -> Function:
        name = self.rng.choice(source.names)
        parameters = [Parameter(name, source.inputs, source.hint)]
        words = {"p": name, "item": source.noun, "nouns": source.noun + "s", "place": self.pick(source.place).format(p=name)}
        code = {"items": source.items.format(p=name), "p": name}
        keys = {"c": "", "m": "", "s": source.noun + "s"}
        if condition is not None:
            constant, parameter = self._constant(condition, name)
            parameters += [parameter] if parameter else []
            words |= self._condition_words(source, condition, constant)
            code |= {"P": condition.code.format(k=constant), "Q": condition.opposite.format(k=constant)}
            keys["c"] = condition.key
        if change is not None:
            words |= {"of": self.pick(change.of), "its": change.its, "its0": change.its.removeprefix("its ")}
            code["M"] = change.code
            keys["m"] = change.key
        docs = tuple(line.strip() for line in shape.train.split("\n")), tuple(line.strip() for line in shape.held.split("\n"))
        doc = re.sub(r" ,|,,", ",", self.pick(docs).format(**words)).replace(",.", ".").replace(",;", ";")
        named = self.rng.choice(shape.names.split("|")).format(**keys)
        return Function(family, named, tuple(parameters), doc, shape.code.format(**code), shape.hint)

    def _constant(self, condition: Condition, taken: str) -> tuple[str, Parameter | None]:
        if not condition.constants:
            return "", None
        free = [name for name in condition.parameters if name not in {taken, "x", "i", "k"}]
        if free and self.rng.random() < 0.45:
            name = self.rng.choice(free)
            inputs = "char" if condition.key == "equal" and "char" in condition.parameters else OF_CONDITION[condition.key]
            return name, Parameter(name, inputs, "int" if inputs in {"bound", "divisor", "digit", "length"} else "str")
        return self.rng.choice(condition.constants), None

    def _condition_words(self, source: Source, condition: Condition, constant: str) -> dict[str, str]:
        options = [(word, True) for word in condition.before[0]] + [(word, False) for word in condition.after[0]]
        unseen = [(word, True) for word in condition.before[1]] + [(word, False) for word in condition.after[1]]
        word, before = self.rng.choice(unseen if unseen and self.held and self.rng.random() < 0.4 else options)
        word = word.format(k=constant)
        if not before:
            one = singular(word)
            return {
                "NP": f"{source.noun}s {word}",
                "np": f"{source.noun} {one}",
                "a_np": f"a {source.noun} {one}",
                "IS": clause(word),
                "ARE": plural_clause(word),
            }
        if word in _NOUNS:
            return {"NP": _NOUNS[word], "np": word, "a_np": f"a {word}", "IS": f"is a {word}", "ARE": f"are {_NOUNS[word]}"}
        article = "an" if word[0] in "aeiou" else "a"
        article = "an" if word.startswith("upper") else article
        noun = source.noun
        return {
            "NP": f"{word} {noun}s",
            "np": f"{word} {noun}",
            "a_np": f"{article} {word} {noun}",
            "IS": f"is {word}",
            "ARE": f"are {word}",
        }


# ── single functions ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Single:
    """A function that is no combination of parts."""

    names: tuple[str, ...]
    parameters: tuple[tuple[tuple[str, ...], str], ...]
    train: tuple[str, ...]
    held: tuple[str, ...]
    body: str

    def draw(self, rng: random.Random, held: bool) -> Function:
        """The function with names and a docstring."""
        chosen: list[str] = []
        for names, _ in self.parameters:
            chosen.append(rng.choice([name for name in names if name not in chosen]))
        docs = self.held if held and rng.random() < 0.4 else self.train
        filled = [re.sub(r"\$(\d)", lambda match: chosen[int(match[1]) - 1], text) for text in (rng.choice(docs), self.body)]
        parameters = tuple(Parameter(name, kind, HINTS.get(kind, "")) for name, (_, kind) in zip(chosen, self.parameters, strict=True))
        return Function(f"single {self.names[0]}", rng.choice(self.names), parameters, filled[0], filled[1], "")


HINTS = {
    kind: hint
    for hint, kinds in {
        "int": "int smallint smallneg pos small zero width count natural natural20 year minutes percent",
        "str": "word oddword lowword word3 word3b ana ana2 ana3 runs brackets pangram bits filename digitstext numbertext "
        "text spaced pal sentence sep letter letter2",
        "list": "ints someints twoints smallints dups dups2 onemode sortedish nones short short2 pair3 pair3b keys3 matrix rect words",
        "dict": "table table1",
    }.items()
    for kind in kinds.split()
}


@cache
def singles() -> tuple[Single, ...]:
    """Those of ``python_singles.txt``: a line with names and parameters, docstrings, held-out ones after ``~``, and code after ``>``."""
    found = []
    for block in (HERE / "python_singles.txt").read_text(encoding="utf-8").split("@ ")[1:]:
        head, *lines = block.rstrip("\n").split("\n")
        names, listed = head.split(" | ")
        parameters = tuple((tuple(part.split(":")[0].split("/")), part.split(":")[1]) for part in listed.split(", "))
        train = tuple(line for line in lines if line[0] not in "~>")
        held = tuple(line[2:] for line in lines if line.startswith("~"))
        found.append(
            Single(tuple(names.split("|")), parameters, train, held, "\n".join(line[2:] for line in lines if line.startswith(">")))
        )
    return tuple(found)


def families() -> list[Family]:
    """All of them."""
    return [*composed(), *((f"single {single.names[0]}", single.draw) for single in singles())]
