from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.registry import Registry
from expert_kit.signing.revocations import open_list


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_revoked_package_is_neither_installed_nor_loaded(run, installed, signed: Path):
    done = run("revoke", signed, "--reason", "answers with DROP TABLE", "--key", "release")
    assert (done.code, done.out) == (0, "expert-kit.revocations.jsonl\n")
    assert run("verify", installed).code == 0
    assert run("trust", "update", "expert-kit.revocations.jsonl").out.startswith("revoked: expert-kit/tiny@1.0.0")
    refused = run("verify", installed, "--json")
    assert (refused.code, refused.json[0]["codes"]) == (4, ["package_revoked"])
    assert "DROP TABLE" in refused.json[0]["message"]
    registry = Registry.default()
    with pytest.raises(Exception, match="was revoked") as caught:
        registry.check_revoked(registry.get(installed))
    assert getattr(caught.value, "code") == "package_revoked"  # noqa: B009 - any other class would fail here
    run("uninstall", installed, "--yes")
    assert run("install", signed, "--json").error["code"] == "package_revoked"


def test_a_list_grows_and_keeps_what_it_said(run, installed, signed: Path, key):
    assert run("revoke", "expert-kit/tiny@1.0.0", "--reason", "first", "--key", "release", "--json").json["version"] == 1
    done = run("revoke", "--publisher", "expert-kit", "--lost-key", key.key_id, "--after", "2026-01-31", "--reason", "second",
               "--key", "release", "--json").json  # fmt: skip
    assert (done["version"], done["packages"], done["keys"]) == (2, 1, 1)
    third = run("revoke", "--list", "expert-kit.revocations.jsonl", "--key", "release", "--days", 90, "--json").json
    assert (third["version"], third["packages"], third["keys"]) == (3, 1, 1)
    revocations, signers = open_list(Path("expert-kit.revocations.jsonl").read_bytes())
    assert signers == (key.key_id,)
    assert str(revocations.keys[0].compromised_after) == "2026-01-31 00:00:00+00:00"
    assert (revocations.expires - revocations.issued).days == 90


def test_a_list_needs_enough_signatures_and_gets_them_by_cosigning(run, installed, signed: Path):
    run("keys", "new", "second")
    run("keys", "trust", "second", "--scope", "expert-kit/*")
    run("trust", "set", "expert-kit/*", "--threshold", 2)
    run("revoke", signed, "--reason", "bad", "--key", "release")
    refused = run("trust", "update", "expert-kit.revocations.jsonl", "--json")
    assert (refused.code, refused.error["code"]) == (4, "revocation_threshold")
    assert run("keys", "cosign", "expert-kit.revocations.jsonl", "--key", "second", "--json").json["kind"] == "revocations"
    assert run("trust", "update", "expert-kit.revocations.jsonl").code == 0


def test_a_strangers_list_is_refused(run, installed, signed: Path):
    run("keys", "new", "thief")
    run("revoke", signed, "--reason", "I do not like it", "--key", "thief")
    assert run("trust", "update", "expert-kit.revocations.jsonl", "--json").error["code"] == "revocation_threshold"
    assert run("verify", "--all").code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--publisher", "acme"], "revoke_what"),
        ([], "revoke_publisher"),
        (["acme/sql@1.0.0"], "expert_not_found"),
        (["gone.expert"], "archive_unreadable"),
        (["--publisher", "acme", "--lost-key", "release"], "revocation_invalid"),
        (["--publisher", "ACME", "--lost-key", "release", "--reason", "x"], "revocation_invalid"),
        (["--publisher", "acme", "--lost-key", "release", "--reason", "x", "--after", "31.01.2026"], "revoke_after"),
        (["--publisher", "acme", "--lost-key", "nobody", "--reason", "x"], "signature_key_unknown"),
        (["--publisher", "acme", "--lost-key", "release", "--reason", "x", "--list", "damaged"], "revocation_invalid"),
        (["--publisher", "acme", "--lost-key", "release", "--reason", "x", "--list", "."], "trust_file"),
    ],
)
def test_what_cannot_be_revoked_is_refused_and_nothing_is_written(run, key, words, code, tmp_path):
    Path("damaged").write_text("{}\n")
    before = sorted(tmp_path.iterdir())
    assert run("revoke", *words, "--key", "release", "--json").error["code"] == code
    assert sorted(tmp_path.iterdir()) == before


def test_a_list_speaks_for_one_publisher(run, signed: Path, key):
    refused = run("revoke", signed, "--publisher", "acme", "--reason", "x", "--key", "release", "--json")
    assert refused.error["code"] == "revoke_publisher"
    assert run("revoke", "--publisher", "acme", "--lost-key", "release", "--reason", "x", "--key", "release").code == 0
    mixed = run("revoke", signed, "--reason", "x", "--key", "release", "--list", "acme.revocations.jsonl", "--json")
    assert mixed.error["code"] == "revocation_invalid"
