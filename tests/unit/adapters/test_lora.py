import pytest
import torch
from safetensors.torch import load_file, save

from expert_kit.adapters import read_lora, read_tensors
from expert_kit.archive import spec_of_config
from expert_kit.bases import AdapterSpec
from expert_kit.errors import IncompatibleAdapterError, UnsupportedMemberError
from tests.support.tiny_model import write_adapter


@pytest.fixture
def adapter(tmp_path, tiny_folder):
    folder = write_adapter(tmp_path / "a", tiny_folder)
    return load_file(folder / "adapter_model.safetensors"), spec_of_config((folder / "adapter_config.json").read_bytes(), "F32")


def read(tensors, spec, record, dtype=torch.float32):
    return read_lora(save(tensors, {"format": "pt"}), spec, record.linears, device=torch.device("cpu"), dtype=dtype)


def test_scaling_is_folded_into_b_once(adapter, tiny_record):
    tensors, spec = adapter
    factors = read(tensors, spec, tiny_record)["model.layers.0.self_attn.q_proj"]
    stored = tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"]
    torch.testing.assert_close(factors.b, stored * (8 / 4))
    assert factors.rank == 4


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(bytearray(b"12345678" + data))[8:]])
def test_tensors_are_views_of_the_bytes_whoever_these_belong_to(adapter, kind, recwarn):
    tensors, _ = adapter
    found = read_tensors(kind(save(tensors, {"format": "pt"})))
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert not recwarn.list


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "dtype"])
def test_tensors_that_configuration_and_base_do_not_imply_are_refused(adapter, tiny_record, change):
    tensors, spec = adapter
    name = sorted(tensors)[0]
    if change == "missing":
        del tensors[name]
    elif change == "extra":
        tensors["base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight"] = torch.ones(4, 64)
    elif change == "shape":
        tensors[name] = tensors[name][:, :-1].contiguous()
    else:
        tensors = {key: value.half() for key, value in tensors.items()}
    with pytest.raises(IncompatibleAdapterError) as caught:
        read(tensors, spec, tiny_record)
    assert caught.value.code == "tensor_set_mismatch"


def test_an_adapter_that_does_nothing_is_refused(adapter, tiny_record):
    tensors, spec = adapter
    tensors = {name: torch.zeros_like(value) if "lora_B" in name else value for name, value in tensors.items()}
    with pytest.raises(IncompatibleAdapterError) as caught:
        read(tensors, spec, tiny_record)
    assert caught.value.code == "adapter_no_effect"


def test_dora_is_refused_not_run_as_lora(adapter, tiny_record):
    tensors, spec = adapter
    dora = AdapterSpec(spec.r, spec.lora_alpha, spec.target_modules, use_dora=True)
    with pytest.raises(UnsupportedMemberError, match="DoRA"):
        read(tensors, dora, tiny_record)


def test_bytes_that_are_no_safetensors_file_are_a_typed_error(tiny_record):
    spec = AdapterSpec(4, 8, ("q_proj",))
    with pytest.raises(IncompatibleAdapterError):
        read_lora(b"\x80\x04pickle", spec, tiny_record.linears, device=torch.device("cpu"), dtype=torch.float32)
