"""What the router chose is being loaded while the caller goes on, and nothing of that can leak or be told wrong."""

import threading
from types import SimpleNamespace

import pytest

from expert_kit.errors import BlobDigestError, CapacityError, RouteAbstainedError, UsageError
from expert_kit.inference import ExpertEngine
from expert_kit.registry import Registry
from tests.support.builders import build_expert, tiny_spec
from tests.support.encoders import FakeEncoder

NAMES = ("me/one", "me/two", "me/three")


@pytest.fixture
def registry(tmp_path, tiny_record):
    found = Registry(tmp_path / "registry")
    for seed, name in enumerate(NAMES):
        folder = tmp_path / name.replace("/", ".")
        folder.mkdir()
        packed = build_expert(folder, record=tiny_record, seed=seed, name=name, spec=tiny_spec(lora_alpha=400))
        found.install(packed, bases=[tiny_record], unsafe_allow_unsigned=True)
    return found


@pytest.fixture
def engine(tiny, registry):
    """The router's place is taken by one that chooses the experts that the prompt names."""
    made = ExpertEngine(tiny, registry, encoder=FakeEncoder())
    refs = {expert.identity: expert.ref for expert in registry.list()}

    def resolve(query):
        found = [(digest, ref.full_name, 0.5) for digest, ref in refs.items() if ref.full_name in query]
        return SimpleNamespace(abstained=not found, reason="not_covered", experts=tuple(found)), refs

    made._composer._routes = SimpleNamespace(resolve=resolve)
    return made


@pytest.fixture
def readers(engine, registry, monkeypatch):
    """Names of the threads that read weights from the registry."""
    seen, read = [], engine._source._read
    monkeypatch.setattr(engine._source, "_read", lambda expert: (seen.append(threading.current_thread().name), read(expert))[1])
    return seen


def mix(*names):
    return dict.fromkeys(names, 0.5)


def test_a_routed_expert_is_read_off_the_callers_thread_and_answers_as_a_named_one(engine, readers):
    routed = engine.generate("ask me/one and me/two", "auto", max_new_tokens=8)
    assert {name.rpartition("_")[0] for name in readers} == {"expert-kit-load"}
    assert len(readers) == 2
    engine.close()
    named = engine.generate("ask me/one and me/two", mix("me/one", "me/two"), max_new_tokens=8)
    assert (routed.text, routed.experts) == (named.text, named.experts)
    assert engine._source.resident.references == 0


def test_what_has_a_slot_starts_no_thread(engine, readers):
    engine.generate("ask me/one", "me/one", max_new_tokens=1)
    assert readers == [threading.current_thread().name]
    engine.generate("ask me/one", "auto", max_new_tokens=1)
    assert len(readers) == 1
    assert engine._source.resident.stats.hits == 1


def test_loading_has_begun_when_the_next_prompt_is_routed(engine, monkeypatch):
    began, read, resolve = threading.Event(), engine._source._read, engine._composer._routes.resolve
    monkeypatch.setattr(engine._source, "_read", lambda expert: (began.set(), read(expert))[1])

    def later(query):
        # Without a load beside this one nobody would ever set it.
        assert "me/two" not in query or began.wait(30)
        return resolve(query)

    engine._composer._routes.resolve = later
    answers = engine.generate(["ask me/one", "ask me/two"], "auto", max_new_tokens=2)
    assert [answer.experts[0].name for answer in answers] == ["me/one", "me/two"]


def test_a_stream_loads_beside_its_tokenisation(engine, monkeypatch):
    began, read = threading.Event(), engine._source._read
    monkeypatch.setattr(engine._source, "_read", lambda expert: (began.set(), read(expert))[1])
    encode = engine._prompt_ids
    monkeypatch.setattr(engine, "_prompt_ids", lambda messages: encode(messages) if began.wait(30) else [])
    assert [event.result for event in engine.stream("ask me/one", "auto", max_new_tokens=2)][-1].experts[0].name == "me/one"
    assert engine._source.resident.references == 0


def test_its_error_is_the_callers_and_nothing_is_held(engine, registry):
    expert = next(expert for expert in registry.list() if expert.ref.full_name == "me/three")
    path = registry.blobs.path(expert.weights.sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BlobDigestError):
        engine.generate(["ask me/one and me/three", "ask me/two"], "auto", max_new_tokens=2)
    assert engine._source.resident.references == 0


def test_an_error_of_another_prompt_gives_back_what_is_being_loaded(engine):
    with pytest.raises(RouteAbstainedError):
        engine.generate(["ask me/one", "ask nobody"], "auto", strict=True, max_new_tokens=2)
    with pytest.raises(UsageError):
        engine.generate("ask me/one", "auto", max_new_tokens=2, unknown_option=1)
    assert engine._source.resident.references == 0


def test_without_room_for_all_the_first_of_a_mix_answers(engine):
    resident = engine._source.resident
    engine.generate("x", "me/one", max_new_tokens=1)
    resident.budget = resident.nbytes
    engine.close()
    answer = engine.generate("ask me/one and me/two", "auto", max_new_tokens=4)
    assert len(answer.experts) == 1
    assert "no memory for" in answer.warnings[-1]
    resident.budget = 1
    engine.close()
    with pytest.raises(CapacityError) as caught:
        engine.generate("ask me/one and me/two", "auto", max_new_tokens=4)
    assert (caught.value.code, resident.references) == ("adapters_over_budget", 0)
