from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from expert_kit.names import sha256_digest
from expert_kit.registry import Registry


def test_the_plain_files_are_exactly_those_of_the_manifest(run, installed, tmp_path: Path):
    folder = tmp_path / "plain" / "tiny"
    done = run("export", installed, folder)
    assert (done.code, done.out) == (0, f"{folder}\n")
    expert = Registry.default().get(installed)
    written = {str(path.relative_to(folder)): sha256_digest(path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    assert written == {"expert.json": expert.identity, **{entry.path: entry.sha256 for entry in expert.files}}


def test_each_signature_lies_beside_the_folder_as_a_bundle(run, installed, tmp_path: Path):
    done = run("export", f"{installed}@1.0.0", tmp_path / "tiny", "--json")
    (signature,) = done.json["signatures"]
    assert Path(signature).parent == tmp_path
    assert json.loads(Path(signature).read_bytes())["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"


def test_a_folder_that_is_not_empty_is_left_alone(run, installed, tmp_path: Path):
    (tmp_path / "mine").write_text("x")
    done = run("export", installed, tmp_path, "--json")
    assert (done.code, done.error["code"]) == (2, "export_not_empty")
    assert not (tmp_path / "expert.json").exists()


def test_a_damaged_blob_is_not_exported(run, installed, tmp_path: Path):
    registry = Registry.default()
    blob = registry.blobs.path(registry.get(installed).weights.sha256)
    blob.chmod(0o644)
    blob.write_bytes(b"other bytes")
    done = run("export", installed, tmp_path / "tiny", "--json")
    assert (done.code, done.error["code"]) == (9, "registry_blob_digest")
    assert not (tmp_path / "tiny").exists()


def test_a_signature_file_of_an_earlier_export_is_named(run, installed, tmp_path: Path):
    (signature,) = run("export", installed, tmp_path / "tiny", "--json").json["signatures"]
    again = run("export", installed, tmp_path / "again", "--json")
    assert (again.code, again.error["code"]) == (2, "export_not_empty")
    assert signature in again.error["message"]
    assert again.error["next"].endswith(f"rm {signature}")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_nothing_behind(run, installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool):
    folder = tmp_path / "out"
    if there:
        folder.mkdir()
    opened, calls = os.open, []

    def full(path, flags, *mode, **options):
        if str(path).startswith(str(folder)) and flags & os.O_CREAT:
            calls.append(path)
            if len(calls) == 3:
                raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", full)
    done = run("export", installed, folder, "--json")
    assert (done.code, done.error["code"], len(calls)) == (7, "output_unwritable", 3)
    assert folder.exists() is there
    assert not there or list(folder.iterdir()) == []
    assert list(tmp_path.glob("*.sig")) == []


def test_an_unknown_expert_is_exit_3(run, tmp_path: Path):
    assert run("export", "acme/gone", tmp_path / "out").code == 3


def test_the_folder_that_one_is_in_is_filled_and_signed_beside_it(run, installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    done = run("export", installed, ".", "--json")
    assert done.code == 0, done.err
    assert (here / "expert.json").is_file()
    (signature,) = map(Path, done.json["signatures"])
    assert (signature.is_file(), signature.parent) == (True, tmp_path)
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")
    assert run("export", installed, "..", "--json").error["code"] == "export_not_empty"
    assert run("export", installed, "/", "--json").error["code"] == "export_not_empty"


def test_an_empty_word_is_no_folder(run, installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = run("export", installed, "", "--json")
    assert (done.code, done.error["code"], done.error["param"]) == (2, "usage_error", "folder")
    assert sorted(tmp_path.rglob("*")) == before
