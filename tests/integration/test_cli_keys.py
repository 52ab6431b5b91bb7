from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from expert_kit.signing import TrustStore, find_key, load_private_key, new_key
from expert_kit.signing.roots import root_digest
from expert_kit.signing.rotation import check_first, check_next


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
    assert run("keys", "trust", "release", "--scope", "everything", "--json").error["code"] == "trust_invalid"
    unknown = run("keys", "trust", "nobody", "--scope", "acme/*", "--json")
    assert (unknown.code, unknown.error["code"]) == (4, "signature_key_unknown")


def test_trusting_and_untrusting_say_what_changed(run, key):
    assert run("keys", "trust", "release", "--scope", "acme/*", "--json").json["keys"] == [key.key_id]
    assert run("keys", "untrust", "release", "--scope", "acme/*", "--json").json == {"scope": "acme/*", "key_id": key.key_id}


@pytest.fixture
def three_keys(home: Path) -> dict[str, str]:
    """Fingerprints of the own keys offline, offline-2 and release."""
    return {name: new_key(home / "keys", name).key_id for name in ("offline", "offline-2", "release")}


def test_a_root_is_made_signed_and_never_overwritten(run, three_keys, tmp_path):
    words = ["keys", "root", "acme", "--root-key", "offline", "--key", "release", "--out", tmp_path / "root.json"]
    done = run(*words, "--json").json
    assert (done["publisher"], done["version"], done["missing"], done["missing_by_previous"]) == ("acme", 1, 0, 0)
    assert done["digest"] == root_digest((tmp_path / "root.json").read_bytes())
    assert check_first((tmp_path / "root.json").read_bytes()).targets.keys == (three_keys["release"],)
    again = run(*words, "--json")
    assert (again.code, again.error["code"]) == (2, "root_exists")


