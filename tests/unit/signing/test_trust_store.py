from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from expert_kit.errors import SignatureError, UntrustedKeyError
from expert_kit.signing import FirstUse, Policy, TrustStore, new_key

A, B, C = ("sha256:" + letter * 64 for letter in "abc")


def store(home: Path, text: str = "") -> TrustStore:
    if text:
        path = home / "trust.toml"
        path.write_text(text)
        path.chmod(0o600)
    return TrustStore(home)


def yes(_: FirstUse) -> bool:
    return True


def never_asked(_: FirstUse) -> bool:
    raise AssertionError("nobody may be asked here")


def test_without_a_file_everything_is_strict_and_on_first_use(tmp_path: Path) -> None:
    assert store(tmp_path).policy_for("acme/sql") == Policy()
    assert list(tmp_path.iterdir()) == []


def test_the_longest_matching_scope_wins_and_is_not_mixed_with_the_shorter_one(tmp_path: Path) -> None:
    trust = store(
        tmp_path,
        f'[[policy]]\nscope = "acme/*"\nkeys = ["{A}"]\nbase_match = "exact"\n[[policy]]\nscope = "acme/sql"\nkeys = ["{B}"]\n',
    )
    assert trust.policy_for("acme/sql").keys == (B,)
    assert trust.policy_for("acme/sql").base_match == "family"
    assert trust.policy_for("acme/other").keys == (A,)
    assert trust.policy_for("acme-corp/sql").keys == ()


def test_trusted_keys_are_written_and_read_again(tmp_path: Path) -> None:
    trust = store(tmp_path / "home")
    trust.trust("acme/*", A)
    trust.trust("acme/*", B)
    trust.trust("acme/*", A)
    trust.trust("other/sql", C)
    assert {policy.scope: policy.keys for policy in TrustStore(tmp_path / "home").list()} == {"acme/*": (A, B), "other/sql": (C,)}
    assert trust.path.stat().st_mode & 0o777 == 0o600
    assert tomllib.loads(trust.path.read_text())["default"] == {"level": "strict", "threshold": 1, "base_match": "family", "tofu": "ask"}
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == [".trust.toml.lock", "trust", "trust.toml"]


def test_writing_keeps_what_the_user_wrote(tmp_path: Path) -> None:
    trust = store(
        tmp_path,
        f'[[policy]]\nscope = "acme/*"\nlevel = "audit"\nkeys = ["{A}"]\nthreshold = 2\nbase_match = "exact"\n[default]\ntofu = "never"\n',
    )
    trust.trust("acme/*", B)
    assert trust.list() == [Policy("acme/*", "audit", (A, B), 2, "exact", "never")]
    assert trust.default() == Policy(tofu="never")


def test_a_key_can_be_taken_back(tmp_path: Path) -> None:
    trust = store(tmp_path)
    trust.trust("acme/*", A)
    trust.remove("acme/*", A)
    assert trust.policy_for("acme/sql").keys == ()
    with pytest.raises(SignatureError) as caught:
        trust.remove("acme/*", A)
    assert caught.value.code == "trust_unknown"


def test_a_public_key_must_have_the_fingerprint_it_is_trusted_under(tmp_path: Path) -> None:
    info = new_key(tmp_path, "alice")
    pem = info.public_path.read_bytes()
    assert store(tmp_path).trust("acme/*", info.key_id, pem).keys == (info.key_id,)
    with pytest.raises(SignatureError) as caught:
        store(tmp_path).trust("acme/*", A, pem)
    assert caught.value.code == "trust_invalid"


@pytest.mark.parametrize("scope", ["", "*", "acme", "acme/", "acme/**", "acme/a*", "ACME/*", "acme/../x"])
def test_a_scope_is_a_name_or_a_namespace(tmp_path: Path, scope: str) -> None:
    with pytest.raises(SignatureError) as caught:
        store(tmp_path).trust(scope, A)
    assert caught.value.code == "trust_invalid"


