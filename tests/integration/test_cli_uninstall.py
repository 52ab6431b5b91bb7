from __future__ import annotations

from expert_kit.registry import Registry
from tests.support.shelf import Shelf


def test_without_a_terminal_yes_must_be_said(run, installed):
    refused = run("uninstall", installed, "--json")
    assert (refused.code, refused.error["code"]) == (2, "confirmation_needs_terminal")
    assert len(Registry.default().list()) == 1
    done = run("uninstall", installed, "-y")
    assert (done.code, done.out) == (0, "expert-kit/tiny@1.0.0\n")
    assert Registry.default().list() == []


def test_a_person_may_say_no(run, installed, monkeypatch):
    monkeypatch.setattr("expert_kit.cli.uninstall.is_interactive", lambda: True)
    assert run("uninstall", installed, stdin="n\n").code == 130
    assert len(Registry.default().list()) == 1
    assert run("uninstall", installed, "--json", stdin="y\n").json["expert"] == "expert-kit/tiny@1.0.0"


def test_an_unknown_expert_is_exit_3_before_anything_is_asked(run):
    assert run("uninstall", "acme/gone").code == 3


def test_what_others_need_stays_until_it_is_forced(run, shelf: Shelf):
    shelf.put("expert-kit/lib", "1.0.0")
    app = shelf.put("expert-kit/app", "1.0.0", experts={"expert-kit/lib": "^1"})
    assert run("install", app, "--index", shelf.folder).code == 0
    assert "needed by: expert-kit/app@1.0.0\n" in run("info", "expert-kit/lib").out
    refused = run("uninstall", "expert-kit/lib", "-y", "--json")
    assert (refused.code, refused.error["code"]) == (9, "expert_needed")
    assert "needed by expert-kit/app@1.0.0" in refused.error["message"]
    assert run("uninstall", "expert-kit/lib", "-y", "--force").code == 0
    told = run("doctor")
    assert told.code == 9
    assert "expert-kit/app@1.0.0 requires expert-kit/lib ^1, which is not installed" in told.out
    assert run("uninstall", "expert-kit/app", "-y").code == 0
    assert run("doctor").code == 0
