from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.registry import Registry
from expert_kit.signing import TrustStore
from tests.support.builders import build_expert, tamper


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
    assert f"expert-kit keys trust {key.key_id} --scope expert-kit/*" in done.err
    assert Registry.default().list() == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 4), ("\n", 4)])
def test_a_person_is_asked_once_about_an_unknown_key(run, signed: Path, base_here, key, home: Path, monkeypatch, answer, code):
    monkeypatch.setattr("expert_kit.cli.install.is_interactive", lambda: True)
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


def test_what_was_installed_before_a_failure_is_told(run, signed: Path, base_here, tmp_path: Path):
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    done = run("install", signed, tmp_path / "gone.expert")
    assert (done.code, done.out) == (4, "expert-kit/tiny@1.0.0\n")


def test_a_warning_names_the_file_without_steering_the_terminal(run, archive, base_here, monkeypatch):
    monkeypatch.setattr("expert_kit.cli.install._WARNINGS", {})
    strange = archive.rename(archive.with_name("a\x1b[2Jb.expert"))
    done = run("install", strange, "--unsafe-allow-unsigned")
    assert done.code == 0
    assert "warning[signature_missing]" in done.err
    assert "\x1b" not in done.out + done.err
