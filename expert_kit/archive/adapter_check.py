"""Does an adapter fit its configuration and its base model? Answered from headers and bit patterns, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from expert_kit.archive.adapter_config import spec_of_config, training_only
from expert_kit.archive.problems import Problem, Severity, refused
from expert_kit.archive.safetensors_header import ITEM_SIZE, TensorInfo, is_finite, is_zero, parse_header
from expert_kit.bases import IA3, PREFIX_TUNING, WHOLE_LAYERS, AdapterSpec, BaseRecord, Linear, attention_of, name_matches
from expert_kit.errors import ArchiveError, UnsupportedMemberError
from expert_kit.names import Digest, printable, sha256_digest

PREFIX = "base_model.model."
_MAGNITUDE = ".lora_magnitude_vector"
_SCALE = ".ia3_l"
PROMPT = "prompt_embeddings"
_WHOLE = frozenset(f"{PREFIX}{path}.weight" for path in WHOLE_LAYERS.values())
_LISTED = 5
_RESIZED = (
    ": with another vocabulary it is another base model with another tokenizer; merge the adapter into its base with PEFT"
    " and add that with expert-kit base pull FOLDER"
)
# The bytes of the number 1.
_ONE = {"F32": b"\x00\x00\x80\x3f", "F16": b"\x00\x3c", "BF16": b"\x80\x3f"}


def expected_tensors(spec: AdapterSpec, base: BaseRecord) -> dict[str, tuple[int, ...]]:
    """Names and shapes that an adapter of this configuration has on this base model, as PEFT saves them.

    ``lora_A`` is (rank, in), ``lora_B`` is (out, rank), DoRA's magnitude (arXiv:2402.09353) is (out,). ``ia3_l`` is (out, 1), or
    (1, in) where it scales the input. A soft prompt is one tensor (virtual tokens, numbers of a token): its embedding, or for
    prefix tuning keys and values of layer after layer. A whole layer is ``weight`` (vocabulary, hidden size).
    """
    linears = base.linears
    if spec.is_soft_prompt:
        sizes = attention_of(linears)
        each = (2 * sizes.layers * sizes.keys if spec.peft_type == PREFIX_TUNING else sizes.hidden_size) if sizes else 0
        return {PROMPT: (spec.num_virtual_tokens, each)} if sizes else {}
    shapes: dict[str, tuple[int, ...]] = {f"{PREFIX}{path}.weight": base.embedding_shape for path in spec.whole_layers}
    for module, out, in_ in spec.targets(linears):
        if spec.peft_type == IA3:
            shapes[f"{PREFIX}{module}{_SCALE}"] = (1, in_) if spec.scales_input(module) else (out, 1)
            continue
        rank = spec.rank_of(module)
        shapes[f"{PREFIX}{module}.lora_A.weight"] = (rank, in_)
        shapes[f"{PREFIX}{module}.lora_B.weight"] = (out, rank)
        if spec.use_dora:
            shapes[f"{PREFIX}{module}{_MAGNITUDE}"] = (out,)
    return shapes


def targets_digest(spec: AdapterSpec, linears: Sequence[Linear]) -> Digest:
    """Digest of the RFC 8785 form of the sorted list of module paths that the adapter changes."""
    modules = sorted([*(module for module, _, _ in spec.targets(linears)), *spec.whole_layers])
    return sha256_digest(json.dumps(modules, ensure_ascii=False, separators=(",", ":")).encode())


def check_adapter(
    spec: AdapterSpec,
    weights: bytes | bytearray | memoryview,
    base: BaseRecord | None = None,
    where: str = "adapter_model.safetensors",
) -> list[Problem]:
    """All problems of a weights file: header, dtype, values, and (with ``base``) the exact set of tensors.

    Args:
        spec: what the manifest says.
        weights: the whole file.
        base: the base model's record; None if it is not known here, which is one problem of its own.
        where: name of the member, for the problems.
    """
    try:
        tensors = parse_header(weights)
    except ArchiveError as error:
        return [refused(error.code, where, error.message)]
    problems = list(_value_problems(spec, memoryview(weights).cast("B"), tensors))
    if base is None:
        problems.append(Problem("check_unavailable", Severity.UNCHECKED, where, "base model not known here: tensor set not checked"))
        return problems
    return [*problems, *_structure_problems(spec, base.linears), *_set_problems(spec, base, tensors, where)]


def _value_problems(spec: AdapterSpec, data: memoryview, tensors: Mapping[str, TensorInfo]) -> Iterator[Problem]:
    changes = False
    for name, info in tensors.items():
        body, shown = data[info.begin : info.end], printable(name)
        if info.dtype != spec.dtype:
            yield refused("tensor_dtype", shown, f"dtype is {info.dtype}, the manifest says {spec.dtype}")
        if not is_finite(body, info.dtype):
            yield refused("tensor_not_finite", shown, "has infinite or NaN values")
        changes = changes or _changes(name, body, info.dtype)
    if not changes:
        what = "ia3_l is one" if spec.peft_type == IA3 else "lora_B is zero"
        yield refused("adapter_no_effect", what.split()[0], f"every {what}: the adapter changes nothing")


def _changes(name: str, body: memoryview, dtype: str) -> bool:
    """Whether a tensor alone shows that the adapter does something; a soft prompt and a whole layer always do."""
    if name.endswith(_SCALE):
        return body != _ONE[dtype] * (len(body) // ITEM_SIZE[dtype])
    return name == PROMPT or name in _WHOLE or (name.endswith((".lora_B.weight", _MAGNITUDE)) and not is_zero(body, dtype))


def _structure_problems(spec: AdapterSpec, linears: Sequence[Linear]) -> Iterator[Problem]:
    modules = [module for module, _, _ in linears]
    if spec.is_soft_prompt and attention_of(linears) is None:
        yield refused("adapter_target_unknown", "base model", "the layers that make its keys are not known: it takes no soft prompt")
    for name in spec.target_modules:
        if not any(name_matches(name, module) for module in modules):
            yield refused("adapter_target_unknown", "target_modules", f"{name} is no linear layer of the base model")
    for name, path in zip(spec.modules_to_save, spec.whole_layers, strict=True):
        folder = path.rpartition(".")[0]
        if folder and not any(module.startswith(f"{folder}.") for module in modules):
            yield refused("adapter_target_unknown", "modules_to_save", f"{name} is no layer of the base model")
    targeted = [module for module, _, _ in spec.targets(linears)]
    for field, pattern in (("rank_pattern", spec.rank_pattern), ("alpha_pattern", spec.alpha_pattern)):
        hits = {name: [module for module in targeted if name_matches(name, module)] for name in pattern}
        for name in (name for name, found in hits.items() if not found):
            yield refused("adapter_pattern_unused", field, f"{name} is no target of the adapter")
        matched = [module for found in hits.values() for module in found]
        for module in sorted({module for module in matched if matched.count(module) > 1}):
            yield refused("adapter_pattern_ambiguous", field, f"two names mean {module}")


def _set_problems(spec: AdapterSpec, base: BaseRecord, tensors: Mapping[str, TensorInfo], where: str) -> Iterator[Problem]:
    expected = expected_tensors(spec, base)
    missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    for label, names in (("missing", missing), ("not expected", extra)):
        if names:
            some = ", ".join(printable(name) for name in names[:_LISTED])
            yield refused("tensor_set_mismatch", where, f"{len(names)} tensors {label}: {some}{' ...' if len(names) > _LISTED else ''}")
    for name in sorted(expected.keys() & tensors.keys()):
        if expected[name] != tensors[name].shape:
            message = f"shape is {list(tensors[name].shape)}, expected {list(expected[name])}"
            if name in _WHOLE and tensors[name].shape[0] != expected[name][0]:
                message += _RESIZED
            yield refused("tensor_shape", printable(name), message)


def check_config(data: bytes, spec: AdapterSpec, where: str = "adapter_config.json") -> list[Problem]:
    """A shipped configuration is evidence: it passes the allow-list and says what the manifest says."""
    try:
        shipped = spec_of_config(data, spec.dtype)
    except UnsupportedMemberError as error:
        return [refused(error.code, where, error.message)]
    if shipped != spec:
        return [refused("adapter_config_disagrees", where, "does not say what the adapter block of the manifest says")]
    return [refused("adapter_config_refused", where, f"{name} is for training only") for name in training_only(data)]
