"""Writes a LoRA adapter of a Llama-like base as a GGUF file, the form in which llama.cpp attaches adapters.

Run: python scripts/lora_to_gguf.py ADAPTER_FOLDER OUT.gguf [--base smollm2-135m] [--outtype f32]. The base must be pulled
(expert-kit base pull smollm2-135m), but is not loaded.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from expert_kit.errors import IncompatibleAdapterError

PLACES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""What GGUF calls the linear layers of a Llama."""
_LAYERS = "model.layers."
_TYPES = {"f32": np.float32, "f16": np.float16}


def main() -> int:
    """Convert one adapter."""
    from expert_kit.base_models import BaseStore
    from expert_kit.registry import bases_dir

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adapter", type=Path, help="PEFT folder")
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--outtype", choices=sorted(_TYPES), default="f32")
    options = parser.parse_args()
    entry = BaseStore(bases_dir()).get(options.base)
    config = json.loads((entry.folder / "config.json").read_bytes())
    tensors = gguf_tensors(options.adapter, entry.record, config)
    write_gguf(options.out, {name: tensor.astype(_TYPES[options.outtype]) for name, tensor in tensors.items()})
    print(f"{options.out}: {len(tensors)} tensors")
    return 0


def gguf_tensors(adapter: Path, record: Any, config: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Factors in float32 by their names in GGUF, A (r, in) and B (out, r), with the scaling in B.

    Args:
        adapter: PEFT folder.
        record: of the base.
        config: the base's ``config.json``.

    Raises:
        IncompatibleAdapterError: no plain LoRA, or on layers that have no name in GGUF.
    """
    import torch

    from expert_kit.adapters import read_lora
    from expert_kit.archive import parse_header, spec_of_config

    data = (adapter / "adapter_model.safetensors").read_bytes()
    spec = spec_of_config((adapter / "adapter_config.json").read_bytes(), next(iter(parse_header(data).values())).dtype)
    factors = read_lora(data, spec, record.linears, device=torch.device("cpu"), dtype=torch.float32)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config.get("num_key_value_heads") or config["num_attention_heads"]}
    tensors = {}
    for module, one in factors.items():
        name = gguf_name(module)
        b = one.b.numpy()
        place = name.rpartition(".")[2]
        tensors[f"{name}.weight.lora_a"] = one.a.numpy()
        tensors[f"{name}.weight.lora_b"] = turned(b, heads[place]) if place in heads else b
    return tensors


def gguf_name(module: str) -> str:
    """``model.layers.3.mlp.up_proj`` is ``blk.3.ffn_up``.

    Raises:
        IncompatibleAdapterError: it has no name there.
    """
    layer, _, leaf = module.removeprefix(_LAYERS).partition(".")
    if not module.startswith(_LAYERS) or not layer.isdigit() or leaf not in PLACES:
        raise IncompatibleAdapterError(f"{module} is no linear layer of a Llama", hint="convert an adapter of a Llama-like base")
    return f"blk.{layer}.{PLACES[leaf]}"


def turned(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows (out, ...) of queries or keys in the order that llama.cpp's rotary embedding wants: pairs beside each other, head by head."""
    half = len(rows) // heads // 2
    return np.ascontiguousarray(rows.reshape(heads, 2, half, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape))


def write_gguf(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """A file with no alpha, which for llama.cpp means that nothing is left to scale."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 0.0)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    sys.exit(main())
