"""Arguments for the functions of the python recipe, by kind."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_POOL = tuple(
    [
        "apple",
        "Anna",
        "level",
        "123",
        "SUN",
        "tree",
        "sea",
        "books",
        "Paris",
        "noon",
        "42",
        "STOP",
        "running",
        "a",
        "bus",
        "east",
        "Ice",
        "sings",
        "list",
        "ox",
        "ABBA",
        "home7",
        "axe",
    ]
)
_SENTENCES = (
    "the quick brown fox",
    "Hello World",
    "a man a plan",
    "see you at 10 in Rome",
    "to be or not to be",
    "OK go",
    "sun sea and sand",
    "Anna saw a level 7 kayak",
    "",
    "one",
    "cats eat fish and birds eat seeds",
)
_TEXTS = (
    "Hello World",
    "abc",
    "A1b2 C3",
    "",
    "banana",
    "  x y ",
    "MISSISSIPPI",
    "snake_case-1",
    "EE ee",
    "a-b-c",
    "42",
    "Zebra crossing!",
    "xylophone",
)
_PALINDROMES = ("level", "hello", "noon", "Anna", "abca", "x", "racecar", "Level", "python", "aba")
_PANGRAMS = (
    "The quick brown fox jumps over the lazy dog",
    "hello world",
    "Sphinx of black quartz judge my vow",
    "abc xyz",
    "The quick brown fox jumps over a dog",
)

Draw = Callable[[random.Random], Any]


def _ints(low: int, high: int, shortest: int, longest: int) -> Draw:
    return lambda rng: [rng.randint(low, high) for _ in range(rng.randint(shortest, longest))]


def _int(low: int, high: int) -> Draw:
    return lambda rng: rng.randint(low, high)


def _of(*values: Any) -> Draw:
    return lambda rng: rng.choice(values)


def _letters(low: int, high: int, alphabet: str = LETTERS) -> Draw:
    return lambda rng: "".join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def _matrix(rng: random.Random) -> list[list[int]]:
    return [[rng.randint(-5, 9) for _ in range(rng.randint(0, 3))] for _ in range(rng.randint(0, 4))]


def _rectangle(rng: random.Random) -> list[list[int]]:
    width = rng.randint(1, 3)
    return [[rng.randint(-5, 9) for _ in range(width)] for _ in range(rng.randint(1, 3))]


def _table(shortest: int) -> Draw:
    def draw(rng: random.Random) -> dict[str, int]:
        keys = rng.sample("abcdefgh", rng.randint(shortest, 6))
        return dict(zip(keys, rng.sample(range(-9, 25), len(keys)), strict=True))

    return draw


KINDS: dict[str, Draw] = {
    "ints": _ints(-9, 25, 0, 8),
    "someints": lambda rng: rng.sample(range(-9, 25), rng.randint(1, 7)),
    "twoints": _ints(-9, 25, 2, 6),
    "smallints": _ints(-3, 5, 0, 5),
    "dups": _ints(0, 6, 0, 8),
    "dups2": _ints(2, 8, 0, 8),
    "onemode": lambda rng: rng.choice([[1, 2, 2], [5], [3, 3, 1, 3, 2], [0, 7, 7, 1], [4, 4, 9], [8, 1, 6, 1], [2, 6, 6, 6, 2]]),
    "sortedish": lambda rng: sorted(_ints(-5, 9, 0, 5)(rng)) if rng.random() < 0.5 else _ints(-5, 9, 2, 5)(rng),
    "nones": lambda rng: [rng.choice([None, 0, 1, 2, "", "a"]) for _ in range(rng.randint(0, 6))],
    "short": _ints(0, 9, 0, 3),
    "short2": _of([], ["a"], ["a", "b"], ["x", "y", "z"]),
    "pair3": lambda rng: [rng.randint(0, 3) for _ in range(3)],
    "pair3b": lambda rng: [rng.randint(0, 3) for _ in range(3)],
    "keys3": lambda rng: rng.sample("abcdefgh", 3),
    "matrix": _matrix,
    "rect": _rectangle,
    "words": lambda rng: [rng.choice(_POOL) for _ in range(rng.randint(0, 6))],
    "sentence": lambda rng: rng.choice(_SENTENCES) if rng.random() < 0.6 else " ".join(rng.choice(_POOL) for _ in range(rng.randint(1, 6))),
    "text": lambda rng: rng.choice(_TEXTS) if rng.random() < 0.7 else _letters(1, 9, "abcdeEAX 019-")(rng),
    "spaced": _of("  a  b ", "x", "", " one two   three", "tab\tand\nline", "no  change "),
    "pal": _of(*_PALINDROMES),
    "word": _letters(1, 7),
    "oddword": lambda rng: _letters(1, 1)(rng) + _letters(2, 2)(rng) * rng.randint(0, 3),
    "lowword": _letters(1, 7),
    "word3": _letters(4, 4, "abc"),
    "word3b": _letters(4, 4, "abc"),
    "ana": _of("listen", "abc", "flow", "night", "flower", "aab"),
    "ana2": _of("silent", "cab", "wolf", "thing", "lowers", "abb"),
    "ana3": _of("list", "abd", "flower", "nights", "fly", "xyz"),
    "runs": lambda rng: "".join(rng.choice("abc") * rng.randint(1, 4) for _ in range(rng.randint(0, 4))),
    "brackets": _of("()", "(()", "a(b)c", ")(", "(())()", "", "())", "((x)+(y))", "(()))("),
    "pangram": _of(*_PANGRAMS),
    "bits": _letters(1, 8, "01"),
    "filename": _of("a.txt", "archive.tar.gz", "README", "photo.jpg", "x.", "dir.d/file.py"),
    "digitstext": lambda rng: _letters(4, 10, "0123456789")(rng),
    "numbertext": lambda rng: ",".join(str(rng.randint(-9, 30)) for _ in range(rng.randint(1, 5))),
    "sep": _of(", ", "-", "", " "),
    "letter": _of("a", "b", "e", "x", "l"),
    "letter2": _of("o", "Z", "*", "u"),
    "int": _int(-20, 60),
    "smallint": _int(-4, 6),
    "smallneg": _int(-8, 2),
    "pos": _int(1, 40),
    "small": _int(1, 4),
    "zero": _of(0),
    "width": _int(2, 8),
    "count": _int(0, 25),
    "natural": lambda rng: rng.randint(0, 130) if rng.random() < 0.8 else rng.randint(131, 5000),
    "natural20": _int(0, 12),
    "year": _of(1900, 2000, 2004, 2023, 2024, 2100, 1996, 2400, 1999),
    "minutes": _int(0, 600),
    "percent": _int(0, 100),
    "table": _table(0),
    "table1": _table(1),
    # For the parameters of conditions:
    "bound": _int(-2, 12),
    "divisor": _int(2, 6),
    "digit": _int(0, 9),
    "length": _int(1, 5),
    "start": _of("a", "S", "s", "b", "A"),
    "end": _of("s", "e", "a", "P", "ing"),
    "part": _of("a", "e", "s", "o"),
    "char": _of("a", "b", "e", " ", "S"),
    "chars": _of("abc", "aeiou", "xyz1", "els"),
}
"""Kind -> draws one argument."""
OF_CONDITION = {
    "above": "bound", "below": "bound", "at_least": "bound", "at_most": "bound", "multiples": "divisor", "equal": "digit",
    "ending_in": "digit", "longer": "length", "shorter": "length", "of_length": "length", "starting_with": "start", "ending_with": "end",
    "containing": "part", "among": "chars",
}  # fmt: skip
"""Condition with a parameter -> kind of the argument."""
