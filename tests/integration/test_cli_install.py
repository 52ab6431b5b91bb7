from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from expert_kit.registry import Registry
from expert_kit.signing import TrustStore
from tests.support.builders import build_expert, tamper
from tests.support.shelf import Shelf


def test_a_trusted_archive_is_installed(run, signed: Path, base_here):
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    done = run("install", signed)
    assert (done.code, done.out) == (0, "expert-kit/tiny@1.0.0\n")
    assert "installed expert-kit/tiny@1.0.0 (signed) for tiny" in done.err
    assert Registry.default().get("expert-kit/tiny").trust == "signed"


def test_json_is_a_list_of_what_was_installed(run, signed: Path, base_here, tmp_path: Path):
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    second = build_expert(tmp_path / "dist", name="expert-kit/other")
    run("sign", second, "--key", "release")
    done = run("install", signed, second, "--json")
    assert [one["expert"] for one in done.json] == ["expert-kit/tiny@1.0.0", "expert-kit/other@1.0.0"]


def test_an_unknown_key_is_refused_with_the_next_command_where_nobody_can_be_asked(run, signed: Path, base_here, key):
    done = run("install", signed)
    assert (done.code, done.out) == (4, "")
    assert f"expert-kit keys trust {key.key_id} --scope 'expert-kit/*'" in done.err
    assert Registry.default().list() == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 4), ("\n", 4)])
def test_a_person_is_asked_once_about_an_unknown_key(run, signed: Path, base_here, key, home: Path, monkeypatch, answer, code):
    monkeypatch.setattr("expert_kit.cli.installing.is_interactive", lambda: True)
    done = run("install", signed, stdin=answer)
    assert done.code == code
    assert key.key_id in done.err
    assert TrustStore(home).policy_for("expert-kit/tiny").keys == ((key.key_id,) if code == 0 else ())
    assert done.out == ("expert-kit/tiny@1.0.0\n" if code == 0 else "")


def test_an_unsigned_archive_needs_the_dangerous_option(run, archive: Path, base_here):
    refused = run("install", archive, "--json")
    assert (refused.code, refused.out, refused.error["code"]) == (4, "", "signature_missing")
    done = run("install", archive, "--unsafe-allow-unsigned")
    assert done.code == 0
    assert "warning[signature_missing]" in done.err


def test_a_missing_base_needs_an_option(run, signed: Path):
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    refused = run("install", signed)
    assert refused.code == 5
    assert "expert-kit base pull tiny" in refused.err
    done = run("install", signed, "--allow-missing-base", "--json")
    assert done.json[0]["base_match"] == "pending"
    assert "warning[base_pending]" in done.err


def test_a_lower_version_needs_an_option(run, installed, tmp_path: Path):
    old = build_expert(tmp_path / "dist", version="0.9.0")
    run("sign", old, "--key", "release")
    refused = run("install", old, "--json")
    assert (refused.code, refused.error["code"]) == (9, "version_downgrade")
    assert run("install", old, "--allow-downgrade").code == 0


def test_installing_twice_is_exit_9(run, installed, signed: Path):
    assert run("install", signed).code == 9


def test_a_swapped_member_is_refused_and_nothing_is_installed(run, signed: Path, base_here):
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    tamper(signed, "adapter_model.safetensors")
    done = run("install", signed, "--json")
    assert (done.code, done.out, done.error["code"]) == (4, "", "archive_digest_mismatch")
    assert Registry.default().list() == []


def test_one_bad_archive_among_several_keeps_all_of_them_out(run, signed: Path, base_here, tmp_path: Path):
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    other = build_expert(tmp_path / "dist", name="expert-kit/other")
    done = run("install", signed, other)
    assert (done.code, done.out) == (4, "")
    assert "expert-kit/other@1.0.0 has no signature" in done.err
    assert Registry.default().list() == []


def test_a_name_is_installed_from_a_folder_with_all_that_it_requires(run, shelf: Shelf):
    shelf.put("expert-kit/app", "1.0.0", experts={"expert-kit/lib": "^1"})
    shelf.put("expert-kit/lib", "1.0.0")
    shelf.put("expert-kit/lib", "1.2.0")
    shelf.put("expert-kit/lib", "2.0.0")
    done = run("install", "expert-kit/app", "--index", shelf.folder)
    assert (done.code, done.out) == (0, "expert-kit/lib@1.2.0\nexpert-kit/app@1.0.0\n")
    assert "because expert-kit/app@1.0.0 requires expert-kit/lib ^1" in done.err
    again = run("install", "expert-kit/app@^1", "--index", shelf.folder)
    assert (again.code, again.out) == (0, "expert-kit/app@1.0.0\n")
    assert "is installed already" in again.err


def test_a_conflict_is_told_in_words_and_changes_nothing(run, shelf: Shelf):
    shelf.put("expert-kit/left", "1.0.0", experts={"expert-kit/lib": "^1"})
    shelf.put("expert-kit/right", "1.0.0", experts={"expert-kit/lib": "^2"})
    shelf.put("expert-kit/lib", "1.0.0")
    shelf.put("expert-kit/lib", "2.0.0")
    done = run("install", "expert-kit/left", "expert-kit/right", "--index", shelf.folder)
    assert (done.code, done.out) == (9, "")
    for words in ("expert-kit/left@1.0.0 requires expert-kit/lib ^1", "expert-kit/right@1.0.0 requires expert-kit/lib ^2"):
        assert words in done.err
    assert "versions: 2.0.0, 1.0.0" in done.err
    assert "next: " in done.err
    assert Registry.default().list() == []


