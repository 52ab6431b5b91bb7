from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.signing import TrustStore


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_a_new_key_is_printed_listed_and_never_overwritten(run, kind):
    made = run("keys", "new", "release", "--type", kind)
    assert made.code == 0
    assert made.out.startswith("sha256:")
    assert run("keys", "list", "-q").out == made.out
    assert [(row["name"], row["key_type"]) for row in run("keys", "list", "--json").json] == [("release", kind)]
    again = run("keys", "new", "release", "--json")
    assert (again.code, again.error["code"]) == (4, "signature_key_exists")


def test_a_passphrase_comes_from_a_file_or_a_terminal(run, tmp_path):
    (tmp_path / "secret").write_text("open sesame\n")
    assert run("keys", "new", "locked", "--passphrase-file", tmp_path / "secret", "--json").json["encrypted"] is True
    asked = run("keys", "new", "other", "--passphrase", "--json")
    assert (asked.code, asked.error["code"]) == (2, "passphrase_needs_terminal")
    assert run("keys", "list", "-q").out.count("\n") == 1


@pytest.mark.parametrize("spelling", ["name", "fingerprint", "file"])
def test_a_key_is_trusted_by_name_fingerprint_or_file_and_untrusted_again(run, key, home, spelling):
    word = {"name": key.name, "fingerprint": key.key_id, "file": str(key.public_path)}[spelling]
    assert run("keys", "trust", word, "--scope", "acme/*").code == 0
    assert TrustStore(home).policy_for("acme/sql").keys == (key.key_id,)
    assert run("keys", "list", "--trusted", "-q").out == key.key_id + "\n"
    assert run("keys", "untrust", word, "--scope", "acme/*").code == 0
    assert TrustStore(home).policy_for("acme/sql").keys == ()


def test_trusting_needs_a_scope_and_a_key_that_there_is(run, key):
    assert run("keys", "trust", "release").code == 2
    assert run("keys", "trust", "release", "--scope", "everything").code == 4
    unknown = run("keys", "trust", "nobody", "--scope", "acme/*", "--json")
    assert unknown.code == 2  # --json is no option here
    assert run("keys", "trust", "nobody", "--scope", "acme/*").code == 4


def test_the_private_key_is_never_printed(run, home: Path):
    made = run("keys", "new", "release")
    secret = (home / "keys" / "release.pem").read_text().splitlines()[1]
    assert secret not in made.out + made.err
