from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from expert_kit.cli.coercion import LeanCommand
from expert_kit.cli.main import build_app, main


def _leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that name it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, one in inner.items():
        yield from _leaves(one, (*words, name))


LEAVES = dict(_leaves(typer.main.get_command(build_app())))


def _lines() -> Iterator[tuple[str, ...]]:
    """For every path that a command behind a common word takes a command line in which that word is empty."""
    for words, command in LEAVES.items():
        for param in command.params:
            if len(words) > 1 and "Path" in str(param.type_descriptor.annotation):
                given = [_value(one, "" if one is param else "x") for one in command.params if one is param or one.required]
                yield (*words, *(word for one in given for word in one))


def _value(param: Any, value: str) -> list[str]:
    return [value] if param.param_type_name == "argument" else [param.opts[0], value]


def test_every_command_is_a_lean_one():
    assert len(LEAVES) > 50
    assert [words for words, command in LEAVES.items() if not isinstance(command, LeanCommand)] == []


@pytest.mark.parametrize("line", _lines(), ids=" ".join)
def test_an_empty_word_is_no_path(line: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*line, "--json"]) == 2
    error = json.loads(capsys.readouterr().err.splitlines()[-1])["error"]
    assert error["message"].endswith("a path is needed, this word is empty")
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "home"])


@pytest.mark.parametrize(("digits", "wanted"), [("0", "of at least 1"), ("-7", "of at least 1"), ("-" + "9" * 3000, "of at least 1")])
def test_a_number_out_of_range_is_refused_with_the_range(digits: str, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "sql", "--limit", digits]) == 2
    assert f"a number {wanted} is needed, this is {digits[:20]}" in capsys.readouterr().err
