"""Write the data of the python recipe: signatures with docstrings, the functions, and hidden unit tests of the held-out ones.

    python recipes/python/data.py --out recipes/python/data --seed 0

Most functions are composed of a source of items, a shape and conditions or changes; the others are single ones. The splits are apart by
family: what a held-out function does is done by no function of training. ``test`` has composed functions, ``new_functions`` single ones.
"""

from __future__ import annotations

import copy
import random
import sys
from pathlib import Path
from typing import Any

from expert_kit.recipe_data import run_data_script

sys.path.insert(0, str(Path(__file__).resolve().parent))

from python_functions import Family, Function, families, indented, split_of  # the recipe's folder is not a package
from python_inputs import KINDS

SIZES = {"train": 3_900, "validation": 200, "test": 400, "new_functions": 100}
SINGLE_SHARE = 0.3
"""Of the rows of training that are single functions."""
TESTS = 10
"""Hidden calls of a row."""
HINTED, EXAMPLE = 0.35, 0.12
"""Shares of the prompts with type hints and with an example of a call."""
FRAMES = (
    ("{def}", "{def}", "{def}", "{def}", "{def}", "{def}", "Write this function:\n{def}", "Complete the function.\n\n{def}",
     "Write a Python function {call}. {doc}", "Python function {call}: {doc}", "Write {call} in Python. {doc}"),
    ("Implement this in Python.\n\n{def}", "{def}", "I need a Python function {call}. {doc}", "Please fill in:\n{def}",
     "Code {call} for me. {doc}"),
)  # fmt: skip
"""What training says, what validation and test say."""


def gold(function: Function) -> Any:
    """The function itself; its code is of this recipe."""
    space: dict[str, Any] = {}
    exec(function.source, space)
    return space[function.name]


def calls(rng: random.Random, function: Function, count: int) -> list[tuple[str, str]]:
    """Arguments and results, as Python literals; no arguments twice, and not all results equal."""
    run = gold(function)
    found: dict[str, str] = {}
    for tries in range(60 * count):
        arguments = tuple(KINDS[one.inputs](rng) for one in function.parameters)
        try:
            result = repr(run(*copy.deepcopy(arguments)))
        except (ValueError, IndexError, ZeroDivisionError, KeyError):
            continue
        if len(found) == count - 1 and len(set(found.values()) | {result}) == 1 and tries < 50 * count:
            continue
        found.setdefault(repr(arguments), result)
        if len(found) == count:
            break
    return list(found.items())


def prompt_of(rng: random.Random, function: Function, *, held: bool) -> str:
    """How the function is asked for."""
    signature = function.signature(hints=rng.random() < HINTED)
    lines = [function.doc]
    if rng.random() < EXAMPLE:
        arguments, result = calls(rng, function, 1)[0]
        shown = arguments[1:-1].removesuffix(",")
        lines += ["", f">>> {function.name}({shown})", result]
    text = "\n".join(lines)
    docstring = f'"""{text}\n"""' if len(lines) > 1 else f'"""{text}"""'
    frame = rng.choice(FRAMES[held])
    full = f"{signature}\n" + "\n".join(line.rstrip() for line in indented(docstring).split("\n"))
    return frame.format(**{"def": full, "call": f"`{signature.removeprefix('def ').removesuffix(':')}`", "doc": function.doc})


def chosen(split: str) -> tuple[list[Family], list[Family]]:
    """Composed and single families of a split."""
    place = "test" if split == "new_functions" else split
    fitting = [family for family in families() if split_of(family[0]) == place]
    return [one for one in fitting if not one[0].startswith("single ")], [one for one in fitting if one[0].startswith("single ")]


def questions(split: str, count: int, seed: int) -> list[tuple[Function, str]]:
    """Functions and prompts of one split; no prompt twice."""
    rng = random.Random(f"python/{split}/{seed}")
    composed, single = chosen(split)
    share = {"train": SINGLE_SHARE, "validation": SINGLE_SHARE, "test": 0.0, "new_functions": 1.0}[split]
    held = split != "train"
    queues: dict[bool, list[Family]] = {True: [], False: []}
    found: dict[str, Function] = {}
    while len(found) < count:
        is_single = rng.random() < share
        queue = queues[is_single]
        if not queue:
            queue.extend(rng.sample(single, len(single)) if is_single else rng.sample(composed, len(composed)))
        function = queue.pop()[1](rng, held)
        if held and len({result for _, result in calls(rng, function, TESTS)}) == 1:  # such as digits above 10
            continue
        found.setdefault(prompt_of(rng, function, held=held), function)
    return [(function, prompt) for prompt, function in found.items()]


def rows(split: str, count: int, seed: int) -> list[dict[str, object]]:
    """All rows of a split, as JSON takes them."""
    rng = random.Random(f"python/{split}/{seed}/calls")
    made: list[dict[str, object]] = []
    for number, (function, prompt) in enumerate(questions(split, count, seed)):
        row: dict[str, object] = {
            "id": f"python-{split}-{number:05d}",
            "prompt": prompt,
            "completion": function.source,
            "kind": function.family,
        }
        if split != "train":
            row |= {"function": function.name, "tests": calls(rng, function, TESTS)}
        made.append(row)
    return made


if __name__ == "__main__":
    run_data_script(__doc__, SIZES, rows)
