from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builders import build_expert, tiny_base, write_source

HEAVY = {"torch", "transformers", "peft", "datasets", "sentence_transformers", "accelerate", "matplotlib"}
PROBE = "import sys; from expert_kit.cli.main import main; code = main(sys.argv[1:]); print(code, *sys.modules, file=sys.stderr)"


@pytest.fixture
def prepared(home: Path, tmp_path: Path) -> Path:
    """A home with the record of a base model, a source and an archive; returns the folder of the last two."""
    (home / "bases" / "tiny").mkdir(parents=True)
    (home / "bases" / "tiny" / "base.json").write_text(tiny_base().to_json())
    write_source(tmp_path / "source")
    build_expert(tmp_path).rename(tmp_path / "tiny.expert")
    return tmp_path


def start(*args: object) -> tuple[int, set[str]]:
    words = [str(arg) for arg in args]
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=True, env={**os.environ})
    code, *modules = done.stderr.splitlines()[-1].split()
    return int(code), set(modules)


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["generate", "--help"], ["train", "--help"], ["list"], ["base", "list"]])
def test_looking_around_imports_nothing_heavy(args):
    code, modules = start(*args)
    assert code == 0
    assert not HEAVY & modules


def test_the_way_of_an_archive_imports_nothing_heavy(prepared: Path):
    archive = prepared / "tiny.expert"
    for args in (
        ["package", prepared / "source", "--out", prepared / "out", "--no-probe"],
        ["convert", prepared / "source" / "adapter", "--out", prepared / "out", "--base", "tiny", "--name", "me/tiny", "--version", "1.0.0",
         "--license", "MIT", "--summary", "Tiny.", "--no-probe"],
        ["keys", "new", "release"],
        ["keys", "list"],
        ["keys", "trust", "release", "--scope", "expert-kit/*"],
        ["sign", archive, "--key", "release"],
        ["validate", archive],
        ["install", archive],
        ["list", "--json"],
        ["info", "expert-kit/tiny"],
        ["uninstall", "expert-kit/tiny", "--yes"],
    ):  # fmt: skip
        code, modules = start(*args)
        assert code == 0, args
        assert not HEAVY & modules, args


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "expert_kit", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("expert-kit ")


def test_a_reader_that_goes_away_is_no_bug():
    # The output is far larger than a pipe holds, so that writing fails for certain.
    code = (
        "import sys; from expert_kit.cli import main as front\n"
        "def talk(json: bool = False): front.emit('x' * 1_000_000)\n"
        "front.COMMANDS['talk'] = (talk, '')\n"
        "sys.exit(front.main(['talk']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
