from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from expert_kit.signing.admission import Case, Facts, decide
from expert_kit.signing.attestations import Attestation
from expert_kit.signing.policy import Policy
from expert_kit.signing.requirements import Requirement

DATA = "sha256:" + "d" * 64


def scored(ppm: int, suite: str = "gsm8k", result: str = "PASSED", **more: Any) -> Attestation:
    return Attestation("eval", "k", {"result": result, "configuration": [], "metrics": [{"suite": suite, "value_ppm": ppm, **more}]})


@pytest.mark.parametrize(
    ("wanted", "attestation", "met"),
    [
        ("provenance", Attestation("provenance", "k", {}), True),
        ("provenance", Attestation("bom", "k", {}), False),
        ("provenance", Attestation("https://slsa.dev/provenance/v0.2", "k", {}), False),
        ("eval:gsm8k", scored(0), True),
        ("eval:gsm8k", scored(0, suite="other"), False),
        ("eval:gsm8k", scored(900_000, result="FAILED"), False),
        ("eval:gsm8k", scored(900_000, result="WARNED"), True),
        ("eval:gsm8k>=0.30", scored(300_000), True),
        ("eval:gsm8k>=0.30", scored(299_999), False),
        ("eval:gsm8k>=0.123457", scored(123_456), False),
        ("eval:gsm8k>=1", scored(1_000_000), True),
        (f"eval:gsm8k@{DATA}", scored(0, data_sha256=DATA), True),
        (f"eval:gsm8k@{DATA}", scored(0), False),
        (f"eval:gsm8k>=0.3@{DATA}", scored(300_000, data_sha256=DATA), True),
        (f"eval:gsm8k>=0.3@{DATA}", scored(300_000, data_sha256=DATA.replace("d", "e")), False),
        ("eval:sql/easy.v1-x", scored(0, suite="sql/easy.v1-x"), True),
    ],
)
def test_a_requirement_is_met_by_the_attestation_that_says_so(wanted: str, attestation: Attestation, met: bool) -> None:
    assert Requirement.parse(wanted).is_met([attestation]) is met
    assert Requirement.parse(wanted).is_met([Attestation("import", "k", {}), attestation]) is met
    assert Requirement.parse(wanted).is_met([]) is False


@pytest.mark.parametrize(
    "text",
    ["", "eval", "eval:", "eval:gsm8k>0.3", "eval:gsm8k>=", "eval:gsm8k>=.3", "eval:gsm8k>=0.1234567", "eval:gsm8k@sha256:abc", "trust",
     "eval:gsm8k>=-1", "eval:gsm8k>=2", "eval:gsm8k>=1.000001", "eval: gsm8k", "provenance ", "eval:gsm8k>=0.3@"],
)  # fmt: skip
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="require"):
        Requirement.parse(text)


def test_a_probe_is_asked_of_the_package_and_not_of_attestations() -> None:
    policy = Policy(scope="acme/*", keys=("sha256:" + "a" * 64,), require=("probe",))
    assert policy.wants_probe
    assert not replace(policy, require=("provenance",)).wants_probe
    facts = Facts(policy, datetime(2026, 6, 1, tzinfo=UTC))
    assert decide(Case("acme/sql", policy.keys), facts, None).warnings == ()
