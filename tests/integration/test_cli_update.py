from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.archive import SIGNATURES, replace_meta
from expert_kit.errors import ManifestError
from expert_kit.registry import Registry, index
from expert_kit.registry.candidates import Candidate, read_candidate
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


def damage(archive: Path) -> None:
    """Change a byte of the routing examples: frame, manifest and signatures stay good."""
    data = bytearray(archive.read_bytes())
    data[data.index(b"sql question")] ^= 1
    archive.write_bytes(data)


def test_a_damaged_archive_is_passed_over_told_and_says_so_by_the_exit_code(run, stocked: Shelf):
    stocked.put("expert-kit/app", "1.1.0", experts={"expert-kit/lib": "^1"})
    stocked.put("expert-kit/lib", "1.2.0")
    damage(stocked.folder / "expert-kit.lib-1.3.0.expert")
    done = run("update", "--index", stocked.folder)
    assert done.code == 4
    assert "passed over expert-kit/lib@1.3.0" in done.err
    assert "archive_digest_mismatch" in done.err
    assert {name: Registry.default().get(f"expert-kit/{name}").ref.version for name in ("app", "lib")} == {"app": "1.1.0", "lib": "1.2.0"}
    again = run("update", "--index", stocked.folder, "--json")
    assert (again.code, [step["action"] for step in again.json["steps"]]) == (4, ["keep", "keep"])
    assert [(one["expert"], one["damaged"]) for one in again.json["passed_over"]] == [("expert-kit/lib@1.3.0", True)]


def test_a_damaged_copy_does_not_hide_the_sound_one(run, stocked: Shelf):
    newest = stocked.folder / "expert-kit.lib-1.3.0.expert"
    copy = stocked.folder / "0.expert"  # of the same identity, read first
    copy.write_bytes(newest.read_bytes())
    damage(copy)
    assert run("update", "--index", stocked.folder).code == 4
    assert Registry.default().get("expert-kit/lib").ref.version == "1.3.0"


def test_what_needs_the_damaged_archive_is_left_as_it_is_and_the_rest_is_updated(run, stocked: Shelf):
    stocked.put("expert-kit/app", "2.0.0", experts={"expert-kit/lib": "=1.3.0"})
    stocked.put("expert-kit/other", "1.0.0")
    assert run("install", "expert-kit/other", "--index", stocked.folder).code == 0
    stocked.put("expert-kit/other", "1.1.0")
    damage(stocked.folder / "expert-kit.lib-1.3.0.expert")
    assert run("update", "--index", stocked.folder).code == 4
    current = [str(expert.ref) for expert in Registry.default().list() if expert.current]
    assert current == ["expert-kit/app@1.0.0", "expert-kit/lib@1.0.0", "expert-kit/other@1.1.0"]


def test_a_damaged_archive_that_was_asked_for_is_an_error_and_changes_nothing(run, stocked: Shelf):
    newest = stocked.folder / "expert-kit.lib-1.3.0.expert"
    damage(newest)
    before = Registry.default().list()
    for words in (("update", "expert-kit/lib@1.3.0"), ("install", "expert-kit/lib@1.3.0"), ("install", newest)):
        done = run(*words, "--index", stocked.folder, "--json")
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


def cut(archive: Path) -> None:
    """As a copy that was interrupted leaves it."""
    archive.write_bytes(archive.read_bytes()[:3000])


def test_a_cut_archive_is_left_out_told_and_says_so_by_the_exit_code(run, stocked: Shelf):
    broken = stocked.folder / "expert-kit.lib-1.3.0.expert"
    cut(broken)
    (stocked.folder / "notes.txt").write_text("no archive, and not named like one")
    stocked.put("expert-kit/lib", "1.2.0")
    done = run("update", "--index", stocked.folder)
    assert done.code == 4
    assert "update expert-kit/lib@1.2.0 (now 1.0.0)" in done.out
    assert Registry.default().get("expert-kit/lib").ref.version == "1.2.0"
    again = run("update", "--index", stocked.folder, "--json")
    assert again.code == 4
    (row,) = again.json["passed_over"]
    assert (row["expert"], row["path"], row["code"], row["damaged"]) == (None, str(broken), "archive_no_end_record", True)
    broken.unlink()
    assert run("update", "--index", stocked.folder).code == 0


def test_an_archive_of_a_later_format_is_told_and_is_not_damaged(run, stocked: Shelf, monkeypatch: pytest.MonkeyPatch):
    def too_new(path: Path) -> Candidate:
        if path.name == "expert-kit.lib-2.0.0.expert":
            raise ManifestError("manifest schema 'expert/2' is not known", code="manifest_schema_unknown")
        return read_candidate(path)

    monkeypatch.setattr(index, "read_candidate", too_new)
    (stocked.folder / "expert-kit.lib-2.0.0.expert").touch()
    done = run("update", "--index", stocked.folder, "--json")
    assert (done.code, [one["damaged"] for one in done.json["passed_over"]]) == (0, [False])


@pytest.mark.parametrize("spoil", [cut, damage])
def test_the_exit_code_comes_with_an_error_and_the_next_step(run, stocked: Shelf, spoil):
    broken = stocked.folder / "expert-kit.lib-1.3.0.expert"
    spoil(broken)
    *_, error, step = run("update", "--index", stocked.folder).err.splitlines()
    assert error == f"error[update_damaged]: damaged, and therefore passed over: {broken}"
    assert step.startswith("next: fetch it again")
    told = run("update", "--index", stocked.folder, "--json")
    assert (told.error["code"], str(broken) in told.error["message"]) == ("update_damaged", True)
