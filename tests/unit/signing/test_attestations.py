from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785

from expert_kit.errors import SignatureError
from expert_kit.signing import KEY_TYPES, PREDICATES, PrivateKey, add_attestation, attest, key_id, open_attestations, sign
from expert_kit.signing.attestations import MAX_ATTESTATIONS, MAX_VALUES, counted, eval_predicate
from expert_kit.signing.envelope import open_line

IDENTITY = "sha256:" + "1" * 64
PREDICATE: dict[str, dict[str, Any]] = {
    "provenance": {"buildDefinition": {}, "runDetails": {}},
    "eval": {"result": "PASSED", "configuration": [], "metrics": [{"suite": "gsm8k", "metric": "accuracy", "n": 20, "value_ppm": 315_000}]},
    "bom": {"bomFormat": "CycloneDX", "specVersion": "1.6"},
    "import": {"source": "sha256:" + "2" * 64},
}


@pytest.fixture
def key() -> PrivateKey:
    return KEY_TYPES["ed25519"]()


def statement(**changes: Any) -> dict[str, Any]:
    subject = [{"name": "acme.sql-1.0.0", "digest": {"sha256": "1" * 64}}]
    fields = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": PREDICATES["bom"]}
    return {**fields, "predicate": PREDICATE["bom"], **changes}


def opened(payload: bytes, key: PrivateKey) -> str:
    """The code with which a statement is refused that this key has signed."""
    with pytest.raises(SignatureError) as caught:
        open_attestations([sign(payload, key) + b"\n"], IDENTITY)
    return caught.value.code


@pytest.mark.parametrize("kind", PREDICATES)
def test_an_attestation_is_opened_as_it_was_signed(key: PrivateKey, kind: str) -> None:
    line = attest(IDENTITY, "acme.sql-1.0.0", kind, PREDICATE[kind], key)
    (one,) = open_attestations([line + b"\n"], IDENTITY)
    assert (one.kind, one.signer, one.predicate) == (kind, key_id(key.public_key()), PREDICATE[kind])
    assert one.metrics == PREDICATE[kind].get("metrics", [])
    payload = json.loads(open_line(line)[0])
    assert payload["subject"] == [{"name": "acme.sql-1.0.0", "digest": {"sha256": "1" * 64}}]
    assert payload["predicateType"] == PREDICATES[kind]


def test_a_foreign_kind_is_shown_and_means_nothing(key: PrivateKey) -> None:
    payload = rfc8785.dumps(statement(predicateType="https://example.com/mood", predicate={"mood": "good"}))
    (one,) = open_attestations([sign(payload, key) + b"\n"], IDENTITY)
    assert (one.kind, one.metrics) == ("https://example.com/mood", [])


def test_one_about_another_package_is_refused(key: PrivateKey) -> None:
    line = attest("sha256:" + "9" * 64, "acme.sql-1.0.0", "bom", PREDICATE["bom"], key)
    with pytest.raises(SignatureError) as caught:
        open_attestations([line + b"\n"], IDENTITY)
    assert caught.value.code == "attestation_subject"


@pytest.mark.parametrize(
    "changes",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"subject": []},
        {"subject": [{"name": "a", "digest": {"sha256": "1" * 64}}] * 2},
        {"subject": [{"name": "a", "digest": {"sha256": "1" * 64, "md5": "x"}}]},
        {"subject": [{"digest": {"sha256": "1" * 64}}]},
        {"predicate": {}},
        {"predicate": []},
        {"extra": 1},
        {"predicateType": PREDICATES["eval"], "predicate": {**PREDICATE["eval"], "result": "GOOD"}},
        {"predicateType": PREDICATES["eval"], "predicate": {**PREDICATE["eval"], "metrics": {}}},
        {"predicateType": PREDICATES["eval"], "predicate": {**PREDICATE["eval"], "metrics": [{"suite": "x"}]}},
        {"predicateType": PREDICATES["eval"], "predicate": {**PREDICATE["eval"], "metrics": [{"suite": "x", "value_ppm": "1"}]}},
        {"predicateType": PREDICATES["eval"], "predicate": {**PREDICATE["eval"], "metrics": [3]}},
    ],
)
def test_a_statement_that_is_no_attestation_is_refused_whoever_signed_it(key: PrivateKey, changes: dict[str, Any]) -> None:
    assert opened(rfc8785.dumps(statement(**changes)), key) == "attestation_invalid"


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"_type": 1}', json.dumps(statement()).encode()])
def test_a_payload_in_another_spelling_is_refused(key: PrivateKey, payload: bytes) -> None:
    assert opened(payload, key) == "attestation_invalid"


