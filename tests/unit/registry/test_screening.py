"""What a folder offers and an install would refuse: it is passed over, and the next best is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.archive import MeasuredPrompt
from expert_kit.errors import BaseModelError, ExpertKitError
from expert_kit.names import sha256_digest
from expert_kit.registry import Registry
from expert_kit.registry.batch import Terms
from expert_kit.registry.index import read_index
from expert_kit.registry.lock import lock, parse_lock, propose_frozen
from expert_kit.registry.probes import ProbeJob
from expert_kit.registry.proposal import Proposal, carry_out, propose_install
from expert_kit.registry.screening import PassedOver, lines_of
from expert_kit.signing import KEY_TYPES, TrustStore
from tests.hostile.forge import Parts, frame
from tests.support.builders import lora_weights, tamper, tiny_base, tiny_linears, tiny_spec
from tests.support.probes import FakeProbes, measured, some_probe
from tests.unit.registry.conftest import BASE, Publisher

TERMS = Terms([BASE])
COPY = tiny_base("copy", weights_root_sha256=sha256_digest(b"dequantised"))


@pytest.fixture
def newer(publisher: Publisher) -> Path:
    """A second version, which can be changed; the first one lies beside it."""
    publisher.build(version="1.0.0")
    return publisher.build(version="1.1.0")


def propose(registry: Registry, folder: Path, terms: Terms = TERMS, wish: str = "acme/sql") -> Proposal:
    return propose_install(registry, [wish], terms, read_index([folder]))


def chosen(proposal: Proposal) -> list[str]:
    return [step.candidate.version for step in proposal.plan.changes]


def reforge(archive: Path, publisher: Publisher, weights: bytes) -> None:
    """Other weights under the same name, signed by the publisher."""
    parts = Parts.of(archive)
    parts.bodies["adapter_model.safetensors"] = weights
    parts.seal()
    parts.resign(publisher.key)
    archive.write_bytes(frame(parts.members()))


def test_tensors_that_do_not_fit_though_signed_are_passed_over(trusting: Registry, publisher: Publisher, newer: Path) -> None:
    reforge(newer, publisher, lora_weights(tiny_spec(), tiny_linears(layers=3)))
    proposal = propose(trusting, publisher.folder)
    assert chosen(proposal) == ["1.0.0"]
    assert [(one.path, one.code, one.damaged) for one in proposal.passed_over] == [(newer, "tensor_set_mismatch", True)]
    assert [str(expert.ref) for expert in carry_out(trusting, proposal, TERMS)] == ["acme/sql@1.0.0"]


def test_if_nothing_else_fits_the_first_reason_is_the_error(trusting: Registry, publisher: Publisher, newer: Path) -> None:
    reforge(newer, publisher, lora_weights(tiny_spec(), tiny_linears(layers=3)))
    with pytest.raises(ExpertKitError) as caught:
        propose(trusting, publisher.folder, wish="acme/sql@1.1.0")
    assert caught.value.code == "tensor_set_mismatch"


@pytest.mark.parametrize(
    ("found", "code", "damaged"),
    [
        (measured(some_probe(), strength=0.0), "probe_no_effect", True),
        (measured(some_probe(), strength=-1.0), "probe_mismatch", False),
    ],
    ids=["no effect", "another base"],
)
def test_a_probe_that_says_no_is_asked_before_the_choice(
    trusting: Registry, publisher: Publisher, found: list[MeasuredPrompt], code: str, damaged: bool
) -> None:
    publisher.build(version="1.0.0")
    publisher.build(version="1.1.0", probes=FakeProbes())
    fake = FakeProbes(found=found)
    proposal = propose(trusting, publisher.folder, Terms([BASE], probe=fake.run))
    assert chosen(proposal) == ["1.0.0"]
    assert [(one.code, one.damaged) for one in proposal.passed_over] == [(code, damaged)]
    assert fake.runs == 1


def test_what_the_policy_wants_of_the_base_model_is_no_damage(trusting: Registry, publisher: Publisher) -> None:
    TrustStore(trusting.trust_home).demand("acme/*", base_match="exact")
    publisher.build(version="1.0.0", record=COPY)
    publisher.build(version="1.1.0")
    proposal = propose(trusting, publisher.folder, Terms([COPY]))
    assert chosen(proposal) == ["1.0.0"]
    assert [(one.code, one.damaged) for one in proposal.passed_over] == [("base_not_exact", False)]


def test_a_base_model_that_cannot_be_run_is_not_the_fault_of_the_archive(trusting: Registry, publisher: Publisher) -> None:
    def absent(job: ProbeJob) -> list[MeasuredPrompt]:
        raise BaseModelError(f"the files of {job.record.fingerprint.id} are gone")

    publisher.build(version="1.0.0")
    publisher.build(version="1.1.0", probes=FakeProbes())
    terms = Terms([BASE], probe=absent)
    proposal = propose(trusting, publisher.folder, terms)
    assert (chosen(proposal), proposal.passed_over) == (["1.1.0"], ())
    with pytest.raises(BaseModelError):
        carry_out(trusting, proposal, terms)
    assert trusting.list() == []


def test_nothing_in_an_archive_is_looked_at_before_its_key_is_trusted(registry: Registry, publisher: Publisher, newer: Path) -> None:
    reforge(newer, publisher, lora_weights(tiny_spec(), tiny_linears(layers=3)))
    asked: list[str] = []
    terms = Terms([BASE], ask=lambda use: bool(asked.append(use.key_id)) or True)
    proposal = propose(registry, publisher.folder, terms)
    assert (chosen(proposal), asked) == (["1.1.0"], [])
    with pytest.raises(ExpertKitError) as caught:
        carry_out(registry, proposal, terms)
    assert (caught.value.code, asked) == ("tensor_set_mismatch", [publisher.key_id])
    assert registry.list() == []


def test_a_stranger_s_archive_is_judged_by_its_signature_alone(trusting: Registry, publisher: Publisher, newer: Path) -> None:
    reforge(newer, Publisher(publisher.folder, KEY_TYPES["ed25519"]()), b"")
    proposal = propose(trusting, publisher.folder)
    assert [(one.code, one.damaged) for one in proposal.passed_over] == [("signature_key_changed", False)]


def test_a_frozen_install_takes_the_sound_copy_and_says_why_there_is_none(trusting: Registry, publisher: Publisher, newer: Path) -> None:
    trusting.install(newer, bases=[BASE])
    locked = parse_lock(lock(trusting))
    trusting.uninstall("acme/sql@1.1.0")
    copy = newer.with_name("0.expert")  # read first
    copy.write_bytes(newer.read_bytes())
    tamper(copy, "README.md")
    proposal = propose_frozen(trusting, locked, [], TERMS, read_index([publisher.folder]))
    assert [(one.path, one.code) for one in proposal.passed_over] == [(copy, "archive_digest_mismatch")]
    assert [candidate.path for candidate in proposal.archives] == [newer]
    newer.unlink()
    with pytest.raises(ExpertKitError) as caught:
        propose_frozen(trusting, locked, [], TERMS, read_index([publisher.folder]))
    assert caught.value.code == "archive_digest_mismatch"


@pytest.mark.parametrize(("data", "code"), [(b"gone bad", "archive_too_small"), (None, "archive_unreadable")])
def test_an_archive_that_changed_since_it_was_listed_is_passed_over(
    trusting: Registry, publisher: Publisher, newer: Path, data: bytes | None, code: str
) -> None:
    index = read_index([publisher.folder])
    newer.unlink()
    if data is not None:
        newer.write_bytes(data)
    proposal = propose_install(trusting, ["acme/sql"], TERMS, index)
    assert chosen(proposal) == ["1.0.0"]
    assert [(one.path, one.code, one.damaged) for one in proposal.passed_over] == [(newer, code, True)]


def test_a_long_list_of_what_was_passed_over_is_cut() -> None:
    lines = list(lines_of([PassedOver("acme/sql@1.0.0", Path(f"{number}.expert"), "a_code", "why") for number in range(7)]))
    assert lines[0] == "passed over acme/sql@1.0.0 (0.expert): a_code, why"
    assert lines[5:] == ["passed over 2 more"]
