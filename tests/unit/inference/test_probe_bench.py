"""The probe on the tiny model, with the real libraries: what is measured is what PEFT computes, and it tells bases apart."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from expert_kit.adapters import load_base
from expert_kit.archive import ProbeResult, check_probe, classify_probe, parse_header, spec_of_config
from expert_kit.base_models.fingerprint import fingerprint_folder
from expert_kit.bases import AdapterSpec, BaseMatch, BaseRecord, compare
from expert_kit.errors import BaseModelError, ExpertKitError, IncompatibleAdapterError
from expert_kit.inference import ExpertEngine, ProbeBench
from expert_kit.inference.probe import is_reference, stored_folder
from expert_kit.registry import Registry
from expert_kit.registry.probes import is_probed
from tests.support.builders import build_expert, lora_weights, tiny_spec
from tests.support.tiny_model import write_adapter, write_tiny_model

TEXTS = [f"question number {n}" for n in range(8)]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapter") / "peft", tiny_folder)


@pytest.fixture(scope="module")
def spec(adapter: Path) -> AdapterSpec:
    return spec_of_config((adapter / "adapter_config.json").read_bytes(), "F32")


@pytest.fixture(scope="module")
def weights(adapter: Path) -> bytes:
    return (adapter / "adapter_model.safetensors").read_bytes()


@pytest.fixture
def bench(tiny_folder: Path) -> ProbeBench:
    return ProbeBench(lambda record: tiny_folder)


def other_base(tmp_path: Path, tiny_folder: Path, change: Any) -> tuple[Path, BaseRecord]:
    """A copy of the tiny model whose weights were changed."""
    folder = tmp_path / "copy"
    shutil.copytree(tiny_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: change(tensor) for name, tensor in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder, fingerprint_folder(folder, "tiny-llama")


def judge(folder: Path, record: BaseRecord, made: Any, tiny_record: BaseRecord, spec: AdapterSpec, weights: bytes) -> ProbeResult:
    found = ProbeBench(lambda _: folder).measure(made, record, spec, weights)
    return classify_probe(made, found, compare(tiny_record.fingerprint, record.fingerprint).match)


def test_the_stored_logits_are_those_of_the_model_and_of_peft(bench: ProbeBench, tiny_folder, tiny_record, adapter, spec, weights):
    probe = bench.make(tiny_record, spec, weights, TEXTS)
    base = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    with torch.inference_mode():
        bare = [base(torch.tensor([prompt.ids])).logits[0, -1] for prompt in probe.prompts]
        adapted_model = PeftModel.from_pretrained(base, adapter).eval()
        adapted = [adapted_model(torch.tensor([prompt.ids])).logits[0, -1] for prompt in probe.prompts]
    for prompt, one, other in zip(probe.prompts, bare, adapted, strict=True):
        tokens = {int(token) for side in (one, other) for token in side.topk(8).indices}
        assert [token for token, _, _ in prompt.logits] == sorted(tokens)
        for token, stored, changed in prompt.logits:
            assert abs(stored - 1000 * float(one[token])) <= 2
            assert abs(changed - 1000 * float(other[token])) <= 2


def test_a_probe_is_the_same_every_time_and_exact_at_home(bench: ProbeBench, tiny_folder, tiny_record, spec, weights):
    probe = bench.make(tiny_record, spec, weights, TEXTS)
    assert ProbeBench(lambda _: tiny_folder).make(tiny_record, spec, weights, TEXTS).to_bytes() == probe.to_bytes()
    assert check_probe(probe.to_bytes(), "probe/0.json", tiny_record.fingerprint.vocab_size) == []
    result = classify_probe(probe, bench.measure(probe, tiny_record, spec, weights), BaseMatch.EXACT)
    assert (result.match, result.same_top) == (BaseMatch.EXACT, 4)


def test_without_texts_there_are_still_four_different_prompts(bench: ProbeBench, tiny_record, spec, weights):
    probe = bench.make(tiny_record, spec, weights, [])
    assert len({prompt.ids for prompt in probe.prompts}) == 4
    assert all(1 <= len(prompt.ids) <= 16 for prompt in probe.prompts)


def test_a_slightly_rounded_copy_of_the_base_is_family(tmp_path, bench, tiny_folder, tiny_record, spec, weights):
    probe = bench.make(tiny_record, spec, weights, TEXTS)
    folder, record = other_base(tmp_path, tiny_folder, lambda tensor: tensor.to(torch.bfloat16).to(tensor.dtype))
    result = judge(folder, record, probe, tiny_record, spec, weights)
    assert (result.match, result.no_effect) == (BaseMatch.FAMILY, False)
    assert result.difference > 0


def test_a_base_of_the_same_shape_and_other_weights_is_refused(tmp_path, bench, tiny_record, spec, weights):
    probe = bench.make(tiny_record, spec, weights, TEXTS)
    folder = write_tiny_model(tmp_path / "other", seed=9)
    record = fingerprint_folder(folder, "tiny-llama")
    assert compare(tiny_record.fingerprint, record.fingerprint).match is BaseMatch.FAMILY
    assert judge(folder, record, probe, tiny_record, spec, weights).match is BaseMatch.INCOMPATIBLE


def test_an_adapter_with_another_effect_is_refused_on_the_very_same_base(bench: ProbeBench, tiny_record, spec, weights):
    probe = bench.make(tiny_record, spec, weights, TEXTS)
    swapped = lora_weights(spec, tiny_record.linears, seed=7)
    result = classify_probe(probe, bench.measure(probe, tiny_record, spec, swapped), BaseMatch.EXACT)
    assert result.match is BaseMatch.INCOMPATIBLE


def scaled(weights: bytes, factor: float) -> bytes:
    """The same file with every lora_B multiplied."""
    data = bytearray(weights)
    for name, info in parse_header(weights).items():
        if "lora_B" in name:
            values = torch.frombuffer(data[info.begin : info.end], dtype=torch.float32) * factor
            data[info.begin : info.end] = values.numpy().tobytes()
    return bytes(data)


def test_an_adapter_that_hardly_does_anything_is_not_packed(tmp_path, bench: ProbeBench, tiny_record, spec, weights):
    with pytest.raises(IncompatibleAdapterError) as caught:
        build_expert(tmp_path, record=tiny_record, spec=spec, weights=scaled(weights, 1e-6), probes=bench)
    assert caught.value.code == "probe_no_effect"
    assert "does nothing" in caught.value.message


def test_an_adapter_of_zeros_is_refused_before_any_model_runs(tmp_path, tiny_record, spec, weights):
    def unused(record: BaseRecord) -> Path:
        raise AssertionError("no model is needed for this")

    with pytest.raises(IncompatibleAdapterError) as caught:
        build_expert(tmp_path, record=tiny_record, spec=spec, weights=scaled(weights, 0.0), probes=ProbeBench(unused))
    assert caught.value.code == "adapter_no_effect"


def test_an_installed_expert_without_its_base_is_probed_before_its_first_load(tmp_path, bench, tiny, tiny_record):
    registry = Registry(tmp_path / "registry")
    spec = tiny_spec()
    archive = build_expert(tmp_path, record=tiny_record, spec=spec, probes=bench)
    expert = registry.install(archive, bases=(), allow_missing_base=True, unsafe_allow_unsigned=True)
    assert expert.base_match == "pending"
    with ExpertEngine(tiny, registry) as engine:
        engine.generate("hello", "expert-kit/tiny", max_new_tokens=1)
    assert registry.get("expert-kit/tiny").base_match == "exact"
    assert is_probed(expert.identity, tiny_record)


def test_an_installed_expert_of_another_copy_is_refused_at_its_first_load(tmp_path, bench, tiny_folder, tiny_record, home):
    registry = Registry(tmp_path / "registry")
    archive = build_expert(tmp_path, record=tiny_record, probes=bench)
    registry.install(archive, bases=(), allow_missing_base=True, unsafe_allow_unsigned=True)
    folder = write_tiny_model(tmp_path / "other", seed=9)
    record = fingerprint_folder(folder, "tiny-llama")
    with (
        ExpertEngine(load_base(folder, record, device="cpu", dtype="float32"), registry) as engine,
        pytest.raises(ExpertKitError) as caught,
    ):
        engine.generate("hello", "expert-kit/tiny", max_new_tokens=1)
    assert caught.value.code == "probe_mismatch"
    assert registry.get("expert-kit/tiny").base_match == "pending"


def test_a_base_that_is_not_here_is_a_typed_error(tiny_record, home):
    with pytest.raises(BaseModelError) as caught:
        stored_folder(tiny_record)
    assert caught.value.code == "base_not_pulled"


def test_a_base_that_was_replaced_meanwhile_is_a_typed_error(tiny_record, home):
    folder = home / "bases" / "tiny-llama"
    folder.mkdir(parents=True)
    changed = replace(tiny_record, fingerprint=replace(tiny_record.fingerprint, hf_repo="a/b"))
    (folder / "base.json").write_text(changed.to_json())
    with pytest.raises(BaseModelError, match="another one than it was"):
        stored_folder(tiny_record)


def test_only_a_float32_base_on_the_cpu_counts_as_the_reference(tiny, tiny_folder, tiny_record):
    assert is_reference(tiny)
    assert not is_reference(load_base(tiny_folder, tiny_record, device="cpu", dtype="bfloat16"))
