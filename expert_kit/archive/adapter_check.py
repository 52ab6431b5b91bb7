"""Does an adapter fit its configuration and its base model? Answered from headers and bit patterns, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from expert_kit.archive.problems import Problem, Severity, refused
from expert_kit.archive.safetensors_header import TensorInfo, is_finite, is_zero, parse_header
from expert_kit.bases import AdapterSpec, Linear, name_matches
from expert_kit.errors import ArchiveError, ManifestError, UnsupportedMemberError
from expert_kit.manifest import DOTTED_NAME, MAX_NAME_LENGTH, MAX_RANK, parse_object
from expert_kit.names import Digest, printable, sha256_digest

PREFIX = "base_model.model."
_FACTORS = (".lora_A.weight", ".lora_B.weight")
_MAGNITUDE = ".lora_magnitude_vector"
_LISTED = 5
# PEFT's configuration has some 40 fields; a hostile one may have 30,000.
_MOST_PROBLEMS = 50

_TASK_TYPES = (None, "CAUSAL_LM")
# Fields of LoraConfig that say nothing about the result, or labels that are replaced by the local base record's.
_IGNORED = frozenset({"base_model_name_or_path", "revision", "peft_version", "inference_mode", "lora_dropout"})
_USED = frozenset({"peft_type", "r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora"})
# What PEFT writes for fields that are switched off. Another value imports modules, opens files or changes the structure.
_OFF: dict[str, tuple[Any, ...]] = {
    "bias": ("none",),
    "fan_in_fan_out": (False,),
    "task_type": _TASK_TYPES,
    "init_lora_weights": (True, False, "gaussian"),
    "ensure_weight_tying": (False,),
    "loftq_config": ({},),
    "lora_bias": (False,),
    "megatron_core": ("megatron.core",),
    "qalora_group_size": (16,),
    "use_qalora": (False,),
    "runtime_config": ({"ephemeral_gpu_offload": False},),
}


def expected_tensors(spec: AdapterSpec, linears: Sequence[Linear]) -> dict[str, tuple[int, ...]]:
    """Names and shapes that an adapter of this configuration has on these linear layers, as PEFT saves them.

    ``lora_A`` is (rank, in), ``lora_B`` is (out, rank), DoRA's magnitude (arXiv:2402.09353) is (out,).
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for module, out, in_ in spec.targets(linears):
        rank = spec.rank_of(module)
        shapes[f"{PREFIX}{module}.lora_A.weight"] = (rank, in_)
        shapes[f"{PREFIX}{module}.lora_B.weight"] = (out, rank)
        if spec.use_dora:
            shapes[f"{PREFIX}{module}{_MAGNITUDE}"] = (out,)
    return shapes


def targets_digest(spec: AdapterSpec, linears: Sequence[Linear]) -> Digest:
    """Digest of the RFC 8785 form of the sorted list of module paths that the adapter changes."""
    modules = sorted(module for module, _, _ in spec.targets(linears))
    return sha256_digest(json.dumps(modules, ensure_ascii=False, separators=(",", ":")).encode())


def check_adapter(
    spec: AdapterSpec,
    weights: bytes | bytearray | memoryview,
    linears: Sequence[Linear] | None = None,
    where: str = "adapter_model.safetensors",
) -> list[Problem]:
    """All problems of a weights file: header, dtype, values, and (with ``linears``) the exact set of tensors.

    Args:
        spec: what the manifest says.
        weights: the whole file.
        linears: linear layers of the base model; None if it is not known here, which is one problem of its own.
        where: name of the member, for the problems.
    """
    try:
        tensors = parse_header(weights)
    except ArchiveError as error:
        return [refused(error.code, where, error.message)]
    problems = list(_value_problems(spec, memoryview(weights).cast("B"), tensors))
    if linears is None:
        problems.append(Problem("check_unavailable", Severity.UNCHECKED, where, "base model not known here: tensor set not checked"))
        return problems
    return [*problems, *_structure_problems(spec, linears), *_set_problems(spec, linears, tensors, where)]


def _value_problems(spec: AdapterSpec, data: memoryview, tensors: Mapping[str, TensorInfo]) -> Iterator[Problem]:
    changes = False
    for name, info in tensors.items():
        body, shown = data[info.begin : info.end], printable(name)
        if info.dtype != spec.dtype:
            yield refused("tensor_dtype", shown, f"dtype is {info.dtype}, the manifest says {spec.dtype}")
        if not is_finite(body, info.dtype):
            yield refused("tensor_not_finite", shown, "has infinite or NaN values")
        changes = changes or (name.endswith((".lora_B.weight", _MAGNITUDE)) and not is_zero(body, info.dtype))
    if not changes:
        yield refused("adapter_no_effect", "lora_B", "every lora_B is zero: the adapter changes nothing")


def _structure_problems(spec: AdapterSpec, linears: Sequence[Linear]) -> Iterator[Problem]:
    modules = [module for module, _, _ in linears]
    for name in spec.target_modules:
        if not any(name_matches(name, module) for module in modules):
            yield refused("adapter_target_unknown", "target_modules", f"{name} is no linear layer of the base model")
    targeted = [module for module, _, _ in spec.targets(linears)]
    for field, pattern in (("rank_pattern", spec.rank_pattern), ("alpha_pattern", spec.alpha_pattern)):
        hits = {name: [module for module in targeted if name_matches(name, module)] for name in pattern}
        for name in (name for name, found in hits.items() if not found):
            yield refused("adapter_pattern_unused", field, f"{name} is no target of the adapter")
        matched = [module for found in hits.values() for module in found]
        for module in sorted({module for module in matched if matched.count(module) > 1}):
            yield refused("adapter_pattern_ambiguous", field, f"two names mean {module}")


