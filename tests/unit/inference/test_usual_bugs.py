"""What users met in other engines (docs/engine.md lists the rows); one test each, in the order of that table."""

import shutil
import threading

import pytest
import torch

from expert_kit.adapters import read_lora
from expert_kit.archive import spec_of_config
from expert_kit.bases import AdapterSpec
from expert_kit.errors import BaseMismatchError, IncompatibleAdapterError, NotComposableError, UnsupportedMemberError
from expert_kit.inference import ExpertEngine
from expert_kit.registry import Registry
from tests.support.builders import build_expert, tiny_spec
from tests.support.encoders import FakeEncoder
from tests.support.kinds import write_ia3, write_prefix, write_prompt
from tests.support.tiny_model import write_adapter, write_tiny_model


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


@pytest.fixture
def engine(tiny, registry):
    return ExpertEngine(tiny, registry, encoder=FakeEncoder())


@pytest.fixture
def adapters(tmp_path, tiny_folder):
    return [write_adapter(tmp_path / f"adapter-{seed}", tiny_folder, seed=seed, r=4 * 2**seed) for seed in range(3)]


@pytest.fixture
def install(registry, tiny_record, tmp_path):
    def call(name: str, version: str = "1.0.0", seed: int = 0):
        folder = tmp_path / f"{name}-{version}".replace("/", ".")
        folder.mkdir()
        packed = build_expert(folder, record=tiny_record, seed=seed, name=name, version=version, spec=tiny_spec(lora_alpha=400))
        return registry.install(packed, bases=[tiny_record], unsafe_allow_unsigned=True)

    return call


def text(engine, experts, prompt="first prompt", count=12):
    return engine.generate(prompt, experts, max_new_tokens=count).text


def test_b1_the_slot_of_a_running_row_is_given_to_nobody(engine, adapters):
    expected = text(engine, adapters[0])
    engine.close()
    stream = engine.stream("first prompt", adapters[0], max_new_tokens=12)
    pieces = [next(stream).text]
    resident = engine._source.resident
    resident.budget = resident.nbytes + 1
    for other in (adapters[1], adapters[2]):
        with pytest.raises(Exception, match="hold experts in use"):
            text(engine, other)
    assert "".join(pieces) + "".join(event.text for event in stream) == expected


def test_b2_another_expert_of_the_same_name_never_sees_old_keys_and_values(engine, adapters, tmp_path):
    fresh = ExpertEngine(engine.base)
    expected = text(fresh, adapters[1])
    name = tmp_path / "same-name"
    shutil.copytree(adapters[0], name)
    text(engine, name)
    shutil.rmtree(name)
    shutil.copytree(adapters[1], name)
    result = engine.generate("first prompt", name, max_new_tokens=12)
    assert (result.text, result.usage.reused_tokens) == (expected, 0)


def test_b3_names_that_begin_alike_are_different_experts_and_modules(engine, install, tiny_record):
    for seed, name in enumerate(("me/foo", "me/foobar", "me/mlp", "me/q-proj")):
        install(name, seed=seed)
    used = {name: engine.generate("x", name, max_new_tokens=1).experts[0] for name in ("me/foo", "me/foobar", "me/mlp", "me/q-proj")}
    assert len({one.digest for one in used.values()}) == 4
    assert all(one.name == name for name, one in used.items())
    linears = (*tiny_record.linears, ("model.layers.0.self_attn.xq_proj", 4, 4))
    assert not any("xq_proj" in module for module, _, _ in AdapterSpec(r=1, lora_alpha=1, target_modules=("q_proj",)).targets(linears))


@pytest.mark.parametrize("targets", [("no_such_module",), ("q_proj", "proj")])
def test_b4_an_adapter_that_matches_no_module_is_refused(adapters, tiny_record, targets):
    spec = AdapterSpec(r=4, lora_alpha=8, target_modules=targets)
    with pytest.raises(IncompatibleAdapterError, match="not those of its configuration"):
        read_lora(
            (adapters[0] / "adapter_model.safetensors").read_bytes(),
            spec,
            tiny_record.linears,
            device=torch.device("cpu"),
            dtype=torch.float32,
        )


def test_b5_another_base_is_an_error_that_names_both(tmp_path, engine, registry, tiny_record):
    from expert_kit.base_models.fingerprint import fingerprint_folder

    other = fingerprint_folder(write_tiny_model(tmp_path / "other", hidden=32), "other-llama")
    folder = tmp_path / "packed"
    folder.mkdir()
    registry.install(build_expert(folder, record=other, name="me/other"), bases=[other], unsafe_allow_unsigned=True)
    with pytest.raises(BaseMismatchError, match="made for other-llama, this engine runs tiny-llama"):
        text(engine, "me/other")


