from __future__ import annotations

import os
from pathlib import Path

import pytest

from expert_kit.registry import Registry
from tests.support.builders import build_expert


def test_what_is_sound_is_exit_0(run, installed, key):
    done = run("verify", "--all", "--json")
    assert (done.code, done.json[0]["state"], done.json[0]["signers"]) == (0, "sound", [key.key_id])
    assert "sound" in run("verify", installed).out


def test_a_key_that_is_not_trusted_any_more_is_refused_with_the_next_step(run, installed):
    run("keys", "untrust", "release", "--scope", "expert-kit/*")
    done = run("verify", "--all")
    assert done.code == 4
    assert "expert-kit keys trust" in done.err
    assert run("verify", "--all", "--json").json[0]["codes"] == ["signature_untrusted_key"]


def test_an_expired_key_is_refused_or_warned_about(run, installed):
    run("keys", "trust", "release", "--scope", "expert-kit/*", "--expires", "2099-01-01")
    page = Path(os.environ["EXPERT_KIT_HOME"]) / "trust.toml"
    page.write_text(page.read_text().replace("2099-01-01", "2020-01-01"))  # time passes
    done = run("verify", "--all", "--json")
    assert (done.code, done.json[0]["codes"]) == (4, ["signature_key_expired"])
    run("trust", "set", "expert-kit/*", "--level", "permissive")
    softer = run("verify", "--all", "--json")
    assert (softer.code, softer.json[0]["state"], softer.json[0]["codes"]) == (0, "warning", ["signature_key_expired"])


def test_a_damaged_blob_is_refused(run, installed):
    registry = Registry.default()
    blob = registry.blobs.path(registry.get(installed).weights.sha256)
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0")
    done = run("verify", "--all", "--json")
    assert (done.code, done.json[0]["codes"]) == (4, ["registry_blob_digest"])


def test_a_stale_list_is_neither_bad_nor_good(run, installed, tmp_path: Path, monkeypatch):
    from datetime import timedelta

    from expert_kit.signing.dates import utc_now

    path = tmp_path / "list"
    run("revoke", "--publisher", "expert-kit", "--lost-key", "sha256:" + "a" * 64, "--reason", "x", "--key", "release", "--list", path)
    run("trust", "update", path)
    assert run("verify", "--all").code == 0
    later = utc_now() + timedelta(days=31)
    monkeypatch.setattr("expert_kit.signing.trust.TrustStore.__init__.__defaults__", (lambda: later,))
    done = run("verify", "--all", "--json")
    assert (done.code, done.json[0]["state"], done.json[0]["codes"]) == (10, "unchecked", ["revocation_list_stale"])


def test_an_unsigned_expert_is_a_warning(run, base_here, archive: Path):
    run("install", archive, "--unsafe-allow-unsigned")
    done = run("verify", "--all", "--json")
    assert (done.code, done.json[0]["state"], done.json[0]["codes"]) == (0, "warning", ["signature_missing"])


def test_skip_is_a_warning(run, installed):
    run("trust", "set", "expert-kit/*", "--level", "skip")
    assert run("verify", "--all", "--json").json[0]["codes"] == ["signature_skipped"]


@pytest.mark.parametrize("words", [[], ["expert-kit/tiny", "--all"]])
def test_either_names_or_all(run, words):
    assert run("verify", *words, "--json").error["code"] == "verify_what"


def test_names_choose(run, installed, tmp_path: Path):
    other = build_expert(tmp_path / "dist", name="expert-kit/other")
    run("sign", other, "--key", "release")
    run("install", other)
    assert [row["expert"] for row in run("verify", "expert-kit/other", "--json").json] == ["expert-kit/other@1.0.0"]
    assert run("verify", "expert-kit/gone").code == 3


def test_a_stolen_key_without_a_root_above_it_is_replaced(run, installed, signed: Path, tmp_path: Path):
    new = run("keys", "new", "release-2").out.strip()
    assert run("revoke", "--publisher", "expert-kit", "--lost-key", "release", "--reason", "stolen", "--key", "release-2",
               "--list", tmp_path / "list").code == 0  # fmt: skip
    assert run("sign", signed, "--key", "release-2").code == 0
    assert run("trust", "update", tmp_path / "list", "--json").error["code"] == "revocation_threshold"
    for words in (["trust", new], ["untrust", "release"]):
        assert run("keys", *words, "--scope", "expert-kit/*").code == 0
    assert run("trust", "update", tmp_path / "list").code == 0
    assert run("verify", "--all", "--json").json[0]["codes"] == ["signature_key_revoked"]
    assert run("install", signed).code == 0
    assert run("verify", "--all", "--json").json[0]["signers"] == [new]
