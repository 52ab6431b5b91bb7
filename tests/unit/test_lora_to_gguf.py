"""The conversion for llama.cpp: names, scaling, and queries and keys in the order of its rotary embedding."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from expert_kit.errors import IncompatibleAdapterError
from tests.support.tiny_model import write_adapter

spec = importlib.util.spec_from_file_location("lora_to_gguf", Path(__file__).parents[2] / "scripts" / "lora_to_gguf.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


def test_a_file_holds_every_factor_once_with_the_scaling_in_b(tmp_path, tiny_folder, tiny_record):
    adapter = write_adapter(tmp_path / "adapter", tiny_folder, r=4, alpha=12, targets=["v_proj", "down_proj"], rslora=True)
    config = json.loads((tiny_folder / "config.json").read_bytes())
    script.write_gguf(tmp_path / "adapter.gguf", script.gguf_tensors(adapter, tiny_record, config))
    reader = GGUFReader(tmp_path / "adapter.gguf")
    fields = {name: reader.get_field(name).contents() for name in ("general.architecture", "general.type", "adapter.type")}
    assert fields == {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
    assert reader.get_field("adapter.lora.alpha").contents() == 0
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    assert sorted(tensors) == sorted(
        f"blk.{layer}.{place}.weight.lora_{side}" for layer in (0, 1) for place in ("attn_v", "ffn_down") for side in "ab"
    )
    from safetensors.torch import load_file

    own = load_file(adapter / "adapter_model.safetensors")
    prefix = "base_model.model.model.layers.1.mlp.down_proj.lora_"
    np.testing.assert_array_equal(tensors["blk.1.ffn_down.weight.lora_a"], own[f"{prefix}A.weight"].numpy())
    np.testing.assert_allclose(tensors["blk.1.ffn_down.weight.lora_b"], 12 / 4**0.5 * own[f"{prefix}B.weight"].numpy(), rtol=1e-6)


def test_turned_queries_and_keys_give_the_same_scores_under_interleaved_rotation():
    heads, size, tokens = 3, 8, 5
    random = torch.Generator().manual_seed(0)
    q, k = (torch.randn(tokens, heads * size, generator=random) for _ in range(2))
    angles = torch.arange(tokens)[:, None] * 0.7 ** torch.arange(size // 2)[None]
    doubled = torch.cat([angles, angles], dim=-1)[None]
    ours = apply_rotary_pos_emb(split(q, heads)[None], split(k, heads)[None], doubled.cos(), doubled.sin())
    theirs = [interleaved(split(torch.from_numpy(script.turned(one.T.numpy(), heads)).T, heads), angles) for one in (q, k)]
    torch.testing.assert_close(theirs[0] @ theirs[1].mT, (ours[0] @ ours[1].mT)[0])


def split(x, heads):
    """(tokens, heads * size) -> (heads, tokens, size)"""
    return x.reshape(len(x), heads, -1).transpose(0, 1)


def interleaved(x, angles):
    """Numbers 2n and 2n + 1 turned by angle n, as ggml does it for Llama."""
    turned = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous()) * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(-2)


@pytest.mark.parametrize("module", ["model.layers.0.self_attn.c_attn", "transformer.h.0.mlp.up_proj", "model.layers.x.mlp.up_proj"])
def test_layers_without_a_name_are_refused(module):
    assert script.gguf_name("model.layers.12.self_attn.o_proj") == "blk.12.attn_output"
    with pytest.raises(IncompatibleAdapterError, match="no linear layer of a Llama"):
        script.gguf_name(module)
