from pathlib import Path

import pytest

from expert_kit.errors import CheckUnavailableError
from expert_kit.inference import Routes
from expert_kit.registry import Registry
from tests.support.builders import build_expert, example_rows, tiny_base, tiny_linears
from tests.support.encoders import FakeEncoder


@pytest.fixture
def registry(home: Path) -> Registry:
    return Registry(home / "registry", trust_home=home)


def install(registry: Registry, folder: Path, name: str, topic: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    archive = build_expert(folder, name=name, examples=example_rows(topic=topic))
    registry.install(archive, bases=[tiny_base()], unsafe_allow_unsigned=True)


def test_without_experts_nobody_is_asked_and_no_encoder_is_needed(registry, monkeypatch):
    monkeypatch.setenv("EXPERT_KIT_ENCODER", "/nowhere")
    decision = Routes(registry, None).decide("anything")
    assert (decision.abstained, decision.reason, decision.encoder_id) == (True, "empty", None)
    assert Routes(None, None).decide("anything").reason == "empty"


def test_a_missing_encoder_is_a_typed_error_once_there_are_experts(registry, tmp_path, monkeypatch):
    install(registry, tmp_path / "a", "acme/sql", "sql")
    monkeypatch.setenv("EXPERT_KIT_ENCODER", str(tmp_path / "nowhere"))
    with pytest.raises(CheckUnavailableError):
        Routes(registry, None).decide("sql question")


def test_the_router_follows_what_is_installed(registry, tmp_path):
    routes = Routes(registry, None, FakeEncoder())
    install(registry, tmp_path / "a", "acme/sql", "sql")
    assert [one.name for one in routes.decide("sql question number 2").experts] == ["acme/sql"]
    install(registry, tmp_path / "b", "acme/cooking", "cooking")
    decision, refs = routes.resolve("cooking question number 2")
    assert decision.experts[0].name == "acme/cooking"
    assert str(refs[decision.experts[0].digest]) == "acme/cooking@1.0.0"
    registry.uninstall("acme/cooking")
    assert {one.name for one in routes.decide("cooking question number 2").scores} == {"acme/sql"}


def test_experts_for_another_base_are_no_candidates(registry, tmp_path):
    install(registry, tmp_path / "a", "acme/sql", "sql")
    other = tiny_base("other", linears=tiny_linears(hidden=16))
    assert Routes(registry, other, FakeEncoder()).decide("sql question number 2").reason == "empty"
    assert Routes(registry, tiny_base(), FakeEncoder()).decide("sql question number 2").scores


def test_a_large_router_is_stale_after_a_change_until_it_is_fitted_and_says_so(registry, tmp_path, monkeypatch):
    for topic in ("sql", "cooking"):
        folder = tmp_path / topic
        folder.mkdir()
        archive = build_expert(folder, name=f"acme/{topic}", examples=example_rows(fit=12, validate=12, topic=topic))
        registry.install(archive, bases=[tiny_base()], unsafe_allow_unsigned=True)
    encoder = FakeEncoder()
    assert Routes(registry, None, encoder).decide("sql question number 3").calibrated
    monkeypatch.setattr("expert_kit.inference.routes.QUICK_FIT", 0)
    install(registry, tmp_path / "new", "acme/garden", "garden")
    routes = Routes(registry, None, encoder)
    stale = routes.decide("sql question number 3")
    assert (stale.calibrated, stale.p_right) == (False, None)
    assert "expert-kit router fit" in stale.notes[0]
    assert stale.experts[0].name == "acme/sql"
    encoder.embedded.clear()
    routes.fit()
    assert not {text for text in encoder.embedded if text.startswith(("sql", "cooking"))}
    assert Routes(registry, None, encoder).decide("sql question number 3").calibrated
