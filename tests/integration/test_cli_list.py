from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from expert_kit.registry import InstalledExpert, Registry
from tests.support.builders import build_expert
from tests.support.filled import fill


def test_an_empty_registry_says_what_to_do_next(run, home: Path):
    done = run("list")
    assert (done.code, done.out) == (0, "")
    assert "expert-kit install" in done.err
    assert run("list", "--json").json == []
    assert not home.exists()


def test_a_home_that_is_a_file_is_no_empty_registry(run, home: Path):
    home.parent.mkdir(parents=True, exist_ok=True)
    home.write_text("mine")
    done = run("list", "--json")
    assert (done.code, done.error["code"]) == (2, "home_not_folder")
    assert home.read_text() == "mine"


def test_installed_experts_are_listed_with_the_current_version_marked(run, installed, tmp_path: Path):
    newer = build_expert(tmp_path / "dist", version="1.1.0")
    run("sign", newer, "--key", "release")
    run("install", newer)
    lines = run("list").out.splitlines()
    assert lines[1].split()[:1] == ["expert-kit/tiny@1.0.0"]
    assert lines[2].split()[:2] == ["*", "expert-kit/tiny@1.1.0"]
    assert run("list", "-q").out == "expert-kit/tiny@1.0.0\nexpert-kit/tiny@1.1.0\n"
    assert [one["current"] for one in run("list", "--json").json] == [False, True]


def test_a_current_version_that_is_hidden_is_told(run, installed, tmp_path: Path):
    newer = build_expert(tmp_path / "dist", version="1.1.0")
    run("sign", newer, "--key", "release")
    run("install", newer)
    run("yank", f"{installed}@1.1.0", "--reason", "wrong dates")
    told = "expert-kit/tiny means 1.1.0, which is withdrawn and not shown; see `expert-kit list --all`\n"
    done = run("list")
    assert (done.code, done.err) == (0, told)
    assert "*" not in done.out
    assert [run("list", word).err for word in ("--all", "-q", "--json")] == ["", "", ""]
    run("yank", f"{installed}@1.0.0", "--reason", "wrong dates")
    assert run("list").err == told  # and not that nothing is installed
    assert run("list", "--namespace", "acme").err == "no installed expert fits these filters\n"


def test_a_damaged_registry_is_exit_9_and_not_a_traceback(run, home: Path):
    (home / "registry").mkdir(parents=True)
    (home / "registry" / "registry.sqlite").write_bytes(os.urandom(5000))
    done = run("list")
    assert (done.code, done.out) == (9, "")
    assert "Traceback" not in done.err


def test_filters_and_limits(run, installed):
    registry = Registry.default()
    fill(registry, registry.get(installed), 30)
    assert run("list", "--namespace", "expert-kit", "-q").out == "expert-kit/tiny@1.0.0\n"
    assert run("list", "--tag", "chess", "-q").out.split() == ["bulk-3/chess-23@1.0.0", "bulk-5/chess-15@1.0.0", "bulk-7/chess-7@1.0.0"]
    assert len(run("list", "--capability", "json", "-q").out.split()) == 10
    assert len(run("list", "--limit", "4", "-q").out.split()) == 4
    assert len(run("list", "--license", "apache-2.0", "--current", "--json").json) == 31
    assert len(run("list", "--limit", "9223372036854775808", "-q").out.split()) == 31
    assert run("list", "--limit", "9" * 5000).code == 2
    none = run("list", "--base", "other")
    assert (none.code, none.out, none.err) == (0, "", "no installed expert fits these filters\n")


def test_many_experts_are_listed_from_the_rows_alone(run, installed, home: Path, monkeypatch: pytest.MonkeyPatch):
    registry = Registry.default()
    fill(registry, registry.get(installed), 500)
    shutil.rmtree(home / "registry" / "cas")
    monkeypatch.setattr(InstalledExpert, "from_rows", None)  # a tenth of a millisecond each, which adds up
    assert run("list", "-q").out.count("\n") == 501
    assert run("search", "number 471", "-q").out.split() == ["bulk-1/chess-471@1.0.0"]