@pytest.mark.parametrize(
    "text",
    [
        'level = "strict"',
        '[default]\nlevel = "skip"',
        '[default]\nlevel = "lax"',
        '[default]\ntofu = "always"',
        "[default]\nmax_stale_days = 0",
        "[default]\nmax_stale_days = 3651",
        '[[policy]]\nscope = "acme/*"\nmax_stale_days = 3000000',
        '[[policy]]\nscope = "acme/*"\nroot = "sha256:abc"',
        '[default]\nroot = "sha256:..."',
        f'[[policy]]\nscope = "acme/*"\nkeys = ["{A}"]\nroot = "{B}"',
        f'[[policy]]\nscope = "acme/*"\nkeys = ["{A}"]\nexpires = {{ "{B}" = "2027-01-01" }}',
        f'[[policy]]\nscope = "acme/*"\nkeys = ["{A}"]\nexpires = {{ "{A}" = "01.01.2027" }}',
        f'[[policy]]\nscope = "acme/*"\nkeys = ["{A}"]\nexpires = {{ "{A}" = 2027-01-01 }}',
        '[[policy]]\nscope = "acme/*"\ntofu = "ask"',
        '[[policy]]\nlevel = "strict"',
        '[[policy]]\nscope = "acme/*"\nrequire = ["reputation"]',
        '[[policy]]\nscope = "acme/*"\nrequire = ["eval:"]',
        '[[policy]]\nscope = "acme/*"\nrequire = ["eval:x>=2"]',
        '[[policy]]\nscope = "acme/*"\nrequire = [1]',
        '[[policy]]\nscope = "acme/*"\nattesters = ["sha256:abc"]',
        '[[policy]]\nscope = "acme/*"\nkeys = ["sha256:abc"]',
        '[[policy]]\nscope = "acme/*"\nkeys = "sha256:abc"',
        '[[policy]]\nscope = "*"',
        '[[policy]]\nscope = "acme/*"\nthreshold = 0',
        '[[policy]]\nscope = "acme/*"\nthreshold = true',
        '[[policy]]\nscope = "acme/*"\nbase_match = "any"',
        '[[policy]]\nscope = "acme/*"\n[[policy]]\nscope = "acme/*"',
        f'[[policy]]\nscope = "acme/*"\nkeys = ["{A}", "{A}"]',
        "policy = 3",
        "default = 3",
        "[default",
        "\x00",
    ],
)
def test_a_file_that_is_not_understood_is_refused_as_a_whole(tmp_path: Path, text: str) -> None:
    with pytest.raises(SignatureError) as caught:
        store(tmp_path, text).policy_for("other/name")
    assert caught.value.code == "trust_invalid"
    assert "trust.toml" in caught.value.message


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    trust = store(tmp_path, '[default]\ntofu = "ask"\n')
    trust.path.chmod(0o622)
    with pytest.raises(SignatureError) as caught:
        trust.policy_for("acme/sql")
    assert caught.value.hint.endswith(f"chmod 600 {trust.path}, or: expert-kit doctor --repair")


def test_a_trusted_signer_is_admitted_without_a_question(tmp_path: Path) -> None:
    trust = store(tmp_path)
    trust.trust("acme/*", A)
    admission = trust.admit("acme/sql", (B, A), ask=never_asked)
    assert (admission.signers, admission.to_trust, admission.warnings) == ((A,), (), ())


def test_an_unknown_key_without_anyone_to_ask_is_refused_with_the_exact_command(tmp_path: Path) -> None:
    with pytest.raises(UntrustedKeyError) as caught:
        store(tmp_path).admit("acme/sql", (A,))
    assert caught.value.code == "signature_untrusted_key"
    assert f"expert-kit keys trust {A} --scope 'acme/*'" in caught.value.hint
    assert caught.value.hint.startswith("anybody can make a key")


def test_first_use_shows_publisher_and_fingerprint_and_a_yes_is_written_later(tmp_path: Path) -> None:
    trust, asked = store(tmp_path), []

    def ask(use: FirstUse) -> bool:
        asked.append(use)
        return True

    admission = trust.admit("acme/sql", (A,), ask=ask)
    assert asked == [FirstUse("acme/sql", "acme", A, "acme/*")]
    assert asked[0].command == f"expert-kit keys trust {A} --scope 'acme/*'"
    assert trust.list() == []
    trust.remember(admission)
    assert trust.policy_for("acme/other").keys == (A,)


def test_a_no_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(UntrustedKeyError):
        store(tmp_path).admit("acme/sql", (A,), ask=lambda _: False)


def test_tofu_never_does_not_ask(tmp_path: Path) -> None:
    with pytest.raises(UntrustedKeyError):
        store(tmp_path, '[default]\ntofu = "never"\n').admit("acme/sql", (A,), ask=never_asked)


def test_tofu_accept_new_admits_without_a_question_and_says_so(tmp_path: Path) -> None:
    admission = store(tmp_path, '[default]\ntofu = "accept-new"\n').admit("acme/sql", (A,), ask=never_asked)
    assert admission.signers == (A,)
    assert admission.warnings == ("signature_first_use",)