def _set_problems(spec: AdapterSpec, linears: Sequence[Linear], tensors: Mapping[str, TensorInfo], where: str) -> Iterator[Problem]:
    expected = expected_tensors(spec, linears)
    missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    for label, names in (("missing", missing), ("not expected", extra)):
        if names:
            some = ", ".join(printable(name) for name in names[:_LISTED])
            yield refused("tensor_set_mismatch", where, f"{len(names)} tensors {label}: {some}{' ...' if len(names) > _LISTED else ''}")
    for name in sorted(expected.keys() & tensors.keys()):
        if expected[name] != tensors[name].shape:
            yield refused("tensor_shape", printable(name), f"shape is {list(tensors[name].shape)}, expected {list(expected[name])}")


def spec_of_config(data: bytes, dtype: str) -> AdapterSpec:
    """Read an ``adapter_config.json`` of PEFT against the allow-list; its labels (base model, version) are not used.

    Raises:
        UnsupportedMemberError: ``adapter_config_refused``, with every field that is not supported.
    """
    try:
        config = parse_object(data)
    except ManifestError as error:
        raise _refuse_config([error.message]) from error
    problems = [*_field_problems(config), *_switched_on(config)]
    if problems:
        raise _refuse_config(problems)
    return AdapterSpec(
        r=config["r"],
        lora_alpha=int(config["lora_alpha"]),
        target_modules=tuple(sorted(set(config["target_modules"]))),
        rank_pattern=dict(config.get("rank_pattern") or {}),
        alpha_pattern={name: int(value) for name, value in (config.get("alpha_pattern") or {}).items()},
        use_rslora=bool(config.get("use_rslora")),
        use_dora=bool(config.get("use_dora")),
        dtype=dtype,
    )


def config_of_spec(spec: AdapterSpec) -> bytes:
    """The ``adapter_config.json`` that PEFT gets to see: from the manifest, without paths, the same bytes every time."""
    config = {
        "alpha_pattern": dict(spec.alpha_pattern),
        "base_model_name_or_path": None,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": spec.lora_alpha,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": spec.r,
        "rank_pattern": dict(spec.rank_pattern),
        "target_modules": list(spec.target_modules),
        "task_type": "CAUSAL_LM",
        "use_dora": spec.use_dora,
        "use_rslora": spec.use_rslora,
    }
    return (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()


def check_config(data: bytes, spec: AdapterSpec, where: str = "adapter_config.json") -> list[Problem]:
    """A shipped configuration is evidence: it passes the allow-list and says what the manifest says."""
    try:
        shipped = spec_of_config(data, spec.dtype)
    except UnsupportedMemberError as error:
        return [refused(error.code, where, error.message)]
    if shipped != spec:
        return [refused("adapter_config_disagrees", where, "does not say what the adapter block of the manifest says")]
    return []


def _field_problems(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("peft_type") != "LORA":
        yield f"peft_type is {_show(config.get('peft_type'))}, only LORA is supported"
    if not _is_whole(config.get("r"), MAX_RANK):
        yield f"r is {_show(config.get('r'))}, not an integer from 1 to {MAX_RANK}"
    if not _is_whole(config.get("lora_alpha"), 1 << 20, fractions=True):
        yield f"lora_alpha is {_show(config.get('lora_alpha'))}, not a positive integer"
    targets = config.get("target_modules")
    if not isinstance(targets, list) or not targets or not all(_is_plain(name) for name in targets):
        yield "target_modules is not a list of plain dotted names"
    for field, largest in (("rank_pattern", MAX_RANK), ("alpha_pattern", 1 << 20)):
        pattern = config.get(field)
        whole = isinstance(pattern, dict) and all(
            _is_plain(name) and _is_whole(value, largest, fractions=field == "alpha_pattern") for name, value in pattern.items()
        )
        if pattern is not None and not whole:
            yield f"{field} is not a mapping of plain dotted names to positive integers"
    for field in ("use_rslora", "use_dora"):
        if config.get(field) not in (None, False, True):
            yield f"{field} is neither true nor false"


def _switched_on(config: Mapping[str, Any]) -> Iterator[str]:
    for field, value in config.items():
        if field in _USED or field in _IGNORED or value is None:
            continue
        if not any(type(value) is type(off) and value == off for off in _OFF.get(field, ())):
            yield f"{printable(field[:60])} is {_show(value)}, which is not supported"


def _is_whole(value: object, largest: int, *, fractions: bool = False) -> bool:
    if fractions and isinstance(value, float) and value.is_integer():
        return 1 <= value <= largest
    return type(value) is int and 1 <= value <= largest


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and len(name) <= MAX_NAME_LENGTH and bool(DOTTED_NAME.fullmatch(name))


def _show(value: object) -> str:
    return printable(json.dumps(value, ensure_ascii=False)[:80])


def _refuse_config(problems: Sequence[str]) -> UnsupportedMemberError:
    more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
    return UnsupportedMemberError(
        f"adapter_config.json: {'; '.join(problems[:_MOST_PROBLEMS])}{more}",
        hint="train a plain LoRA adapter with PEFT",
        code="adapter_config_refused",
    )
