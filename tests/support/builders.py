"""A tiny expert, made by code: no torch, no network, the same bytes every time."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expert_kit.archive import ArchiveReader, ProbeMaker, config_of_spec, expected_tensors, package, write_header
from expert_kit.bases import AdapterSpec, BaseFingerprint, BaseRecord, Linear, structure_digest
from expert_kit.names import sha256_digest

TINY_HIDDEN = 8
TINY_LAYERS = 2


def tiny_linears(hidden: int = TINY_HIDDEN, layers: int = TINY_LAYERS) -> tuple[Linear, ...]:
    """Linear layers of a Llama with one key-value head of half the width."""
    shapes = {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (hidden // 2, hidden),
        "self_attn.v_proj": (hidden // 2, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (2 * hidden, hidden),
        "mlp.up_proj": (2 * hidden, hidden),
        "mlp.down_proj": (hidden, 2 * hidden),
    }
    return tuple(sorted((f"model.layers.{layer}.{name}", *shape) for layer in range(layers) for name, shape in shapes.items()))


def tiny_base(base_id: str = "tiny", *, linears: tuple[Linear, ...] | None = None, **changes: Any) -> BaseRecord:
    """Record of a base model that exists only as its record; ``changes`` replace fields of the fingerprint."""
    linears = tiny_linears() if linears is None else linears
    fields: dict[str, Any] = {
        "id": base_id,
        "arch": "LlamaForCausalLM",
        "config_sha256": sha256_digest(b"config"),
        "structure_sha256": structure_digest(linears),
        "weights_root_sha256": sha256_digest(b"weights"),
        "tokenizer_sha256": sha256_digest(b"tokenizer"),
        "chat_template_sha256": sha256_digest(b"template"),
        "vocab_size": 64,
        "hidden_size": TINY_HIDDEN,
        "layers": TINY_LAYERS,
        "hf_repo": "example/tiny",
        "hf_revision": "0" * 40,
    }
    return BaseRecord(BaseFingerprint(**{**fields, **changes}), linears)


def tiny_spec(**changes: Any) -> AdapterSpec:
    """A LoRA of rank 2 on the query and value projections."""
    fields: dict[str, Any] = {"r": 2, "lora_alpha": 4, "target_modules": ("q_proj", "v_proj")}
    return AdapterSpec(**{**fields, **changes})


def lora_weights(spec: AdapterSpec, base: BaseRecord | tuple[Linear, ...] | None = None, seed: int = 0) -> bytes:
    """A weights file of random values in ``spec.dtype``, all tensors non-zero; linear layers alone are those of a tiny base."""
    record = base if isinstance(base, BaseRecord) else tiny_base(linears=base)
    return tensor_file(expected_tensors(spec, record), spec.dtype, seed)


def tensor_file(shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32", seed: int = 0) -> bytes:
    """A safetensors file with tensors of these names and shapes."""
    source = random.Random(seed)
    count = sum(_product(shape) for shape in shapes.values())
    header = write_header({name: (dtype, shape) for name, shape in shapes.items()})
    return header + b"".join(_encode(source.uniform(-0.1, 0.1), dtype) for _ in range(count))


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _encode(value: float, dtype: str) -> bytes:
    if dtype == "F16":
        return struct.pack("<e", value)
    single = struct.pack("<f", value)
    return single if dtype == "F32" else single[2:]


def example_rows(fit: int = 4, validate: int = 2, topic: str = "sql") -> bytes:
    """A ``routing/examples.jsonl``."""
    rows = [{"text": f"{topic} question number {n}", "split": "fit" if n < fit else "validate"} for n in range(fit + validate)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write_source(
    folder: Path,
    *,
    name: str = "expert-kit/tiny",
    version: str = "1.0.0",
    base: str = "tiny",
    spec: AdapterSpec | None = None,
    weights: bytes | None = None,
    examples: bytes | None = None,
    extra: str = "",
) -> Path:
    """A source folder that packs: adapter, examples, card, licence, evaluation report. Returns the ``expert.yaml``."""
    spec = tiny_spec() if spec is None else spec
    files = {
        "adapter/adapter_config.json": config_of_spec(spec),
        "adapter/adapter_model.safetensors": lora_weights(spec) if weights is None else weights,
        "routing/examples.jsonl": example_rows() if examples is None else examples,
        "README.md": f"# {name}\n".encode(),
        "LICENSE": b"licence text\n",
        "eval.yaml": b"- {suite: tiny-suite, n: 200, base: 0.125, expert: 0.5}\n",
    }
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    source = folder / "expert.yaml"
    source.write_text(
        f"name: {name}\nversion: {version}\nlicense: Apache-2.0\nsummary: A tiny expert.\ntags: [tiny, sql]\n"
        f"adapter: adapter/\nbase: {base}\nrouting: {{examples: routing/examples.jsonl}}\ncard: README.md\neval: eval.yaml\n{extra}"
    )
    return source


def build_expert(folder: Path, *, record: BaseRecord | None = None, seed: int = 0, probes: ProbeMaker | None = None, **source: Any) -> Path:
    """An unsigned archive in ``folder``; arguments as for :func:`write_source`. Another seed gives other weights."""
    record = tiny_base() if record is None else record
    spec = source.setdefault("spec", tiny_spec())
    source.setdefault("weights", lora_weights(spec, record, seed))
    source.setdefault("base", record.fingerprint.id)
    work = folder / f"source-{len(list(folder.iterdir()))}" if folder.is_dir() else folder / "source-0"
    return package(write_source(work, **source), folder, [record], probes=probes)


def tamper(archive: Path, member: str) -> None:
    """Flip one bit in the middle of a member's body, in place."""
    with ArchiveReader.open(archive) as reader:
        body = reader.read(member)
    data = bytearray(archive.read_bytes())
    position = data.index(body) + len(body) // 2
    data[position] ^= 1
    archive.write_bytes(data)
