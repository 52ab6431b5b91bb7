from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.signing import TrustStore, new_key
from expert_kit.signing.envelope import MAX_LINES


@pytest.fixture
def root(run, home: Path, tmp_path: Path) -> Path:
    """A signed root.json of acme; its root key is ``offline``, ``release`` signs packages."""
    for name in ("offline", "release"):
        new_key(home / "keys", name)
    path = tmp_path / "root.json"
    assert run("keys", "root", "acme", "--root-key", "offline", "--key", "release", "--out", path).code == 0
    return path


@pytest.fixture
def trusting(run, root: Path) -> Path:
    """The root is trusted."""
    digest = run("trust", "add", root, "--json").error["next"].split()[2].rstrip(",")
    assert run("trust", "add", root, "--digest", digest).code == 0
    return root


def test_a_root_is_trusted_only_by_the_digest_that_was_announced(run, root, home):
    refused = run("trust", "add", root, "--json")
    assert (refused.code, refused.error["code"]) == (2, "confirmation_needs_terminal")
    wrong = run("trust", "add", root, "--digest", "sha256:" + "0" * 64, "--json")
    assert (wrong.code, wrong.error["code"]) == (4, "root_digest")
    assert TrustStore(home).list() == []
    digest = refused.error["next"].split()[2].rstrip(",")
    done = run("trust", "add", root, "--digest", digest, "--json")
    assert (done.json["scope"], done.json["root"], done.json["keys"]) == ("acme/*", digest, [])


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 130)])
def test_a_person_compares_the_digest(run, root, monkeypatch, answer, code):
    monkeypatch.setattr("expert_kit.cli.trust.is_interactive", lambda: True)
    done = run("trust", "add", root, stdin=answer)
    assert done.code == code
    assert "sha256:" in done.err


def test_a_key_needs_a_scope(run, home, key):
    refused = run("trust", "add", "release", "--json")
    assert (refused.code, refused.error["code"]) == (2, "trust_scope_missing")
    assert run("trust", "add", "release", "--scope", "acme/*", "--expires", "2031-05-05", "--json").json["keys"] == [key.key_id]
    assert TrustStore(home).policy_for("acme/x").expires == {key.key_id: "2031-05-05"}


def test_options_that_do_not_fit_are_refused(run, root, home):
    for words in (["release", "--scope", "acme/*", "--digest", "sha256:x"], ["release", "--scope", "acme/*", "--replace"],
                  [root, "--expires", "2031-05-05"]):  # fmt: skip
        assert run("trust", "add", *words, "--json").error["code"] == "trust_add_what"
    assert not (home / "trust.toml").exists()


def test_list_shows_scopes_roots_and_lists(run, trusting, home, tmp_path):
    assert run("revoke", "--publisher", "acme", "--lost-key", "release", "--reason", "stolen", "--key", "offline",
               "--list", tmp_path / "list").code == 0  # fmt: skip
    assert run("trust", "update", tmp_path / "list").code == 0
    done = run("trust", "list")
    assert "acme/*" in done.out
    assert "default" in done.out
    assert "root of acme: version 1" in done.err
    assert "revocation list of acme: version 1" in done.err
    told = run("trust", "list", "--json").json
    assert [row["publisher"] for row in told["roots"]] == ["acme"]
    assert [(row["version"], row["keys"]) for row in told["revocation_lists"]] == [(1, 1)]
    assert told["policies"][-1]["scope"] == ""


def test_show_says_what_a_name_needs(run, trusting, home):
    release = run("keys", "list", "--json").json[1]["key_id"]
    assert run("trust", "show", "acme/sql", "--json").json["signers"] == [release]
    assert "first use: ask" in run("trust", "show", "other/sql").out
    text = run("trust", "show", "acme/sql").out
    assert f"signers: {release}" in text
    assert "revocation list: none" in text


def test_set_changes_demands_and_keeps_the_keys(run, key, home):
    run("keys", "trust", "release", "--scope", "acme/*")
    words = ["--level", "permissive", "--threshold", 2, "--base-match", "exact", "--max-stale-days", 7, "--require", "provenance",
             "--require", "eval:gsm8k>=0.30", "--attester", "release"]  # fmt: skip
    done = run("trust", "set", "acme/*", *words, "--json").json
    assert (done["keys"], done["level"], done["threshold"], done["base_match"]) == ([key.key_id], "permissive", 2, "exact")
    assert (done["require"], done["attesters"], done["max_stale_days"]) == (["provenance", "eval:gsm8k>=0.30"], [key.key_id], 7)
    cleared = run("trust", "set", "acme/*", "--require", "", "--attester", "", "--json").json
    assert (cleared["require"], cleared["attesters"], cleared["threshold"]) == ([], [], 2)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["acme/*", "--level", "lax"], "trust_invalid"),
        (["acme/*", "--require", "reputation"], "trust_invalid"),
        (["acme/*", "--require", "eval:x>=2"], "trust_invalid"),
        (["acme/*", "--max-stale-days", "3000000"], "trust_invalid"),
        (["acme", "--level", "audit"], "trust_invalid"),
        (["acme/*"], "trust_set_what"),
        (["acme/*", "--attester", "nobody"], "signature_key_unknown"),
    ],
)
def test_what_cannot_be_set_is_refused_and_nothing_is_written(run, home, words, code):
    assert run("trust", "set", *words, "--json").error["code"] == code
    assert not (home / "trust.toml").exists()


