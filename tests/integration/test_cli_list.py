from __future__ import annotations

import os
from pathlib import Path

from tests.support.builders import build_expert


def test_an_empty_registry_says_what_to_do_next(run, home: Path):
    done = run("list")
    assert (done.code, done.out) == (0, "")
    assert "expert-kit install" in done.err
    assert run("list", "--json").json == []
    assert not home.exists()


def test_installed_experts_are_listed_with_the_current_version_marked(run, installed, tmp_path: Path):
    newer = build_expert(tmp_path / "dist", version="1.1.0")
    run("sign", newer, "--key", "release")
    run("install", newer)
    lines = run("list").out.splitlines()
    assert lines[1].split()[:1] == ["expert-kit/tiny@1.0.0"]
    assert lines[2].split()[:2] == ["*", "expert-kit/tiny@1.1.0"]
    assert run("list", "-q").out == "expert-kit/tiny@1.0.0\nexpert-kit/tiny@1.1.0\n"
    assert [one["current"] for one in run("list", "--json").json] == [False, True]


def test_a_damaged_registry_is_exit_9_and_not_a_traceback(run, home: Path):
    (home / "registry").mkdir(parents=True)
    (home / "registry" / "registry.sqlite").write_bytes(os.urandom(5000))
    done = run("list")
    assert (done.code, done.out) == (9, "")
    assert "Traceback" not in done.err
