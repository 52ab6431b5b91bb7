from __future__ import annotations

import ast
from pathlib import Path

import pytest

import expert_kit
from expert_kit import errors
from expert_kit.errors import DataError, ExpertKitError

CLASSES = {name: found for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, ExpertKitError)}
# Refusals that are raised by a call of this package alone, whose caller has no command to be told.
OF_CALLS = {"continuation_empty", "released_twice", "prompt_invalid", "resolution_not_found"}


def raised_without_a_hint():
    for path in sorted(Path(expert_kit.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                given = {word.arg: word.value for word in node.keywords}
                code = given.get("code")
                if "hint" not in given and not (isinstance(code, ast.Constant) and code.value in OF_CALLS):
                    yield pytest.param(CLASSES[node.func.id], id=f"{path.stem}:{node.lineno}")


@pytest.mark.parametrize("found", raised_without_a_hint())
def test_a_raise_that_names_no_next_step_has_that_of_its_class(found):
    assert found.next_step


def test_a_hint_stands_before_that_of_the_class():
    assert DataError("x", hint="y").hint == "y"
    assert DataError("x").hint == DataError.next_step
