"""Answers that are Python functions, judged by calling them."""

from __future__ import annotations

import time

import pytest

from expert_kit.errors import DataError
from expert_kit.evaluation.python_function import check
from expert_kit.evaluation.python_source import RefusedCodeError, function_in

PROMPT = 'def positives(numbers):\n    """Return the positive numbers."""'
GOLD = "def positives(numbers):\n    return [x for x in numbers if x > 0]"
ROW = {
    "id": "t-1",
    "prompt": PROMPT,
    "completion": GOLD,
    "function": "positives",
    "tests": [["([1, -2, 3],)", "[1, 3]"], ["([],)", "[]"], ["([0],)", "[]"]],
}


def test_an_answer_is_right_if_every_hidden_test_gets_its_value():
    assert check(GOLD, ROW).ok
    assert check("def positives(n):\n    return list(filter(lambda x: x > 0, n))", ROW).ok
    verdict = check("def positives(numbers):\n    return [x for x in numbers if x >= 0]", ROW)
    assert not verdict.ok
    assert verdict.reason == "positives([0],) gave [0], not []"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no function positives"),
        ("I would use a list comprehension.", "no function positives"),
        ("def others(numbers):\n    return []", "no function positives"),
        ("class A:\n    pass", "it uses ClassDef"),
        ("def positives(numbers):\n    import os\n    return []", "it imports os"),
        ("def positives(numbers):\n    return numbers.__class__", "the attribute __class__"),
    ],
)
def test_an_answer_without_the_function_or_with_more_than_it_needs_is_not_run(answer, reason):
    verdict = check(answer, ROW)
    assert not verdict.ok
    assert reason in verdict.reason


@pytest.mark.parametrize(
    "answer",
    [
        GOLD,
        f"```python\n{GOLD}\n```",
        f"Here is the function:\n\n```python\n{GOLD}\n```\nIt keeps what is above 0.",
        f"```\n{GOLD}\n\nprint(positives([1]))\n```",
        f"Here it is:\n{GOLD}\n\nIt keeps what is above 0.",
        "    return [x for x in numbers if x > 0]",
        "return [x for x in numbers if x > 0]",
        "from typing import List\n\n" + GOLD.replace("numbers):", "numbers: List[int]) -> List[int]:"),
        GOLD.replace("numbers):", "numbers: List[int]) -> List[int]:"),
    ],
)
def test_the_function_is_found_in_whatever_wrapping(answer):
    code = function_in(answer, "positives", PROMPT)
    assert code is not None
    assert "x > 0" in code.source
    assert "print" not in code.source


def test_code_that_calls_for_a_module_names_it():
    code = function_in("import math\nfrom itertools import chain\n\ndef f(x):\n    return math.sqrt(x)", "f", "")
    assert code is not None
    assert code.modules == ("math", "itertools")


@pytest.mark.parametrize(
    "body",
    [
        "import os",
        "import sys",
        "import collections.abc",
        "from functools import wraps",
        "from . import x",
        "from operator import attrgetter",
        "return __builtins__",
        "return x.__class__.__mro__",
        "return x._private",
        "return (i for i in x).gi_frame",
        "return x.f_globals",
        "return x.tb_frame",
        "return x.mro()",
        "return f'{x.__class__}'",
        "x.append = None",
        "del x.append",
        "class A: pass",
        "with x: pass",
        "global y",
        "match x:\n        case int(real=y): pass",
        "async def g(): pass",
        "return [y async for y in x]",
        "try:\n        pass\n    except* ValueError:\n        pass",
    ],
)
def test_what_a_small_function_has_no_need_of_is_refused(body):
    with pytest.raises(RefusedCodeError):
        function_in(f"def f(x):\n    {body}", "f", "")


NO_CODE = ["(" * 5000, "-" * 5000 + "1", "def f(x):\n    return " + "[" * 300 + "]" * 300, "\x00", "def f(x):\n" + " " * 5000]


@pytest.mark.parametrize("answer", NO_CODE)
def test_an_answer_that_is_no_code_is_no_function(answer):
    assert function_in(answer, "f", "def f(x):") is None


@pytest.mark.parametrize("expression", ["x + " * 900 + "x", "not " * 1400 + "x", "x" + ".a()" * 1400, "0x" + "f" * 5900])
def test_code_that_cannot_be_taken_apart_is_refused(expression):
    with pytest.raises(RefusedCodeError, match="nested too deeply, or holds too large a number"):
        function_in(f"def f(x):\n    return {expression}", "f", "")


def test_an_answer_of_many_lines_is_read_quickly():
    start = time.monotonic()
    assert function_in("def f(x):\n    return '''" + "\n" * 5900, "f", "") is None
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "change",
    [
        {"tests": []},
        {"tests": None},
        {"tests": [["(1,", "1"]]},
        {"tests": [["1", "1"]]},
        {"tests": [["(1,)", "open('x')"]]},
        {"function": "not a name"},
    ],
)
def test_an_unusable_row_is_an_error_and_not_a_wrong_answer(change):
    with pytest.raises(DataError, match="t-1"):
        check(GOLD, {**ROW, **change})
