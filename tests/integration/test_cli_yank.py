from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builders import build_expert


@pytest.fixture
def two_versions(run, installed, tmp_path: Path) -> str:
    newer = build_expert(tmp_path / "dist", version="1.1.0")
    run("sign", newer, "--key", "release")
    assert run("install", newer).code == 0
    return "expert-kit/tiny@1.1.0"


def test_a_yanked_version_is_hidden_shows_its_reason_and_stays(run, two_versions):
    done = run("yank", two_versions, "--reason", "wrong dates \x1b[2J")
    assert (done.code, done.out) == (0, f"{two_versions}\n")
    assert "\x1b" not in done.err
    assert two_versions not in run("list", "-q").out
    assert two_versions in run("list", "-q", "--all").out
    assert "yanked: wrong dates" in run("info", two_versions).out
    assert run("verify", two_versions).code == 0


def test_a_yank_can_be_taken_back(run, two_versions):
    run("yank", two_versions, "--reason", "wrong dates")
    assert run("yank", two_versions, "--undo", "--json").json == {"expert": two_versions, "yanked": None}
    assert two_versions in run("list", "-q").out
    again = run("yank", two_versions, "--undo", "--json")
    assert (again.code, again.error["code"]) == (9, "expert_not_yanked")


def test_without_a_version_the_current_one_is_meant(run, two_versions):
    assert run("yank", "expert-kit/tiny", "--reason", "wrong dates", "--json").json["expert"] == two_versions


@pytest.mark.parametrize("words", [[], ["--reason", "x", "--undo"]])
def test_a_yank_needs_a_reason_or_undo(run, installed, words):
    done = run("yank", installed, *words, "--json")
    assert (done.code, done.error["code"]) == (2, "yank_reason")


def test_what_is_not_installed_can_be_yanked_by_its_version_only(run, installed):
    assert run("yank", "acme/sql", "--reason", "x", "--json").error["code"] == "expert_not_found"
    assert run("yank", "acme/sql@1.0.0", "--reason", "x").code == 0


def test_a_version_that_is_not_installed_is_warned_of(run, two_versions):
    done = run("yank", "expert-kit/tiny@7.0.0", "--reason", "x", "--json")
    assert (done.code, done.json["expert"]) == (0, "expert-kit/tiny@7.0.0")
    assert "warning: expert-kit/tiny@7.0.0 is not installed (there are: 1.0.0, 1.1.0)" in done.err
    assert "expert-kit yank expert-kit/tiny@7.0.0 --undo" in done.err
    assert "warning" not in run("yank", "expert-kit/tiny@7.0.0", "--undo").err
    assert "acme/sql@1.0.0 is not installed;" in run("yank", "acme/sql@1.0.0", "--reason", "x").err
    assert "warning" not in run("yank", two_versions, "--reason", "x").err


def test_a_yanked_expert_loads_with_its_reason_and_a_revoked_one_does_not(run, two_experts, tmp_path, home):
    run("yank", "expert-kit/sql@1.0.0", "--reason", "wrong dates")
    words = ["generate", "Hi", "--expert", "expert-kit/sql@1.0.0", "--base", "tiny-llama", "--dtype", "float32", "--max-new-tokens", 2]
    done = run(*words)
    assert done.code == 0
    assert "warning: expert-kit/sql@1.0.0 was withdrawn: wrong dates" in done.err
    run("keys", "new", "release")
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    run("revoke", "expert-kit/sql@1.0.0", "--reason", "leaks", "--key", "release", "--list", tmp_path / "list")
    assert run("trust", "update", tmp_path / "list").code == 0
    refused = run(*words, "--json")
    assert (refused.code, refused.error["code"]) == (4, "package_revoked")