def test_one_bad_line_refuses_all_and_a_signature_is_checked(key: PrivateKey) -> None:
    good = attest(IDENTITY, "x", "bom", PREDICATE["bom"], key)
    value = json.loads(good)
    value["dsseEnvelope"]["signatures"][0]["sig"] = "A" * 86 + "=="
    for bad, code in ((b"{}", "signature_malformed"), (rfc8785.dumps(value), "signature_invalid")):
        with pytest.raises(SignatureError) as caught:
            open_attestations([good + b"\n", bad + b"\n"], IDENTITY)
        assert caught.value.code == code


def test_there_may_not_be_endless_attestations(key: PrivateKey) -> None:
    member = attest(IDENTITY, "x", "bom", PREDICATE["bom"], key) + b"\n"
    assert len(open_attestations([member] * MAX_ATTESTATIONS, IDENTITY)) == MAX_ATTESTATIONS
    with pytest.raises(SignatureError, match="more than 64"):
        open_attestations([member] * (MAX_ATTESTATIONS + 1), IDENTITY)


@pytest.mark.parametrize(("kind", "predicate"), [("mood", {}), ("bom", {}), ("eval", {**PREDICATE["eval"], "metrics": [{"suite": 1}]})])
def test_what_would_be_refused_is_not_signed(key: PrivateKey, kind: str, predicate: dict[str, Any]) -> None:
    with pytest.raises(SignatureError) as caught:
        attest(IDENTITY, "x", kind, predicate, key)
    assert caught.value.code == "attestation_invalid"
    assert "ask the one" not in caught.value.hint


def test_a_line_is_added_once(key: PrivateKey) -> None:
    line = attest(IDENTITY, "x", "bom", PREDICATE["bom"], key)
    member = add_attestation(b"", line)
    assert (member, add_attestation(member, line)) == (line + b"\n", member)


def test_counted_are_those_by_these_keys(key: PrivateKey) -> None:
    found = open_attestations([attest(IDENTITY, "x", "bom", PREDICATE["bom"], key) + b"\n"], IDENTITY)
    assert counted(found, {key_id(key.public_key())}) == found
    assert counted(found, {"sha256:" + "0" * 64}) == ()


def test_a_report_becomes_a_predicate(key: PrivateKey) -> None:
    row = {"suite": "gsm8k", "metric": "accuracy", "n": 20, "expert": 0.315, "base": 0.1}
    assert eval_predicate([row]) == PREDICATE["eval"]
    made = eval_predicate([row], {"gsm8k": IDENTITY}, failed=True)
    assert (made["result"], made["metrics"][0]["data_sha256"]) == ("FAILED", IDENTITY)
    assert open_attestations([attest(IDENTITY, "x", "eval", made, key) + b"\n"], IDENTITY)[0].metrics == made["metrics"]


@pytest.mark.parametrize("change", [{"expert": 1.01}, {"expert": -0.1}, {"expert": "much"}, {"expert": float("nan")}, {"expert": None}])
def test_a_report_with_an_impossible_share_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SignatureError) as caught:
        eval_predicate([{"suite": "gsm8k", "metric": "accuracy", "n": 20, "expert": 0.3, **change}])
    assert caught.value.code == "attestation_invalid"
    assert "expert-kit eval" in caught.value.hint


@pytest.mark.parametrize("rows", [[{}], [1], [{"suite": "gsm8k"}]])
def test_what_is_no_report_is_refused(rows: list[Any]) -> None:
    with pytest.raises(SignatureError):
        eval_predicate(rows)


def test_a_digest_for_a_suite_that_was_not_measured_is_refused() -> None:
    row = {"suite": "gsm8k", "metric": "accuracy", "n": 20, "expert": 0.315}
    with pytest.raises(SignatureError, match="no suite 'other'"):
        eval_predicate([row], {"other": IDENTITY})


def test_attestations_cannot_hold_endless_values(key: PrivateKey) -> None:
    predicate = {**PREDICATE["bom"], "components": [0] * MAX_VALUES}
    with pytest.raises(SignatureError) as caught:
        open_attestations([attest(IDENTITY, "x", "bom", predicate, key) + b"\n"], IDENTITY)
    assert caught.value.code == "attestation_invalid"