def test_a_scope_is_forgotten_when_a_person_says_so(run, key, home, monkeypatch):
    run("keys", "trust", "release", "--scope", "acme/*")
    assert run("trust", "remove", "acme/*", "--json").error["code"] == "confirmation_needs_terminal"
    with monkeypatch.context() as patch:
        patch.setattr("expert_kit.cli.trust.is_interactive", lambda: True)
        assert run("trust", "remove", "acme/*", stdin="n\n").code == 130
    assert run("trust", "remove", "acme/*", "--yes").out == "acme/*\n"
    assert TrustStore(home).list() == []
    assert run("trust", "remove", "acme/*", "--yes", "--json").error["code"] == "trust_unknown"


def test_update_takes_in_the_next_root(run, trusting, home):
    new_key(home / "keys", "release-2")
    assert run("keys", "rotate", trusting, "--add", "release-2", "--drop", "release").code == 0
    done = run("trust", "update", trusting.with_name("2.root.json"))
    assert "no longer may sign" in done.out
    again = run("trust", "update", trusting.with_name("2.root.json"), "--json").json
    assert [(row["kind"], row["version"], row["changed"]) for row in again] == [("root", 2, False)]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"signatures":[]}', b"\x1b[2J"])
def test_a_file_that_is_no_update_is_refused(run, trusting, tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    done = run("trust", "update", tmp_path / "file", "--json")
    assert done.code == 4
    assert run("trust", "update", tmp_path / "gone", "--json").error["code"] == "trust_file"


def test_of_several_files_the_refused_one_is_named(run, trusting, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new_key(home / "keys", "release-2")
    assert run("keys", "rotate", trusting, "--add", "release-2", "--out", "a").code == 0
    (tmp_path / "b").write_bytes(b"{}")
    done = run("trust", "update", "a", "b", "c", "--json")
    assert done.code == 4
    assert done.error["message"].startswith("b: ")
    assert done.error["code"] == "signature_malformed"
    assert run("trust", "list", "--json").json["roots"][0]["version"] == 2


def test_an_empty_scope_is_no_scope(run, root, home):
    digest = run("trust", "add", root, "--json").error["next"].split()[2].rstrip(",")
    for words in (["trust", "add", root, "--digest", digest], ["trust", "add", "release"], ["keys", "trust", "release"]):
        done = run(*words, "--scope", "", "--json")
        assert (done.code, done.error["code"], done.error["type"]) == (2, "trust_scope_missing", "UsageError")
    assert not (home / "trust.toml").exists()


@pytest.mark.parametrize("threshold", ["0", "-1", "33", "3" * 30])
def test_a_threshold_that_no_archive_can_reach_is_refused(run, home, threshold):
    for words in (["trust", "set", "acme/*"], ["keys", "root", "acme", "--key", "release"], ["keys", "rotate", "root.json"]):
        done = run(*words, "--threshold", threshold, "--json")
        assert (done.code, done.error["type"], done.error["param"]) == (2, "UsageError", "threshold")
        assert "from 1 to 32" in done.error["message"]
    assert MAX_LINES == 32
    assert run("trust", "set", "acme/*", "--threshold", MAX_LINES, "--json").json["threshold"] == MAX_LINES


def test_log_shows_what_happened_and_notices_a_cut(run, trusting, home):
    rows = run("trust", "log", "--json").json
    assert rows["problem"] is None
    assert [row["event"] for row in rows["events"]] == ["root_trusted"]
    assert "root_trusted" in run("trust", "log").out
    log = home / "trust" / "events.jsonl"
    log.write_text(json.dumps({**rows["events"][0], "scope": "evil/*"}) + "\n")
    broken = run("trust", "log")
    assert broken.code == 9
    assert "damaged" in broken.err
    assert "damaged" in run("trust", "list").err


@pytest.mark.parametrize("line", ["garbage\n", "{}\n", '{"event": "\\u001b[2J"}\n'])
def test_a_log_with_foreign_lines_is_shown_as_far_as_it_can_be(run, trusting, home, line):
    log = home / "trust" / "events.jsonl"
    log.write_text(log.read_text() + line)
    done = run("trust", "log")
    assert done.code == 9
    assert "\x1b" not in done.out
    assert run("trust", "log", "--json").json["problem"]


def test_a_scope_that_skips_wants_nothing_and_is_warned_about(run, home):
    done = run("trust", "set", "new/*", "--level", "skip")
    assert "warning[signature_skipped]: signatures of new/* are not checked any more" in done.err
    assert "wanted" not in done.err
    (row,) = [line.split() for line in run("trust", "list").out.splitlines() if line.startswith("new/*")]
    assert row == ["new/*", "skip", "-"]
    assert "wanted: none, signatures are not checked" in run("trust", "show", "new/x").out
    assert run("trust", "show", "new/x", "--json").json["wanted"] == 0
    back = run("trust", "set", "new/*", "--level", "strict")
    assert "1 signature(s) wanted" in back.err
    assert "warning" not in back.err
