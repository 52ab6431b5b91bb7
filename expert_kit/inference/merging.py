"""Installed experts or adapter folders -> the source folder of a new expert, with its lineage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from expert_kit import __version__
from expert_kit.adapters import Adapter, LoraWeights, read_lora
from expert_kit.archive import config_of_spec, parse_header, spec_of_config
from expert_kit.bases import ADAPTER_KINDS, LORA, AdapterSpec, BaseMatch, BaseRecord, Linear, compare
from expert_kit.composition import Merged, MergeOptions, merge_adapters, whole_in_weights
from expert_kit.errors import BaseMismatchError, NotComposableError, UsageError
from expert_kit.inference.experts import read_adapter_file
from expert_kit.inference.selection import Member
from expert_kit.manifest import MAX_RANK
from expert_kit.names import Digest, ExpertRef
from expert_kit.registry import Registry

_PPM = 1_000_000
_PREFIX = "base_model.model."


@dataclass(frozen=True, eq=False)
class Parent:
    """One expert that goes into a merge."""

    label: str
    identity: Digest
    ref: ExpertRef | None
    """``None`` for a folder."""
    license: str | None
    adapter: Adapter
    dtype: str
    examples: tuple[tuple[str, str], ...]
    """Routing examples: text and split."""


@dataclass(frozen=True)
class MergePlan:
    """What to merge, and how to call the result."""

    members: tuple[tuple[Member, float], ...]
    method: str
    options: MergeOptions
    name: str
    version: str
    license: str | None = None
    """``None`` takes that of the parents, joined by AND where they differ."""


@dataclass(frozen=True, eq=False)
class MergeResult:
    """The new source folder, and what truncation lost."""

    folder: Path
    rank: int
    residual: float


def merge_experts(
    plan: MergePlan, record: BaseRecord, registry: Registry | None, out: Path, report: Callable[[int, int], None] | None = None
) -> MergeResult:
    """Merge experts of one base into ``out``: ``expert.yaml``, ``adapter/``, and the routing examples of all parents.

    Raises:
        UsageError: ``merge_out``, the folder is not empty. ExpertNotFoundError, BlobDigestError, RevokedError: of a parent.
        BaseMismatchError: a parent is for another base. NotComposableError, IncompatibleAdapterError: see ``merge_adapters``.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already and not empty", hint="name a new folder with --out", code="merge_out")
    parents = [_parent(member, record, registry) for member, _ in plan.members]
    weights = [weight for _, weight in plan.members]
    licenses = sorted({parent.license for parent in parents if parent.license})
    if plan.license is None and not licenses:
        raise UsageError("adapter folders have no licence", hint="name one with --license", code="merge_license")
    merged = merge_adapters([parent.adapter for parent in parents], weights, plan.method, plan.options, report)
    # No finer than the parents were.
    dtype = "BF16" if all(parent.dtype == "BF16" for parent in parents) else "F32"
    spec = _write_adapter(out / "adapter", merged, record.linears, dtype)
    has_examples = _write_examples(out / "routing" / "examples.jsonl", parents)
    source: dict[str, Any] = {
        "name": plan.name,
        "version": plan.version,
        "license": plan.license or (licenses[0] if len(licenses) == 1 else " AND ".join(f"({one})" for one in licenses)),
        "summary": f"Merge by {plan.method} of {_sum(parents, weights)}.",
        "adapter": "adapter/",
        "base": record.fingerprint.id,
        "lineage": _lineage(plan, parents, spec.r, merged.residual),
    }
    if has_examples:
        source["routing"] = {"examples": "routing/examples.jsonl"}
    # JSON is YAML too.
    (out / "expert.yaml").write_text(json.dumps(source, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return MergeResult(out, spec.r, merged.residual)


def _parent(member: Member, record: BaseRecord, registry: Registry | None) -> Parent:
    if isinstance(member, Path):
        config, weights = read_adapter_file(member / "adapter_config.json"), read_adapter_file(member / "adapter_model.safetensors")
        dtype = next(iter(parse_header(weights).values())).dtype
        digest = hashlib.sha256(hashlib.sha256(config).digest() + hashlib.sha256(weights).digest()).hexdigest()
        adapter = _read(weights, spec_of_config(config, dtype), record)
        return Parent(member.resolve().name, Digest(f"sha256:{digest}"), None, None, adapter, dtype, ())
    assert registry is not None
    expert = registry.get(member)
    registry.check_revoked(expert)
    if compare(expert.base, record.fingerprint).match is BaseMatch.INCOMPATIBLE:
        raise BaseMismatchError(
            f"{expert.ref} was made for {expert.base.id}, the merge is for {record.fingerprint.id}",
            hint="experts of different bases cannot be merged; name the base of all with --base",
        )
    examples = tuple((example.text, example.split) for example in registry.examples(expert))
    adapter = _read(registry.read_weights(expert), expert.adapter, record)
    return Parent(expert.ref.full_name, expert.identity, expert.ref, expert.license, adapter, expert.adapter.dtype, examples)


def _read(weights: bytes | memoryview, spec: AdapterSpec, record: BaseRecord) -> Adapter:
    if spec.peft_type != LORA:
        raise NotComposableError(
            f"{ADAPTER_KINDS[spec.peft_type]} is no sum of deltas, so it does not merge into a new adapter",
            hint="merge LoRA adapters; engine.merged() puts IA3 into the base for the time of a block",
            code="kind_not_merged",
        )
    if spec.modules_to_save:
        raise whole_in_weights()
    return read_lora(weights, spec, record.linears, device=torch.device("cpu"), dtype=torch.float32)


def _write_adapter(folder: Path, merged: Merged, linears: Sequence[Linear], dtype: str) -> AdapterSpec:
    """A PEFT folder with one rank for all modules, alpha equal to it, so that nothing is scaled when it is read."""
    rank = max(one.rank for one in merged.adapter.values())
    if rank > MAX_RANK:
        raise NotComposableError(
            f"the merge has rank {rank}, at most {MAX_RANK} is allowed", hint="use --method svd --rank N", code="rank_too_large"
        )
    spec = AdapterSpec(r=rank, lora_alpha=rank, target_modules=_targets(merged, linears), dtype=dtype)
    to = torch.bfloat16 if dtype == "BF16" else torch.float32
    tensors = {}
    for module, one in merged.adapter.items():
        padded = _padded(one, rank)
        tensors[f"{_PREFIX}{module}.lora_A.weight"] = padded.a.to(to).contiguous()
        tensors[f"{_PREFIX}{module}.lora_B.weight"] = padded.b.to(to).contiguous()
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_bytes(config_of_spec(spec))
    (folder / "adapter_model.safetensors").write_bytes(save(dict(sorted(tensors.items())), {"format": "pt"}))
    return spec


def _targets(merged: Merged, linears: Sequence[Linear]) -> tuple[str, ...]:
    """Last names of the modules if these mean exactly them, whole paths if not."""
    leaves = tuple(sorted({module.rpartition(".")[2] for module in merged.adapter}))
    meant = AdapterSpec(r=1, lora_alpha=1, target_modules=leaves).targets(linears)
    return leaves if len(meant) == len(merged.adapter) else tuple(sorted(merged.adapter))


def _padded(one: LoraWeights, rank: int) -> LoraWeights:
    missing = rank - one.rank
    return LoraWeights(torch.nn.functional.pad(one.a, (0, 0, 0, missing)), torch.nn.functional.pad(one.b, (0, missing)))


def _write_examples(path: Path, parents: Sequence[Parent]) -> bool:
    """The parents' examples, each once; where one text is in both splits it is for fitting."""
    splits: dict[str, str] = {}
    for text, split in (example for parent in parents for example in parent.examples):
        splits[text] = "fit" if "fit" in (split, splits.get(text)) else split
    if not splits:
        return False
    path.parent.mkdir(parents=True)
    rows = [json.dumps({"text": text, "split": split}, ensure_ascii=False) for text, split in splits.items()]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return True


def _sum(parents: Sequence[Parent], weights: Sequence[float]) -> str:
    return " and ".join(f"{parent.label} ({weight:g})" for parent, weight in zip(parents, weights, strict=True))


def _lineage(plan: MergePlan, parents: Sequence[Parent], rank: int, residual: float) -> dict[str, Any]:
    listed = []
    for parent, (_, weight) in zip(parents, plan.members, strict=True):
        entry: dict[str, Any] = {"identity": parent.identity, "weight_ppm": round(weight * _PPM)}
        if parent.ref is not None:
            entry |= {"name": parent.ref.full_name, "version": parent.ref.version}
        listed.append(entry)
    found: dict[str, Any] = {"method": plan.method, "parents": listed, "rank": rank, "residual_ppm": round(residual * _PPM)}
    found["tool"] = f"expert-kit:{__version__}"
    if plan.method in {"ties", "dare"}:
        found["density_ppm"] = round(plan.options.density * _PPM)
    if plan.method == "dare":
        found["seed"] = plan.options.seed
    return found
