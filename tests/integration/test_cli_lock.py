from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


def test_the_lock_says_what_is_installed_in_the_one_canonical_spelling(run, installed, key, tmp_path: Path):
    path = tmp_path / "expert.lock"
    done = run("lock", "--out", path)
    assert (done.code, done.out, done.err) == (0, f"{path}\n", "1 expert\n")
    data = path.read_bytes()
    content = json.loads(data)
    assert data == json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    (entry,) = content["experts"]
    assert (entry["name"], entry["version"], entry["signers"], entry["yanked"]) == ("expert-kit/tiny", "1.0.0", [key.key_id], False)
    assert entry["base"]["id"] == "tiny"
    assert entry["base_match"] == "exact"
    assert run("lock", "--out", path, "--json").json == {"lock": str(path), "experts": ["expert-kit/tiny@1.0.0"]}
    assert path.read_bytes() == data


def test_without_a_name_it_is_written_here(run, installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert run("lock").out == "expert.lock\n"
    assert run("install", "--frozen").err.endswith("1 expert installed as the lock file says\n")


def test_a_lock_that_was_edited_is_refused(run, installed, tmp_path: Path):
    path = tmp_path / "expert.lock"
    run("lock", "--out", path)
    sound = path.read_text()
    for broken in (
        sound.replace('","', '", "', 1),
        sound.replace("tiny", "Tiny"),
        sound[:-2],
        "[]\n",
        sound.replace("false", "0"),
        sound.replace('"identity":"sha256:', '"identity":"sha1:'),
        sound.replace('"weights_root_sha256"', '"weights_root_sha257"'),
        sound.replace("expert-kit/tiny", "expert-kit/tiny@1.0.0"),
    ):
        path.write_text(broken)
        done = run("install", "--frozen", "--lock", path, "--json")
        assert (done.code, done.error["code"]) == (9, "lock_invalid"), broken
    missing = run("install", "--frozen", "--lock", tmp_path / "gone.lock", "--json")
    assert (missing.code, missing.error["code"]) == (9, "lock_missing")


def test_a_pipe_in_place_of_the_lock_is_not_waited_for(run, tmp_path: Path):
    pipe = tmp_path / "expert.lock"
    os.mkfifo(pipe)
    done = run("install", "--frozen", "--lock", pipe, "--json")
    assert (done.code, done.error["code"]) == (9, "lock_missing")
    assert "not a regular file" in done.error["message"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entry: entry.update(signers=[]), "the lock has nobody"),
        (lambda entry: entry.update(identity="sha256:" + "0" * 64), "has other content"),
        (lambda entry: entry["base"].update(weights_root_sha256="sha256:" + "0" * 64), "with other digests"),
        (lambda entry: entry.update(base_match="family"), "here as exact, the lock has family"),
        (lambda entry: entry.update(name="expert-kit/other"), "expert-kit/tiny@1.0.0 is installed and not in the lock file"),
    ],
)
def test_any_difference_is_drift(run, installed, tmp_path: Path, change, words):
    path = tmp_path / "expert.lock"
    run("lock", "--out", path)
    content = json.loads(path.read_text())
    change(content["experts"][0])
    path.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n")
    done = run("install", "--frozen", "--lock", path, "--json")
    assert (done.code, done.error["code"]) == (9, "lock_drift")
    assert words in done.error["message"]


def test_a_version_that_was_withdrawn_since_is_drift(run, installed, tmp_path: Path):
    run("lock", "--out", tmp_path / "expert.lock")
    assert run("yank", installed, "--reason", "wrong dates").code == 0
    done = run("install", "--frozen", "--lock", tmp_path / "expert.lock", "--json")
    assert done.error["code"] == "lock_drift"
    assert "was withdrawn since: wrong dates" in done.error["message"]


def test_a_folder_that_is_not_there_is_not_made(run, installed, tmp_path: Path):
    done = run("lock", "--out", tmp_path / "gone" / "expert.lock", "--json")
    assert (done.code, done.error["code"], done.error["next"]) == (2, "lock_folder", f"mkdir -p {tmp_path / 'gone'}")
    assert not (tmp_path / "gone").exists()


def test_nothing_installed_is_an_empty_lock(run, tmp_path: Path):
    assert run("lock", "--out", tmp_path / "expert.lock", "--json").json["experts"] == []
    assert run("install", "--frozen", "--lock", tmp_path / "expert.lock").code == 0


def test_what_was_revoked_since_is_drift(run, installed, signed: Path, tmp_path: Path):
    lock, bad = tmp_path / "expert.lock", tmp_path / "bad.jsonl"
    run("revoke", signed, "--reason", "leaks", "--key", "release", "--list", bad)
    assert run("trust", "update", bad).code == 0
    assert run("lock", "--out", lock).code == 0
    refused = run("install", "--frozen", "--lock", lock, "--json")
    assert (refused.code, refused.error["code"]) == (9, "lock_drift")
    assert "is refused today" in refused.error["message"]