def test_a_file_that_requires_what_is_not_here_names_what_to_get(run, shelf: Shelf):
    app = shelf.put("expert-kit/app", "1.0.0", experts={"expert-kit/lib": "^1"})
    done = run("install", app, "--json")
    assert (done.code, done.error["code"]) == (9, "resolution_not_found")
    assert done.error["next"] == "get an archive of expert-kit/lib ^1 and name its folder: --index DIR"


def test_a_newer_expert_kit_that_an_expert_wants_is_named(run, shelf: Shelf):
    app = shelf.put("expert-kit/app", "1.0.0", tool=">=99")
    done = run("install", app, "--json")
    assert (done.code, done.error["code"], done.error["next"]) == (9, "resolution_tool", "install expert-kit >=99")


def test_a_bad_archive_in_the_folder_is_told_and_takes_no_other_one_with_it(run, shelf: Shelf):
    shelf.put("expert-kit/app", "1.0.0")
    (shelf.folder / "bad.expert").write_bytes(b"no archive")
    done = run("install", "expert-kit/app", "--index", shelf.folder)
    assert done.code == 0
    assert "bad.expert: archive_too_small" in done.err


def test_a_dry_run_says_what_would_be_done_and_does_nothing(run, shelf: Shelf, home: Path):
    shelf.put("expert-kit/app", "1.0.0", experts={"expert-kit/lib": "^1"})
    shelf.put("expert-kit/lib", "1.0.0")
    done = run("install", "expert-kit/app", "--index", shelf.folder, "--dry-run")
    assert done.out.splitlines() == [
        "install expert-kit/lib@1.0.0: expert-kit/app@1.0.0 requires expert-kit/lib ^1",
        "install expert-kit/app@1.0.0: you asked for expert-kit/app",
    ]
    assert not (home / "registry").exists()
    assert run("install", "expert-kit/app", "--index", shelf.folder, "--dry-run", "--json").json["steps"][0]["action"] == "install"


def test_two_archives_of_one_version_with_different_content_are_refused(run, shelf: Shelf, tmp_path: Path):
    first = shelf.put("expert-kit/app", "1.0.0")
    other = shelf.put("expert-kit/app", "1.0.0", folder=tmp_path / "elsewhere", seed=1)
    done = run("install", first, other, "--json")
    assert (done.code, done.error["code"]) == (9, "resolution_two_contents")


def test_an_installed_version_that_is_not_current_is_not_brought_back_by_its_archive(run, shelf: Shelf):
    shelf.put("expert-kit/app", "1.0.0")
    run("install", "expert-kit/app", "--index", shelf.folder)
    shelf.put("expert-kit/app", "1.1.0")
    run("update", "--index", shelf.folder)
    done = run("install", "expert-kit/app@1.0.0", "--index", shelf.folder, "--json")
    assert (done.code, done.error["code"]) == (9, "expert_not_current")
    assert "expert-kit use expert-kit/app@1.0.0" in done.error["next"]


def test_nothing_to_install_is_wrong_usage(run):
    done = run("install", "--json")
    assert (done.code, done.error["code"]) == (2, "install_what")


def test_frozen_installs_exactly_the_lock(run, shelf: Shelf, home: Path, tmp_path: Path):
    lock = locked(run, shelf, tmp_path)
    shelf.put("expert-kit/app", "1.1.0")
    shutil.rmtree(home / "registry")
    assert "install expert-kit/app@1.0.0" in run("install", "--frozen", "--lock", lock, "--index", shelf.folder, "--dry-run").out
    done = run("install", "--frozen", "--lock", lock, "--index", shelf.folder)
    assert (done.code, done.out) == (0, "expert-kit/app@1.0.0\n")
    assert run("install", "--frozen", "--lock", lock).out == ""


def test_frozen_lists_every_difference_and_installs_nothing(run, shelf: Shelf, home: Path, tmp_path: Path):
    lock = locked(run, shelf, tmp_path)
    shutil.rmtree(home / "registry")
    other = shelf.put("expert-kit/other", "1.0.0")
    done = run("install", other, "--frozen", "--lock", lock, "--json")
    assert (done.code, done.error["code"]) == (9, "lock_drift")
    assert "is not in the lock file" in done.error["message"]
    assert "expert-kit/app@1.0.0: no archive with the identity sha256:" in done.error["message"]
    assert Registry.default().list() == []


def locked(run, shelf: Shelf, tmp_path: Path) -> Path:
    """A lock file with expert-kit/app 1.0.0."""
    shelf.put("expert-kit/app", "1.0.0")
    assert run("install", "expert-kit/app", "--index", shelf.folder).code == 0
    assert run("lock", "--out", tmp_path / "expert.lock").code == 0
    return tmp_path / "expert.lock"


def test_a_warning_names_the_file_without_steering_the_terminal(run, archive, base_here, monkeypatch):
    monkeypatch.setattr("expert_kit.cli.installing.WARNINGS", {})
    strange = archive.rename(archive.with_name("a\x1b[2Jb.expert"))
    done = run("install", strange, "--unsafe-allow-unsigned")
    assert done.code == 0
    assert "warning[signature_missing]" in done.err
    assert "\x1b" not in done.out + done.err


def test_an_empty_word_is_no_archive(run):
    done = run("install", "", "--json")
    assert (done.code, done.error["code"]) == (2, "install_what")