def test_another_key_where_one_is_trusted_is_an_error_and_never_a_question(tmp_path: Path) -> None:
    trust = store(tmp_path)
    trust.trust("acme/*", A)
    with pytest.raises(UntrustedKeyError) as caught:
        trust.admit("acme/sql", (B,), ask=never_asked)
    assert caught.value.code == "signature_key_changed"
    assert f"expert-kit keys trust {B} --scope 'acme/*'" in caught.value.hint
    assert f"expert-kit keys untrust {A} --scope 'acme/*'" in caught.value.hint


@pytest.mark.parametrize("tofu", ["ask", "accept-new"])
def test_another_key_for_an_installed_name_is_an_error_even_if_no_key_is_written(tmp_path: Path, tofu: str) -> None:
    with pytest.raises(UntrustedKeyError) as caught:
        store(tmp_path, f'[default]\ntofu = "{tofu}"\n').admit("acme/sql", (B,), known=(A,), ask=never_asked)
    assert caught.value.code == "signature_key_changed"


def test_a_new_key_that_was_trusted_on_purpose_replaces_the_one_of_an_installed_name(tmp_path: Path) -> None:
    trust = store(tmp_path)
    trust.trust("acme/*", B)
    assert trust.admit("acme/sql", (B,), known=(A,)).signers == (B,)


def test_a_threshold_counts_different_trusted_keys(tmp_path: Path) -> None:
    trust = store(tmp_path, f'[[policy]]\nscope = "acme/*"\nkeys = ["{A}", "{B}"]\nthreshold = 2\n')
    assert trust.admit("acme/sql", (A, B)).signers == (A, B)
    for signers in ((A,), (A, A), (A, C)):
        with pytest.raises(UntrustedKeyError) as caught:
            trust.admit("acme/sql", signers, ask=never_asked)
        assert caught.value.code == "signature_threshold"


def test_a_threshold_holds_on_first_use_too(tmp_path: Path) -> None:
    trust = store(tmp_path, "[default]\nthreshold = 2\n")
    with pytest.raises(UntrustedKeyError) as caught:
        trust.admit("acme/sql", (A,), ask=yes)
    assert caught.value.code == "signature_threshold"
    admission = trust.admit("acme/sql", (A, B), ask=yes)
    trust.remember(admission)
    assert trust.policy_for("acme/sql").threshold == 2


@pytest.mark.parametrize("level", ["strict", "permissive"])
def test_permissive_is_no_way_around_a_key(tmp_path: Path, level: str) -> None:
    trust = store(tmp_path, f'[[policy]]\nscope = "acme/*"\nlevel = "{level}"\nkeys = ["{A}"]\n')
    with pytest.raises(UntrustedKeyError):
        trust.admit("acme/sql", (B,))


def test_audit_lets_through_and_says_what_is_missing(tmp_path: Path) -> None:
    trust = store(tmp_path, f'[[policy]]\nscope = "acme/*"\nlevel = "audit"\nkeys = ["{A}"]\n')
    admission = trust.admit("acme/sql", (B,), ask=never_asked)
    assert (admission.signers, admission.warnings) == ((), ("signature_untrusted_key",))


def test_skip_trusts_nobody_and_says_so(tmp_path: Path) -> None:
    trust = store(tmp_path, '[[policy]]\nscope = "acme/*"\nlevel = "skip"\n')
    admission = trust.admit("acme/sql", ())
    assert (admission.signers, admission.warnings) == ((), ("signature_skipped",))


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SignatureError) as caught:
        store(tmp_path / "file" / "home").trust("acme/*", A)
    assert caught.value.code in {"trust_unwritable", "trust_invalid"}
    (tmp_path / "trust.toml").mkdir()
    with pytest.raises(SignatureError) as caught:
        store(tmp_path).policy_for("acme/sql")
    assert caught.value.code == "trust_invalid"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust = store(tmp_path)
    trust.trust("acme/*", A)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(SignatureError) as caught:
            trust.trust("acme/*", B)
    assert caught.value.code == "trust_unwritable"
    assert trust.policy_for("acme/sql").keys == (A,)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".trust.toml.lock", "trust", "trust.toml"]


def test_an_endless_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="larger than"):
        store(tmp_path, "#" * (1 << 20) + "#").policy_for("acme/sql")