def test_a_root_rotates_with_both_sides_signatures(run, three_keys, tmp_path, home):
    first, second = tmp_path / "root.json", tmp_path / "2.root.json"
    run("keys", "root", "acme", "--root-key", "offline", "--key", "release", "--out", first)
    stranger = new_key(tmp_path / "elsewhere", "offline-3")
    done = run(
        "keys", "rotate", first, "--add-root", stranger.public_path, "--root-threshold", 2, "--drop", "release", "--add", "offline-2"
    )
    assert "missing signatures: 0 by root keys of the version before, 1 by its own" in done.err
    assert "expert-kit keys cosign" in done.err
    stranger.private_path.rename(home / "keys" / "offline-3.pem")
    stranger.public_path.rename(home / "keys" / "offline-3.pub.pem")
    assert run("keys", "cosign", second, "--key", "offline-3", "--json").json["signer"] == stranger.key_id
    root = check_next(first.read_bytes(), second.read_bytes())
    assert (root.version, root.root.threshold, root.targets.keys) == (2, 2, (three_keys["offline-2"],))
    assert run("keys", "rotate", second, "--json").json["version"] == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["rotate", "root.json", "--drop", "offline-2"], "root_key_unknown"),
        (["rotate", "root.json", "--drop", "release"], "root_invalid"),
        (["rotate", "root.json", "--threshold", "2"], "root_invalid"),
        (["rotate", "gone.json"], "trust_file"),
        (["rotate", "list"], "root_invalid"),
        (["root", "acme", "--key", "nobody", "--out", "new.json"], "signature_key_unknown"),
        (["root", "ACME", "--key", "release", "--out", "new.json"], "root_invalid"),
        (["cosign", "list", "--key", "release"], "signature_malformed"),
        (["cosign", "root.json", "--key", "nobody"], "signature_key_unknown"),
        (["cosign", "root.json", "--key", "release"], "root_key_unknown"),
        (["cosign", "root.json", "--key", "offline", "--previous", "list"], "root_invalid"),
        (["cosign", "root.json", "--key", "offline", "--previous", "root.json"], "root_previous"),
    ],
)
def test_what_makes_no_root_is_refused_and_nothing_is_written(run, three_keys, tmp_path, monkeypatch, words, code):
    monkeypatch.chdir(tmp_path)
    run("keys", "root", "acme", "--root-key", "offline", "--key", "release")
    Path("list").write_text("{}\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert run("keys", *words, "--json").error["code"] == code
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_passphrase_is_asked_for_at_the_terminal_and_not_shown(home: Path, tmp_path: Path):
    """A real terminal and a real process, as the question must not echo."""
    import os
    import pty
    import select
    import subprocess
    import sys

    master, slave = pty.openpty()
    words = [sys.executable, "-m", "expert_kit", "keys", "new", "locked", "--passphrase"]
    process = subprocess.Popen(words, stdin=slave, stdout=subprocess.PIPE, stderr=slave, start_new_session=True)
    os.close(slave)
    shown = b""
    for questions in (1, 2):
        # The space is written after the echo was switched off, and what was typed before that is thrown away.
        while shown.count(b": ") < questions:
            assert select.select([master], [], [], 60)[0], shown
            shown += os.read(master, 1000)
        os.write(master, b"open sesame\n")
    out, _ = process.communicate(timeout=200)
    os.close(master)
    assert (process.returncode, out[:7]) == (0, b"sha256:")
    assert b"sesame" not in shown
    assert find_key(home / "keys", "locked").encrypted
    assert load_private_key(home / "keys" / "locked.pem", "open sesame")


def test_the_private_key_is_never_printed(run, home: Path):
    made = run("keys", "new", "release")
    secret = (home / "keys" / "release.pem").read_text().splitlines()[1]
    assert secret not in made.out + made.err


def test_a_publisher_that_looks_like_a_known_one_is_warned_about(run, key):
    assert "name_confusable" not in run("keys", "trust", "release", "--scope", "acme/*").err
    done = run("keys", "trust", "release", "--scope", "acrne/*")
    assert done.code == 0
    assert "warning[name_confusable]: acrne is not acme, which you know here" in done.err


@pytest.fixture
def away(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a key pair on another machine; returns the public half."""
    return lambda name: new_key(tmp_path / "elsewhere", name).public_path


def brought(public: Path, home: Path) -> str:
    """The key pair is here now; returns its name."""
    name = public.name.removesuffix(".pub.pem")
    for suffix in (".pem", ".pub.pem"):
        (public.parent / f"{name}{suffix}").rename(home / "keys" / f"{name}{suffix}")
    return name


def test_the_digest_to_publish_is_that_of_the_last_signature(run, three_keys, tmp_path, home, away):
    file, second = tmp_path / "root.json", away("second")
    made = run("keys", "root", "acme", "--root-key", "offline", "--root-key", second, "--root-threshold", 2, "--key", "release",
               "--out", file)  # fmt: skip
    assert "missing signatures: 1 by its root keys" in made.err
    assert "the version before" not in made.err
    assert "not final: publish the one that the last `keys cosign` prints" in made.err
    done = run("keys", "cosign", file, "--key", brought(second, home))
    assert done.out == root_digest(file.read_bytes()) + "\n" != made.out
    assert "no signature is missing" in done.err
    assert "not final" not in done.err
    assert run("trust", "add", file, "--digest", done.out.strip()).code == 0


def test_cosigning_says_what_is_still_missing(run, three_keys, tmp_path, home, away):
    first, second = tmp_path / "root.json", tmp_path / "2.root.json"
    run("keys", "root", "acme", "--root-key", "offline", "--key", "release", "--out", first)
    others = [away(name) for name in ("other", "third")]
    words = [word for public in others for word in ("--add-root", public)]
    run("keys", "rotate", first, *words, "--drop-root", "offline", "--root-threshold", 2)
    done = run("keys", "cosign", second, "--key", brought(others[0], home))
    assert "missing signatures: 0 by root keys of the version before, 1 by its own" in done.err
    name = brought(others[1], home)
    first.rename(tmp_path / "first")
    blind = run("keys", "cosign", second, "--key", name, "--json").json
    assert (blind["missing_by_previous"], blind["missing"]) == (None, 0)
    assert "cannot be counted" in run("keys", "cosign", second, "--key", name).err
    refused = run("keys", "cosign", second, "--key", "offline", "--json")
    assert (refused.code, refused.error["code"]) == (2, "root_key_unknown")
    assert "--previous" in refused.error["next"]
    known = run("keys", "cosign", second, "--key", "offline", "--previous", tmp_path / "first", "--json").json
    assert (known["missing_by_previous"], known["missing"], known["digest"]) == (0, 0, root_digest(second.read_bytes()))
    assert check_next((tmp_path / "first").read_bytes(), second.read_bytes()).version == 2


def test_a_stranger_to_a_first_root_is_not_sent_after_a_version_before(run, three_keys, tmp_path):
    run("keys", "root", "acme", "--root-key", "offline", "--key", "release", "--out", tmp_path / "root.json")
    refused = run("keys", "cosign", tmp_path / "root.json", "--key", "offline-2", "--json")
    assert (refused.error["code"], refused.error["next"]) == ("root_key_unknown", "sign with one of its root keys")


def test_a_file_that_nobody_can_cosign_is_called_what_it_is(run, key, tmp_path):
    (tmp_path / "prov.json").write_text('{"buildDefinition": {}}\n')
    for words in (["keys", "cosign", tmp_path / "prov.json", "--key", "release"], ["trust", "update", tmp_path / "prov.json"]):
        error = run(*words, "--json").error
        assert error["code"] == "signature_malformed"
        assert error["message"].removeprefix(f"{tmp_path / 'prov.json'}: ") == "neither a root.json nor a revocation list"
        assert "archive" not in error["next"]


@pytest.mark.parametrize("day", ["", "2020-13-45", "2020-01-01"])
@pytest.mark.parametrize("words", [["keys", "trust"], ["trust", "add"]])
def test_a_last_day_that_is_none_is_refused(run, key, home, words, day):
    refused = run(*words, "release", "--scope", "acme/*", "--expires", day, "--json")
    assert (refused.code, refused.error["code"]) == (4, "trust_invalid")
    assert "YYYY-MM-DD" in refused.error["next"]
    assert TrustStore(home).list() == []


def test_trusting_again_says_the_last_day_that_stays(run, key):
    run("keys", "trust", "release", "--scope", "acme/*", "--expires", "2031-12-31")
    assert "until 2031-12-31" in run("keys", "trust", "release", "--scope", "acme/*").err


@pytest.mark.parametrize(("words", "code"), [(["a b"], "signature_key_name"), (["a", "--type", "rsa"], "signature_key_type")])
def test_a_key_that_cannot_be_made_has_a_next_step(run, home, words, code):
    error = run("keys", "new", *words, "--json").error
    assert error["code"] == code
    assert "expert-kit keys new" in error["next"]
