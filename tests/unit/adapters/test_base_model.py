import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from expert_kit.adapters import load_base
from expert_kit.errors import BaseModelError


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "model")


def test_missing_weights_are_an_error_not_random_numbers(folder, tiny_record):
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BaseModelError, match="up_proj") as caught:
        load_base(folder, tiny_record, device="cpu")
    assert caught.value.code == "base_incomplete"


def test_truncated_weights_are_a_typed_error(folder, tiny_record):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(BaseModelError):
        load_base(folder, tiny_record, device="cpu")


def test_code_in_a_folder_is_never_run(folder, tiny_record, tmp_path, monkeypatch):
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    # Where transformers asks whether to trust the code, this is a yes.
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(BaseModelError):
        load_base(folder, tiny_record, device="cpu")
    assert not (tmp_path / "ran").exists()


def test_a_loaded_base_takes_no_gradient_and_is_in_evaluation_mode(tiny):
    assert not tiny.model.training
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())
    assert tiny.model.dtype == torch.float32
