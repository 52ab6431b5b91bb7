from __future__ import annotations

import pytest

from expert_kit.registry import Registry
from tests.support.shelf import Shelf


@pytest.fixture
def three(run, shelf: Shelf) -> dict[str, object]:
    """Versions 1.0.0, 1.1.0 and 1.2.0 of expert-kit/app are installed, the last one is current."""
    paths = {version: shelf.put("expert-kit/app", version) for version in ("1.0.0", "1.1.0", "1.2.0")}
    assert run("install", *paths.values()).code == 0
    return dict(paths)


def test_after_a_rollback_the_newer_version_becomes_current_again(run, three):
    told = run("rollback", "expert-kit/app").err
    assert "to go forward again: expert-kit use expert-kit/app@1.2.0" in told
    done = run("use", "expert-kit/app@1.2.0")
    assert (done.code, done.out) == (0, "expert-kit/app@1.2.0\n")
    assert "instead of expert-kit/app@1.1.0, which is still installed" in done.err
    assert Registry.default().get("expert-kit/app").ref.version == "1.2.0"
    assert run("rollback", "expert-kit/app").out == "expert-kit/app@1.1.0\n"
    causes = [change.cause for change in Registry.default().history("expert-kit/app")]
    assert causes[-3:] == ["rollback", "use", "rollback"]


def test_what_is_current_stays_so_and_leaves_no_entry(run, three):
    before = Registry.default().history("expert-kit/app")
    done = run("use", "expert-kit/app@1.2.0", "--json")
    assert (done.code, done.json["version"], done.json["current"]) == (0, "1.2.0", True)
    assert Registry.default().history("expert-kit/app") == before


def test_an_installed_version_named_in_an_install_leads_here(run, three, shelf: Shelf):
    run("rollback", "expert-kit/app")
    refused = run("install", "expert-kit/app@1.2.0", "--index", shelf.folder, "--json")
    assert (refused.code, refused.error["code"]) == (9, "expert_not_current")
    assert "expert-kit use expert-kit/app@1.2.0" in refused.error["next"]


def test_a_revoked_version_is_refused_and_a_withdrawn_one_warned_about(run, three, tmp_path):
    revoked = tmp_path / "revoked.jsonl"
    assert run("revoke", three["1.1.0"], "--reason", "leaks", "--key", "release", "--list", revoked).code == 0
    assert run("trust", "update", revoked).code == 0
    refused = run("use", "expert-kit/app@1.1.0", "--json")
    assert (refused.code, refused.error["code"]) == (4, "package_revoked")
    run("yank", "expert-kit/app@1.0.0", "--reason", "wrong \x1b[2J")
    done = run("use", "expert-kit/app@1.0.0")
    assert done.code == 0
    assert "withdrawn: wrong" in done.err
    assert "\x1b" not in done.err


def test_others_that_would_not_fit_stop_it(run, shelf: Shelf):
    run("install", shelf.put("expert-kit/lib", "1.0.0"))
    run("install", shelf.put("expert-kit/lib", "2.0.0"))
    assert run("install", shelf.put("expert-kit/app", "1.0.0", experts={"expert-kit/lib": "^2"})).code == 0
    refused = run("use", "expert-kit/lib@1.0.0", "--json")
    assert (refused.code, refused.error["code"]) == (9, "rollback_breaks")
    assert Registry.default().get("expert-kit/lib").ref.version == "2.0.0"
    assert run("use", "expert-kit/lib@1.0.0", "--force").out == "expert-kit/lib@1.0.0\n"


def test_a_name_without_version_or_a_version_that_is_not_here_is_refused(run, three):
    bare = run("use", "expert-kit/app", "--json")
    assert (bare.code, bare.error["code"]) == (2, "use_version")
    assert "expert-kit/app@1.0.0" in bare.error["next"]
    gone = run("use", "expert-kit/app@3.0.0", "--json")
    assert (gone.code, gone.error["code"]) == (3, "expert_not_found")
