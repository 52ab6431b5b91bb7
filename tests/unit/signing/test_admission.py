"""The table of levels: what is refused, warned about or logged."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from expert_kit.errors import CheckUnavailableError, ExpertKitError, RevokedError
from expert_kit.signing.admission import Admission, Case, Facts, FirstUse, check_not_revoked, decide
from expert_kit.signing.attestations import Attestation
from expert_kit.signing.policy import Policy
from expert_kit.signing.revocations import RevocationList, RevokedKey, RevokedPackage
from expert_kit.signing.roots import RoleKeys, TrustedRoot

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
IDENTITY = "sha256:" + "1" * 64


def policy(level: str = "strict", **more: Any) -> Policy:
    more.setdefault("keys", (A,))
    return Policy("acme/*", level, **more)


def case(*signers: str, **more: Any) -> Case:
    return Case("acme/sql", signers, identity=IDENTITY, **more)


def revocations(*, keys: tuple[RevokedKey, ...] = (), packages: tuple[RevokedPackage, ...] = (), age: int = 1) -> RevocationList:
    issued = NOW - age * DAY
    return RevocationList("acme", 3, issued, issued + 60 * DAY, packages, keys)


def root(*keys: str, threshold: int = 1, expires: datetime = NOW + DAY) -> TrustedRoot:
    return TrustedRoot("acme", 2, expires, RoleKeys((C,), 1), RoleKeys(keys, threshold))


EXPIRED = Facts(policy(expires={A: "2026-05-31"}), NOW)
OLD_ROOT = Facts(Policy("acme/*", root=C), NOW, root(A, expires=NOW - DAY))
STALE = Facts(policy(), NOW, revocations=revocations(age=31))
BARE = Facts(policy(require=("provenance",)), NOW)
SOFT = [
    (EXPIRED, "signature_key_expired"),
    (OLD_ROOT, "trust_root_expired"),
    (STALE, "revocation_list_stale"),
    (BARE, "attestation_missing"),
]
REVOKED = Facts(policy(), NOW, revocations=revocations(packages=(RevokedPackage(IDENTITY, "acme/sql@1.0.0", "bad"),)))
LOST = Facts(policy(), NOW, revocations=revocations(keys=(RevokedKey(A, NOW - DAY, "stolen"),)))
HARD = [
    (Facts(policy(), NOW), (B,), "signature_key_changed"),
    (Facts(policy(threshold=2, keys=(A, B)), NOW), (A,), "signature_threshold"),
    (REVOKED, (A,), "package_revoked"),
    (LOST, (A,), "signature_key_revoked"),
    (Facts(Policy("acme/*", root=C), NOW, root(A, B, threshold=2)), (A,), "signature_threshold"),
]


def at(level: str, facts: Facts) -> Facts:
    from dataclasses import replace

    return replace(facts, policy=replace(facts.policy, level=level))


@pytest.mark.parametrize(("facts", "code"), SOFT, ids=[code for _, code in SOFT])
def test_what_a_strict_policy_refuses_a_permissive_one_warns_about(facts: Facts, code: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ExpertKitError) as caught:
        decide(case(A), facts, None)
    assert caught.value.code == code
    assert caught.value.hint
    caplog.set_level(logging.INFO, logger="expert_kit.signing.admission")
    for level, logged in (("permissive", "WARNING"), ("audit", "INFO")):
        caplog.clear()
        admission = decide(case(A), at(level, facts), None)
        assert (admission.warnings, admission.signers, admission.origin) == ((code,), (A,), "signed")
        assert [record.levelname for record in caplog.records] == [logged]
    assert decide(case(A), at("skip", facts), None).warnings == ("signature_skipped",)


@pytest.mark.parametrize(("facts", "signers", "code"), HARD, ids=[row[2] for row in HARD[:4]] + ["root_threshold"])
def test_what_every_level_but_audit_and_skip_refuses(facts: Facts, signers: tuple[str, ...], code: str) -> None:
    for level in ("strict", "permissive"):
        with pytest.raises(ExpertKitError) as caught:
            decide(case(*signers), at(level, facts), None)
        assert caught.value.code == code
    admission = decide(case(*signers), at("audit", facts), None)
    assert admission.origin == "audit"
    assert admission.warnings in ((code,), ("signature_untrusted_key",))
    assert decide(case(*signers), at("skip", facts), None).origin == "skip"


def test_the_unchecked_is_another_answer_than_the_bad() -> None:
    for facts in (OLD_ROOT, STALE):
        with pytest.raises(CheckUnavailableError):
            decide(case(A), facts, None)


def test_a_day_in_expires_is_the_last_one() -> None:
    day = Facts(policy(expires={A: "2026-05-31"}), NOW - timedelta(seconds=1))
    assert decide(case(A), day, None).warnings == ()


def test_an_expired_key_does_not_matter_beside_enough_others() -> None:
    facts = Facts(policy(keys=(A, B), expires={A: "2026-05-31"}), NOW)
    assert decide(case(A, B), facts, None).signers == (B,)


def test_a_root_says_who_may_sign_and_a_policy_can_only_want_more() -> None:
    facts = Facts(Policy("acme/*", root=C, threshold=2), NOW, root(A, B))
    assert decide(case(A, B), facts, None).signers == (A, B)
    with pytest.raises(ExpertKitError) as caught:
        decide(case(A), facts, None)
    assert caught.value.code == "signature_threshold"
    with pytest.raises(ExpertKitError) as caught:
        decide(case(C), Facts(Policy("acme/*", root=C), NOW, root(A)), None)
    assert (caught.value.code, "root version 3" in caught.value.hint) == ("signature_key_changed", True)


def test_a_revoked_package_is_refused_whoever_signed_it_and_even_unsigned() -> None:
    for one in (case(A), case(), case(unsigned=True)):
        with pytest.raises(RevokedError, match="revoked by acme: bad") as caught:
            decide(one, REVOKED, None)
        assert caught.value.hint == "install a newer version from acme"


@pytest.mark.parametrize(
    ("seen", "refused"), [(None, True), (NOW, True), (NOW - DAY, True), (NOW - DAY - timedelta(seconds=1), False)], ids=str
)
def test_a_lost_key_counts_only_for_what_we_saw_before(seen: datetime | None, refused: bool) -> None:
    facts = Facts(LOST.policy, NOW, None, LOST.revocations, lambda: seen)
    if refused:
        with pytest.raises(RevokedError) as caught:
            check_not_revoked(case(A), facts)
        assert caught.value.code == "signature_key_revoked"
    else:
        assert decide(case(A), facts, None).signers == (A,)


def test_a_package_that_was_signed_again_is_let_in_and_the_lost_key_is_not_counted() -> None:
    facts = Facts(policy(keys=(A, B)), NOW, revocations=LOST.revocations)
    assert decide(case(A, B), facts, None).signers == (B,)
    with pytest.raises(RevokedError):
        decide(case(A, B), Facts(policy(keys=(A, B), threshold=2), NOW, revocations=LOST.revocations), None)


def test_nobody_is_asked_about_a_lost_key() -> None:
    def never(_: FirstUse) -> bool:
        raise AssertionError("nobody may be asked here")

    with pytest.raises(RevokedError):
        decide(case(A), Facts(Policy(), NOW, revocations=LOST.revocations), never)


def attested(signer: str) -> Attestation:
    return Attestation("provenance", signer, {})


@pytest.mark.parametrize(
    ("signer", "more", "good"),
    [
        (A, {}, True),
        (B, {}, False),
        (B, {"attesters": (B,)}, True),
        (A, {"expires": {A: "2026-05-31"}, "keys": (A, B)}, False),
    ],
)
def test_an_attestation_counts_by_its_signer(signer: str, more: dict[str, Any], good: bool) -> None:
    facts = Facts(policy(require=("provenance",), **more), NOW)
    one = case(A, B, attestations=(attested(signer),)) if more.get("keys") else case(A, attestations=(attested(signer),))
    if good:
        assert decide(one, facts, None).warnings == ()
    else:
        with pytest.raises(ExpertKitError) as caught:
            decide(one, facts, None)
        assert caught.value.code == "attestation_missing"


def test_an_attestation_by_a_lost_key_does_not_count() -> None:
    lost = revocations(keys=(RevokedKey(B, NOW - DAY, "stolen"),))
    facts = Facts(policy(require=("provenance",), attesters=(B,)), NOW, revocations=lost)
    with pytest.raises(ExpertKitError) as caught:
        decide(case(A, attestations=(attested(B),)), facts, None)
    assert caught.value.code == "attestation_missing"


def test_on_first_use_the_new_key_attests_too() -> None:
    facts = Facts(Policy(require=("provenance",), tofu="accept-new"), NOW)
    admission = decide(case(A, attestations=(attested(A),)), facts, None)
    assert isinstance(admission, Admission)
    assert admission.warnings == ("signature_first_use",)


def test_an_unsigned_package_is_recorded_as_such() -> None:
    admission = decide(case(unsigned=True), Facts(policy(), NOW), None)
    assert (admission.origin, admission.signers, admission.warnings) == ("unsigned", (), ("signature_missing",))
