from __future__ import annotations

from expert_kit.registry import Registry
from tests.support.shelf import Shelf


def test_a_name_means_again_what_it_meant_before(run, shelf: Shelf):
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        assert run("install", shelf.put("expert-kit/app", version)).code == 0
    done = run("rollback", "expert-kit/app")
    assert (done.code, done.out) == (0, "expert-kit/app@1.1.0\n")
    assert "instead of expert-kit/app@1.2.0, which is still installed" in done.err
    assert run("rollback", "expert-kit/app", "--json").json["version"] == "1.0.0"
    assert "current: 1.0.0 since" in run("info", "expert-kit/app").out
    none_left = run("rollback", "expert-kit/app", "--json")
    assert (none_left.code, none_left.error["code"]) == (9, "rollback_none")
    assert Registry.default().get("expert-kit/app").ref.version == "1.0.0"


def test_a_withdrawn_version_is_passed_over(run, shelf: Shelf):
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        run("install", shelf.put("expert-kit/app", version))
    run("yank", "expert-kit/app@1.1.0", "--reason", "wrong")
    assert run("rollback", "expert-kit/app").out == "expert-kit/app@1.0.0\n"


def test_a_version_that_others_need_is_not_left(run, shelf: Shelf):
    shelf.put("expert-kit/lib", "1.0.0")
    run("install", "expert-kit/lib", "--index", shelf.folder)
    shelf.put("expert-kit/lib", "2.0.0")
    run("install", shelf.put("expert-kit/app", "1.0.0", experts={"expert-kit/lib": "^2"}), "--index", shelf.folder)
    assert Registry.default().get("expert-kit/lib").ref.version == "2.0.0"
    refused = run("rollback", "expert-kit/lib", "--json")
    assert (refused.code, refused.error["code"]) == (9, "rollback_breaks")
    assert "expert-kit/app@1.0.0 requires expert-kit/lib ^2, which is 1.0.0" in refused.error["message"]
    assert run("rollback", "expert-kit/lib", "--force").out == "expert-kit/lib@1.0.0\n"
    told = run("doctor", "--json")
    assert [one["code"] for one in told.json["findings"]] == ["expert_requires_unmet"]
    assert told.json["findings"][0]["fix"].startswith('expert-kit install "expert-kit/lib@^2" --index DIR')


def test_a_version_or_a_stranger_is_refused(run):
    assert run("rollback", "expert-kit/app@1.0.0", "--json").error["code"] in ("rollback_version", "expert_not_found")
    assert run("rollback", "expert-kit/app").code == 3


def test_a_revoked_version_does_not_become_current_by_itself(run, shelf: Shelf, tmp_path):
    paths = {version: shelf.put("expert-kit/app", version) for version in ("1.0.0", "1.1.0", "1.2.0")}
    for path in paths.values():
        assert run("install", path).code == 0
    bad = tmp_path / "bad.jsonl"
    assert run("revoke", paths["1.1.0"], "--reason", "leaks", "--key", "release", "--list", bad).code == 0
    assert run("trust", "update", bad).code == 0
    refused = run("verify", "expert-kit/app@1.1.0", "--json").json[0]
    assert refused["codes"] == ["package_revoked"]
    assert refused["next"].endswith("expert-kit uninstall expert-kit/app@1.1.0")
    assert run("rollback", "expert-kit/app").out == "expert-kit/app@1.0.0\n"
    assert run("uninstall", "expert-kit/app@1.0.0", "--yes").code == 0
    assert Registry.default().get("expert-kit/app").ref.version == "1.2.0"