def test_b6_an_unknown_setting_is_accepted_when_it_is_off_and_refused_when_it_is_on(adapters):
    config = (adapters[0] / "adapter_config.json").read_text()
    assert spec_of_config(config.replace("{", '{"use_of_tomorrow": null,', 1).encode(), "F32").r == 4
    with pytest.raises(UnsupportedMemberError, match="use_of_tomorrow"):
        spec_of_config(config.replace("{", '{"use_of_tomorrow": 3,', 1).encode(), "F32")


def test_b7_concurrent_requests_have_strengths_of_their_own(engine, adapters):
    mixes = [{adapters[0]: weight} for weight in (1.0, 0.3, -1.0)]
    expected = [text(engine, mix) for mix in mixes]
    got: dict[int, str] = {}
    threads = [threading.Thread(target=lambda at=at: got.update({at: text(engine, mixes[at])})) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[at] for at in range(3)] == expected
    assert len(set(expected)) > 1


def test_b8_attaching_changes_no_module_of_the_model(engine, adapters):
    before = [id(module) for module in engine.base.model.modules()]
    engine.attach_experts(adapters)
    assert [id(module) for module in engine.base.model.modules()] == before


def test_b9_release_returns_memory_and_keeps_the_others(engine, adapters):
    first, second = engine.attach_experts(adapters[:2])
    both = engine.stats()["adapter_bytes"]
    expected = text(engine, adapters[1])
    engine.release([first])
    engine.close()
    assert 0 < engine.stats()["adapter_bytes"] < both
    assert text(engine, adapters[1]) == expected
    engine.release([second])
    engine.close()
    assert engine.stats()["adapter_bytes"] == 0
    assert engine._source.resident._table._blocks == []


def test_b10_nothing_is_attached_to_merged_weights(engine, adapters):
    with engine.merged(adapters[0]), pytest.raises(NotComposableError, match="merged into its weights"):
        text(engine, adapters[1])


def test_b11_a_small_rank_beside_a_large_one_costs_its_own(engine, adapters):
    sizes = []
    for adapter in adapters:
        before = engine.stats()["adapter_bytes"]
        engine.attach_experts([adapter])
        sizes.append(engine.stats()["adapter_bytes"] - before)
    assert sizes[0] == sizes[1]  # ranks 4 and 8 are one class
    assert sizes[2] == 2 * sizes[1]


def test_b12_scales_and_soft_prompts_have_rows_of_their_own_too(engine, adapters, tiny_folder, tmp_path):
    experts = [adapters[0], write_ia3(tmp_path / "ia3", tiny_folder), None, write_prompt(tmp_path / "prompt", tiny_folder)]
    experts.append(write_prefix(tmp_path / "prefix", tiny_folder))
    alone = [text(engine, expert) for expert in experts]
    together = engine.generate(["first prompt"] * len(experts), experts, max_new_tokens=12)
    assert [one.text for one in together] == alone
    assert len(set(alone)) == len(experts)


def test_b13_an_expert_installed_while_the_engine_runs_is_there(engine, install):
    base = text(engine, None)
    install("me/late", seed=3)
    assert engine.generate("first prompt", "me/late", max_new_tokens=12).experts[0].name == "me/late"
    assert text(engine, None) == base


def test_b14_an_adapter_that_was_parked_and_comes_back_is_not_scaled_again(engine, adapters):
    expected = text(engine, adapters[0])
    resident = engine._source.resident
    resident.budget = 2 * resident.nbytes
    for _ in range(2):
        text(engine, adapters[2])
        assert text(engine, adapters[0]) == expected
    assert resident.stats.unparked >= 2


def test_b15_stages_of_one_lineage_run_side_by_side(engine, adapters):
    stages = [{adapters[0]: 1.0}, {adapters[0]: 1.0, adapters[1]: 1.0}, {adapters[0]: 1.0, adapters[1]: 1.0, adapters[2]: 1.0}]
    alone = [text(engine, stage) for stage in stages]
    together = engine.generate(["first prompt"] * 3, stages, max_new_tokens=12)
    assert [one.text for one in together] == alone
    assert [len(one.experts) for one in together] == [1, 2, 3]


def test_one_expert_under_two_paths_is_not_mixed_with_itself(engine, adapters, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(adapters[0], copy)
    with pytest.raises(NotComposableError) as caught:
        text(engine, {adapters[0]: 0.5, copy: 0.5})
    assert caught.value.code == "expert_twice"
