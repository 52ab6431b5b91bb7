"""When a probe is asked for, what becomes of its answer, and that the answer is asked for once. Numbers only, no model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.archive import ArchiveReader, Probe, Severity
from expert_kit.bases import BaseRecord
from expert_kit.errors import BaseMismatchError, BaseModelError, IncompatibleAdapterError
from expert_kit.names import sha256_digest
from expert_kit.registry import InstalledExpert, Registry, probes
from expert_kit.registry.archives import check_archive
from expert_kit.registry.probes import ProbeJob, is_probed, probe_installed, remember_made
from expert_kit.signing import TrustStore
from tests.support.builders import tiny_base
from tests.support.probes import FakeProbes, measured, some_probe
from tests.unit.registry.conftest import Publisher

BASE = tiny_base()
COPY = tiny_base("copy", weights_root_sha256=sha256_digest(b"dequantised"))


@pytest.fixture
def fake() -> FakeProbes:
    return FakeProbes()


@pytest.fixture
def archive(publisher: Publisher, fake: FakeProbes) -> Path:
    """Signed, with a probe."""
    return publisher.build(probes=fake)


def install(registry: Registry, archive: Path, fake: FakeProbes | None, *bases: BaseRecord) -> InstalledExpert:
    return registry.install(archive, bases=bases or (BASE,), probe=fake and fake.run)


def test_packing_makes_the_probe_from_the_fit_examples(archive: Path, fake: FakeProbes):
    assert fake.asked == [("tiny", [f"sql question number {n}" for n in range(4)])]
    with ArchiveReader.open(archive) as reader:
        assert reader.manifest.bases[0].probe == "probe/0.json"
        assert reader.read("probe/0.json") == some_probe().to_bytes()


def test_an_expert_that_acts_as_its_publisher_says_is_installed_without_a_warning(trusting: Registry, archive: Path, fake: FakeProbes):
    expert = install(trusting, archive, fake)
    assert (fake.runs, expert.base_match, expert.warnings) == (1, "exact", ())
    assert is_probed(expert.identity, BASE)


def test_the_answer_is_kept_so_that_nobody_asks_twice(trusting: Registry, archive: Path, fake: FakeProbes):
    expert = install(trusting, archive, fake)
    trusting.uninstall(expert.ref)
    install(trusting, archive, fake)
    probe_installed(trusting, expert, BASE, fake.run)
    assert fake.runs == 1


def test_another_runtime_asks_again(trusting: Registry, archive: Path, fake: FakeProbes, monkeypatch: pytest.MonkeyPatch):
    expert = install(trusting, archive, fake)
    monkeypatch.setattr(probes, "runtime_version", lambda: "torch-99")
    assert not is_probed(expert.identity, BASE)
    probe_installed(trusting, expert, BASE, fake.run)
    assert fake.runs == 2


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"strength": 0.0}, "probe_no_effect", "does not act on tiny as it should"),
        ({"strength": 0.4}, "probe_no_effect", "strength 40 %"),
        ({"strength": -1.0}, "probe_mismatch", "was not made for the base model tiny"),
        ({"shift": 51}, "probe_mismatch", "0.051 at most"),
    ],
    ids=str,
)
def test_an_expert_that_acts_otherwise_is_refused_and_nothing_is_left(
    trusting: Registry, archive: Path, fake: FakeProbes, files_of, changes: dict, code: str, says: str
):
    fake.found = measured(some_probe(), **changes)
    before = files_of()
    with pytest.raises(IncompatibleAdapterError) as caught:
        install(trusting, archive, fake)
    assert caught.value.code == code
    assert says in caught.value.message
    assert caught.value.hint
    assert trusting.list() == []
    assert files_of() == before


def test_a_refusal_is_remembered_for_those_who_cannot_ask(trusting: Registry, archive: Path, fake: FakeProbes):
    fake.found = measured(some_probe(), strength=-1.0)
    for runner in (fake, None):
        with pytest.raises(BaseMismatchError):
            install(trusting, archive, runner)
    assert fake.runs == 1


def test_another_copy_of_the_base_is_a_warning_while_the_effect_is_alike(trusting: Registry, archive: Path, fake: FakeProbes):
    fake.found = measured(some_probe(), shift=400)
    expert = install(trusting, archive, fake, COPY)
    assert (expert.base_match, expert.warnings) == ("family", ("base_family",))


def test_another_copy_on_which_it_acts_otherwise_is_refused_with_the_right_one_to_get(trusting: Registry, archive: Path, fake: FakeProbes):
    fake.found = measured(some_probe(), shift=600)
    with pytest.raises(BaseMismatchError) as caught:
        install(trusting, archive, fake, COPY)
    assert caught.value.code == "probe_mismatch"
    assert "expert-kit base pull tiny --force" in caught.value.hint


def test_without_the_base_the_probe_waits_until_it_is_there(trusting: Registry, archive: Path, fake: FakeProbes):
    expert = trusting.install(archive, bases=(), allow_missing_base=True, probe=fake.run)
    assert (fake.runs, expert.base_match, expert.warnings) == (0, "pending", ("base_pending",))
    settled = trusting.settle(expert.ref, [BASE], probe=fake.run)
    assert (fake.runs, settled.base_match, settled.warnings) == (1, "exact", ())


def test_a_pending_expert_that_fails_its_probe_stays_pending(trusting: Registry, archive: Path, fake: FakeProbes):
    expert = trusting.install(archive, bases=(), allow_missing_base=True)
    fake.found = measured(some_probe(), strength=0.0)
    with pytest.raises(IncompatibleAdapterError):
        trusting.settle(expert.ref, [BASE], probe=fake.run)
    assert trusting.get(expert.ref).base_match == "pending"


def test_an_install_that_cannot_ask_leaves_it_to_the_first_load(trusting: Registry, archive: Path, fake: FakeProbes):
    expert = install(trusting, archive, None)
    assert not is_probed(expert.identity, BASE)
    fake.found = measured(some_probe(), strength=0.0)
    with pytest.raises(IncompatibleAdapterError) as caught:
        probe_installed(trusting, expert, BASE, fake.run)
    assert caught.value.code == "probe_no_effect"


def test_a_base_that_cannot_be_loaded_stops_the_install(trusting: Registry, archive: Path):
    def fail(job: ProbeJob) -> list:
        raise BaseModelError(f"{job.record.fingerprint.id} is damaged", hint="pull it again")

    with pytest.raises(BaseModelError):
        trusting.install(archive, bases=[BASE], probe=fail)
    assert trusting.list() == []


def test_packing_spares_this_machine_the_measurement(trusting: Registry, archive: Path, fake: FakeProbes):
    with ArchiveReader.open(archive) as reader:
        remember_made(reader.manifest, [BASE], {"tiny": some_probe()})
    install(trusting, archive, fake)
    assert fake.runs == 0


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"key": {}, "result": {}}', b"\xff"])
def test_a_damaged_answer_is_as_good_as_none(trusting: Registry, archive: Path, fake: FakeProbes, home: Path, damage: bytes):
    install(trusting, archive, fake)
    (kept,) = (home / "cache" / "probes").glob("*.json")
    assert json.loads(kept.read_bytes())["result"]["match"] == "exact"
    kept.write_bytes(damage)
    trusting.uninstall("acme/sql")
    install(trusting, archive, fake)
    assert fake.runs == 2


def test_a_cache_that_cannot_be_written_stops_nothing(trusting: Registry, archive: Path, fake: FakeProbes, home: Path, caplog):
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "probes").write_text("a file in the place of the folder")
    assert install(trusting, archive, fake).base_match == "exact"
    assert "cannot keep the result of a probe" in caplog.text


def test_a_probe_whose_numbers_say_that_nothing_happens_is_not_packed(publisher: Publisher):
    still = Probe(
        tuple(type(one)(one.ids, tuple((token, base, base + 49) for token, base, _ in one.logits)) for one in some_probe().prompts)
    )
    with pytest.raises(IncompatibleAdapterError) as caught:
        publisher.build(probes=FakeProbes(still))
    assert caught.value.code == "probe_no_effect"


@pytest.mark.parametrize(("level", "refused"), [("strict", True), ("permissive", False)])
def test_a_policy_can_require_a_probe(trusting: Registry, publisher: Publisher, archive: Path, fake: FakeProbes, level: str, refused: bool):
    TrustStore(trusting.trust_home).demand("acme/*", level=level, require=("probe",))
    without = publisher.build(name="acme/blind")
    if refused:
        with pytest.raises(IncompatibleAdapterError) as caught:
            install(trusting, without, fake)
        assert caught.value.code == "probe_missing"
        assert trusting.list() == []
    else:
        assert install(trusting, without, fake).warnings == ("probe_missing",)
    assert install(trusting, archive, fake).warnings == ()


def test_validation_lists_what_a_probe_showed(trusting: Registry, archive: Path, fake: FakeProbes):
    assert check_archive(archive, [BASE]).problems == ()
    fake.found = measured(some_probe(), strength=-1.0)
    (problem,) = check_archive(archive, [BASE], probe=fake.run).problems
    assert (problem.code, problem.where, problem.severity) == ("probe_mismatch", "probe/0.json", Severity.REFUSED)
    assert [one.code for one in check_archive(archive, [BASE]).problems] == ["probe_mismatch"]  # remembered