@pytest.mark.parametrize("fingerprint", ["", "abc", "sha256:abc", A.upper()])
def test_only_a_fingerprint_can_be_trusted(tmp_path: Path, fingerprint: str) -> None:
    with pytest.raises(SignatureError) as caught:
        store(tmp_path).trust("acme/*", fingerprint)
    assert caught.value.code == "trust_invalid"
    assert not (tmp_path / "trust.toml").exists()


def test_two_processes_that_trust_at_once_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from expert_kit.signing import TrustStore\n"
        "for n in range(25): TrustStore(Path(sys.argv[1])).trust(f'{sys.argv[2]}/e{n}', 'sha256:' + 'a' * 64)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), namespace]) for namespace in ("one", "two")]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert len(store(tmp_path).list()) == 50


def test_a_lock_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / ".trust.toml.lock").mkdir()
    with pytest.raises(SignatureError) as caught:
        store(tmp_path).trust("acme/*", A)
    assert caught.value.code == "trust_unwritable"


def test_demands_change_and_keys_stay(tmp_path: Path) -> None:
    trust = store(tmp_path)
    trust.trust("acme/*", A, expires="2031-01-01")
    policy = trust.demand("acme/*", threshold=2, require=("provenance",))
    assert (policy.keys, policy.expires, policy.threshold, policy.require) == ((A,), {A: "2031-01-01"}, 2, ("provenance",))
    assert TrustStore(tmp_path).policy_for("acme/x") == policy
    with pytest.raises(SignatureError) as caught:
        trust.demand("acme/*", level="lax")
    assert caught.value.code == "trust_invalid"
    assert TrustStore(tmp_path).policy_for("acme/x") == policy


def test_a_new_scope_starts_from_the_default(tmp_path: Path) -> None:
    trust = store(tmp_path, '[default]\nlevel = "audit"\nbase_match = "exact"\nmax_stale_days = 7\n')
    policy = trust.demand("acme/*", threshold=2)
    assert (policy.level, policy.base_match, policy.max_stale_days) == ("strict", "exact", 7)


def test_a_scope_can_be_forgotten(tmp_path: Path) -> None:
    trust = store(tmp_path)
    trust.trust("acme/*", A)
    trust.trust("other/*", B)
    trust.forget("acme/*")
    assert [policy.scope for policy in trust.list()] == ["other/*"]
    with pytest.raises(SignatureError) as caught:
        trust.forget("acme/*")
    assert caught.value.code == "trust_unknown"
    assert [row["event"] for row in trust.events.rows()] == ["key_trusted", "key_trusted", "scope_forgotten"]


def test_signers_and_authority_are_the_keys_of_the_scope(tmp_path: Path) -> None:
    trust = store(tmp_path)
    assert (trust.signers_of("acme/sql").keys, trust.authority("acme")) == ((), None)
    trust.trust("acme/*", A)
    trust.trust("acme/sql", B)
    assert (trust.signers_of("acme/sql").keys, trust.signers_of("acme/x").keys) == ((B,), (A,))
    authority = trust.authority("acme")
    assert authority is not None
    assert (authority.keys, authority.threshold) == ((A,), 1)


def test_a_file_of_the_first_release_keeps_working(tmp_path: Path) -> None:
    text = f'''# Written by expert-kit; comments are not kept.

[[policy]]
scope = "acme/*"
level = "strict"
keys = ["{A}"]
threshold = 1
base_match = "family"

[default]
level = "strict"
threshold = 1
base_match = "family"
tofu = "ask"
'''
    trust = store(tmp_path, text)
    assert trust.admit("acme/sql", (A,)).signers == (A,)
    trust.trust("acme/*", A)
    assert trust.path.read_text() == text


@pytest.mark.parametrize("day", ["", "2020-13-45", "31.12.2031", "2026-01-30"])
def test_a_last_day_is_a_day_that_is_not_over(tmp_path: Path, day: str) -> None:
    trust = TrustStore(tmp_path, now=lambda: datetime(2026, 1, 31, 12, tzinfo=UTC))
    with pytest.raises(SignatureError) as caught:
        trust.trust("acme/*", A, expires=day)
    assert caught.value.code == "trust_invalid"
    assert "YYYY-MM-DD" in caught.value.hint
    assert trust.list() == []
    assert trust.trust("acme/*", A, expires="2026-01-31").expires == {A: "2026-01-31"}
    assert trust.trust("acme/*", A).expires == {A: "2026-01-31"}
