from __future__ import annotations

import pytest

from expert_kit.archive import SIGNATURES, replace_meta
from expert_kit.registry import Registry
from expert_kit.signing import KEY_TYPES
from tests.support.shelf import Shelf


@pytest.fixture
def stocked(run, shelf: Shelf) -> Shelf:
    """app 1.0.0, which requires lib, and lib 1.0.0 are installed; newer archives of both are on the shelf."""
    shelf.put("expert-kit/app", "1.0.0", experts={"expert-kit/lib": "^1"})
    shelf.put("expert-kit/lib", "1.0.0")
    assert run("install", "expert-kit/app", "--index", shelf.folder).code == 0
    shelf.put("expert-kit/lib", "1.3.0")
    shelf.put("expert-kit/lib", "2.0.0")
    shelf.put("expert-kit/lib", "1.4.0-rc.1")
    return shelf


def test_the_newest_versions_that_fit_together_are_installed(run, stocked: Shelf):
    done = run("update", "--index", stocked.folder)
    assert done.code == 0
    assert "update expert-kit/lib@1.3.0 (now 1.0.0)" in done.out
    assert "to go back: expert-kit rollback expert-kit/lib" in done.err
    registry = Registry.default()
    assert registry.get("expert-kit/lib").ref.version == "1.3.0"
    assert registry.get("expert-kit/lib@1.0.0").current is False
    assert run("update", "--index", stocked.folder).err.endswith("nothing to do\n")


def test_a_dry_run_tells_the_same_and_changes_nothing(run, stocked: Shelf):
    before = Registry.default().list()
    done = run("update", "--index", stocked.folder, "--dry-run", "--json")
    changed = [step for step in done.json["steps"] if step["action"] != "keep"]
    assert [(step["expert"], step["action"], step["previous"]) for step in changed] == [("expert-kit/lib@1.3.0", "update", "1.0.0")]
    assert done.json["dry_run"] is True
    assert Registry.default().list() == before


def test_pre_releases_come_on_request(run, stocked: Shelf):
    assert "expert-kit/lib@1.4.0-rc.1" in run("update", "expert-kit/lib", "--pre", "--index", stocked.folder).out


def test_a_range_that_others_exclude_is_explained(run, stocked: Shelf):
    done = run("update", "expert-kit/lib@^2", "--index", stocked.folder, "--json")
    assert (done.code, done.error["code"]) == (9, "resolution_impossible")
    assert "expert-kit/app@1.0.0, which is installed, requires expert-kit/lib ^1" in done.error["message"]


def test_a_bad_archive_stops_the_whole_update(run, stocked: Shelf, tmp_path):
    stocked.put("expert-kit/app", "1.1.0", experts={"expert-kit/lib": "^1"})
    newer = stocked.folder / "expert-kit.lib-1.3.0.expert"
    data = bytearray(newer.read_bytes())
    data[data.index(b"sql question")] ^= 1
    newer.write_bytes(data)
    before = Registry.default().list()
    done = run("update", "--index", stocked.folder, "--json")
    assert (done.code, done.error["code"]) == (4, "archive_digest_mismatch")
    assert Registry.default().list() == before


def test_without_a_folder_or_for_a_stranger_the_next_step_is_named(run, stocked: Shelf):
    missing = run("update", "--json")
    assert (missing.code, missing.error["code"]) == (2, "update_no_index")
    stranger = run("update", "expert-kit/gone", "--index", stocked.folder, "--json")
    assert (stranger.code, stranger.error["next"]) == (3, "expert-kit install expert-kit/gone --index DIR")
    nowhere = run("update", "--index", stocked.folder / "gone", "--json")
    assert (nowhere.code, nowhere.error["code"]) == (9, "index_unreadable")


def test_a_newer_version_by_a_stranger_stops_nothing_and_is_told(run, stocked: Shelf):
    stranger = Shelf(stocked.folder, stocked.work, KEY_TYPES["ed25519"]())
    stranger.put("expert-kit/lib", "1.9.0")
    stranger.put("expert-kit/lib", "1.8.0")
    done = run("update", "--index", stocked.folder)
    assert done.code == 0, done.err
    assert "update expert-kit/lib@1.3.0 (now 1.0.0)" in done.out
    assert "passed over expert-kit/lib@1.9.0" in done.err
    assert "signature_key_changed" in done.err
    assert "keys trust" not in done.err


def test_an_unsigned_copy_with_a_forged_line_does_not_hide_the_good_one(run, stocked: Shelf):
    good = stocked.folder / "expert-kit.lib-1.3.0.expert"
    shadow = stocked.folder / "0.expert"  # of the same identity, read first
    shadow.write_bytes(good.read_bytes())
    replace_meta(shadow, shadow, {SIGNATURES: b"{}\n"})
    done = run("update", "--index", stocked.folder)
    assert done.code == 0, done.err
    assert Registry.default().get("expert-kit/lib").ref.version == "1.3.0"


def test_a_revoked_version_is_passed_over(run, stocked: Shelf, tmp_path):
    revoked = tmp_path / "revoked.jsonl"
    newest = stocked.folder / "expert-kit.lib-1.3.0.expert"
    assert run("revoke", newest, "--reason", "leaks", "--key", "release", "--list", revoked).code == 0
    assert run("trust", "update", revoked).code == 0
    stocked.put("expert-kit/lib", "1.2.0")
    done = run("update", "--index", stocked.folder)
    assert done.code == 0, done.err
    assert "update expert-kit/lib@1.2.0 (now 1.0.0)" in done.out
    assert "package_revoked" in done.err
    pinned = run("update", "expert-kit/lib@1.3.0", "--index", stocked.folder, "--json")
    assert (pinned.code, pinned.error["code"]) == (4, "package_revoked")
    steps = run("update", "--index", stocked.folder, "--dry-run", "--json").json
    assert [one["code"] for one in steps["passed_over"]] == ["package_revoked"]


def test_an_installed_version_that_was_revoked_gives_way(run, stocked: Shelf, tmp_path):
    revoked = tmp_path / "revoked.jsonl"
    old = stocked.folder / "expert-kit.lib-1.0.0.expert"
    assert run("revoke", old, "--reason", "leaks", "--key", "release", "--list", revoked).code == 0
    assert run("trust", "update", revoked).code == 0
    stocked.put("expert-kit/other", "1.0.0", experts={"expert-kit/lib": "^1"})
    done = run("install", "expert-kit/other", "--index", stocked.folder)
    assert done.code == 0, done.err
    assert Registry.default().get("expert-kit/lib").ref.version == "1.3.0"
