"""What maintainers' scripts promise and no run of a test would show."""

from __future__ import annotations

import importlib
import os
import random
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A script as a module; it finds the others beside it, as it does when it is run."""
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    return importlib.import_module


@pytest.mark.parametrize(("seconds", "each"), [("5", 1), ("0", 1), ("1300", 100)])
def test_no_target_is_fuzzed_for_zero_seconds_which_would_be_for_ever(script, monkeypatch, tmp_path: Path, seconds: str, each: int):
    fuzz, given = script("fuzz_archive"), []
    monkeypatch.setattr(fuzz, "run", lambda name, seconds, *_: given.append(seconds) or [])
    monkeypatch.setattr(sys, "argv", ["fuzz_archive.py", "--seconds", seconds, "--corpus", str(tmp_path)])
    assert fuzz.main() == 0
    assert given == [each] * len(fuzz.NAMES)


@pytest.fixture
def text2sql(script, tmp_path: Path) -> ModuleType:
    """The script, with a score of one fold in the work folder ``tmp_path``."""
    module = script("make_text2sql")
    recipe = tmp_path / "restaurants-0" / "recipe"
    recipe.mkdir(parents=True)
    (recipe / "recipe.yaml").write_text("# here\nlora_r: 8\n")
    (recipe / "train.jsonl").write_text("{}\n")
    cell = {"key": module._key(recipe), "scores": {"held_out": {"n": 4, "passed": 3}}}
    module.keep_cell(module._file(module.Part("restaurants", "0"), Namespace(work=tmp_path)), cell)
    return module


def test_a_score_counts_for_the_recipe_that_it_was_made_with_alone(text2sql, tmp_path: Path):
    options, recipe = Namespace(work=tmp_path), tmp_path / "restaurants-0" / "recipe" / "recipe.yaml"
    assert "| restaurants | 4 | 75.0 %" in text2sql._table(options)
    recipe.write_text("# there\nlora_r: 8\n")
    assert "restaurants" in text2sql._table(options)
    recipe.write_text("lora_r: 16\n")
    assert "restaurants" not in text2sql._table(options)
    recipe.unlink()
    recipe.with_name("train.jsonl").unlink()
    recipe.parent.rmdir()
    assert "restaurants" not in text2sql._table(options)


def test_the_commands_are_those_of_this_interpreter(text2sql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    commands = []

    def run(command: list[str], **_: object) -> None:
        commands.append(command)
        (tmp_path / "restaurants-0" / "run").mkdir()
        (tmp_path / "restaurants-0" / "run" / "eval.json").write_text('{"results": []}')

    monkeypatch.setattr(text2sql.subprocess, "run", run)
    (tmp_path / "restaurants-0" / "recipe" / "train.jsonl").write_text('{"a": 1}\n')
    text2sql._make(text2sql.Part("restaurants", "0"), Namespace(work=tmp_path))
    assert [command[:4] for command in commands] == [[sys.executable, "-m", "expert_kit", "train"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_what_goes_wrong_in_a_measured_child_is_said(script, capfd: pytest.CaptureFixture[str]):
    bench = script("bench_cold_load")
    assert len(bench.in_child(lambda: None, 3)) == 3

    def broken() -> None:
        raise KeyError("not the expert")

    with pytest.raises(SystemExit, match="ended with 1"):
        bench.in_child(broken, 1)
    assert "KeyError: 'not the expert'" in capfd.readouterr().err


def test_as_many_slips_are_made_as_are_asked_for(script):
    data = script("bench_router_data")
    assert data.with_typos("abc", random.Random(1), 0) == "abc"
    assert data.with_typos("1 2", random.Random(1), 5) == "1 2"
    assert len({data.with_typos("question", random.Random(seed), 2) for seed in range(20)}) > 10
