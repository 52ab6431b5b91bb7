"""What a base model is, as plain data: fingerprint, linear layers, and the adapter that may sit on them.

No torch here and no files: ``adapters`` measures a base model and fills these in, ``archive`` and ``registry`` compare.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self

from expert_kit.errors import BaseModelError, ManifestError
from expert_kit.names import Digest, parse_digest, printable, sha256_digest

Linear = tuple[str, int, int]
"""Dotted module path as in the model (``model.layers.0.self_attn.q_proj``), output size, input size."""

_RECORD_SCHEMA = "base-record/1"
_FAMILY_FIELDS = ("arch", "structure_sha256", "tokenizer_sha256", "vocab_size", "hidden_size", "layers")
_EXACT_FIELDS = (*_FAMILY_FIELDS, "config_sha256", "weights_root_sha256", "chat_template_sha256")


@dataclass(frozen=True)
class BaseFingerprint:
    """Which base model, by content; ``id``, ``hf_repo`` and ``hf_revision`` are labels and decide nothing."""

    id: str
    """Short name in the table of base models, such as ``smollm2-135m``."""
    arch: str
    """Architecture class of the model's configuration, such as ``LlamaForCausalLM``."""
    config_sha256: Digest
    structure_sha256: Digest
    """See :func:`structure_digest`."""
    weights_root_sha256: Digest
    tokenizer_sha256: Digest
    chat_template_sha256: Digest
    vocab_size: int
    hidden_size: int
    layers: int
    hf_repo: str = ""
    hf_revision: str = ""
    """Commit of the repository; empty if unknown."""


@dataclass(frozen=True)
class BaseRecord:
    """A measured base model. ``linears`` are sorted by path and leave out the output head."""

    fingerprint: BaseFingerprint
    linears: tuple[Linear, ...]

    @property
    def embedding_shape(self) -> tuple[int, int]:
        """(vocabulary, hidden size), of the input embeddings and of the output head."""
        return self.fingerprint.vocab_size, self.fingerprint.hidden_size

    def to_json(self) -> str:
        """The record as JSON text, the same text every time."""
        record = {"schema": _RECORD_SCHEMA, "fingerprint": asdict(self.fingerprint), "linears": self.linears}
        return json.dumps(record, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            BaseModelError: ``base_record_invalid``, not such a record, or its linear layers do not have its structure digest.
        """
        try:
            record = json.loads(text)
            if record["schema"] != _RECORD_SCHEMA:
                raise ValueError(f"schema {record['schema']!r}, not {_RECORD_SCHEMA!r}")
            fingerprint = _fingerprint(record["fingerprint"])
            linears = tuple((str(module), int(rows), int(columns)) for module, rows, columns in record["linears"])
            if structure_digest(linears) != fingerprint.structure_sha256:
                raise ValueError("the linear layers do not have the recorded structure digest")
        except (ValueError, KeyError, TypeError, ManifestError) as error:
            raise BaseModelError(
                f"not a base record: {printable(str(error))}", hint="add the base model again", code="base_record_invalid"
            ) from error
        return cls(fingerprint, linears)


def _fingerprint(fields: Mapping[str, Any]) -> BaseFingerprint:
    checked: dict[str, Any] = {name: parse_digest(value) if name.endswith("_sha256") else value for name, value in fields.items()}
    fingerprint = BaseFingerprint(**checked)
    for name, value in asdict(fingerprint).items():
        wanted = int if name in {"vocab_size", "hidden_size", "layers"} else str
        if type(value) is not wanted:
            raise ValueError(f"{name} is not of type {wanted.__name__}")
    return fingerprint


def structure_digest(linears: Iterable[Linear]) -> Digest:
    """Digest of the RFC 8785 form of the list of ``[module, out, in]``, sorted by module path."""
    rows = sorted([module, out, in_] for module, out, in_ in linears)
    return sha256_digest(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode())


class BaseMatch(StrEnum):
    """How well the local base model fits the one that an expert was made for."""

    EXACT = "exact"
    FAMILY = "family"
    INCOMPATIBLE = "incompatible"


class BaseComparison(NamedTuple):
    """Result of :func:`compare`."""

    match: BaseMatch
    differing: tuple[str, ...]
    """Names of the fingerprint fields that differ, labels left out."""


def compare(expected: BaseFingerprint, actual: BaseFingerprint) -> BaseComparison:
    """Compare by content: ``family`` allows other weights, configuration or chat template (a dequantised copy)."""
    differing = tuple(name for name in _EXACT_FIELDS if getattr(expected, name) != getattr(actual, name))
    if not differing:
        return BaseComparison(BaseMatch.EXACT, ())
    if any(name in _FAMILY_FIELDS for name in differing):
        return BaseComparison(BaseMatch.INCOMPATIBLE, differing)
    return BaseComparison(BaseMatch.FAMILY, differing)


def name_matches(name: str, module: str) -> bool:
    """Whether a plain name is the module's whole path or a dotted suffix of it: never a pattern, never a substring."""
    return module == name or module.endswith("." + name)


LORA, IA3, PROMPT_TUNING, PREFIX_TUNING = "LORA", "IA3", "PROMPT_TUNING", "PREFIX_TUNING"
ADAPTER_KINDS = {LORA: "LoRA", IA3: "IA3", PROMPT_TUNING: "prompt tuning", PREFIX_TUNING: "prefix tuning"}
"""PEFT's name of a kind -> what people call it."""
SOFT_PROMPTS = frozenset({PROMPT_TUNING, PREFIX_TUNING})
WHOLE_LAYERS = {"embed_tokens": "model.embed_tokens", "lm_head": "lm_head", "wte": "transformer.wte"}
"""The layers that an adapter may have of its own -> their paths: input embeddings and output heads, by PEFT's names."""

# Last name of the layer that makes the keys, and of how many parts of one size its outputs are.
_KEY_LAYERS = {"k_proj": 1, "c_attn": 3}


class Attention(NamedTuple):
    """What a soft prompt has to fit."""

    layers: int
    hidden_size: int
    keys: int
    """Numbers of one token's keys in one layer; its values are as many."""


def attention_of(linears: Sequence[Linear]) -> Attention | None:
    """Sizes of a base model's attention, read off the layers that make its keys; None if they are not known by name or differ."""
    parts = ((_KEY_LAYERS.get(path.rpartition(".")[2]), rows, columns) for path, rows, columns in linears)
    found = [(columns, rows // count) for count, rows, columns in parts if count]
    return Attention(len(found), *found[0]) if len(set(found)) == 1 else None


@dataclass(frozen=True)
class AdapterSpec:
    """Configuration of an adapter, as PEFT means it; what a kind has no use for is 0 or empty."""

    r: int
    lora_alpha: int
    target_modules: tuple[str, ...]
    """Sorted plain names; each is a dotted suffix of the modules that it means."""
    rank_pattern: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Rank of the modules that a plain name means, where it differs from ``r``."""
    alpha_pattern: Mapping[str, int] = field(default_factory=dict, hash=False)
    use_rslora: bool = False
    use_dora: bool = False
    dtype: str = "F32"
    """Of every tensor: ``F32``, ``F16`` or ``BF16``."""
    peft_type: str = LORA
    """One of ``ADAPTER_KINDS``."""
    feedforward_modules: tuple[str, ...] = ()
    """IA3: those of ``target_modules`` whose input is scaled, not their output."""
    num_virtual_tokens: int = 0
    """Soft prompts: places that they take before the text."""
    modules_to_save: tuple[str, ...] = ()
    """LoRA: sorted keys of ``WHOLE_LAYERS`` that the adapter has in place of the base's."""

    @classmethod
    def ia3(cls, target_modules: tuple[str, ...], feedforward_modules: tuple[str, ...], dtype: str = "F32") -> Self:
        """An IA3 adapter (arXiv:2205.05638); both lists are sorted."""
        return cls(0, 0, target_modules, dtype=dtype, peft_type=IA3, feedforward_modules=feedforward_modules)

    @classmethod
    def soft_prompt(cls, peft_type: str, num_virtual_tokens: int, dtype: str = "F32") -> Self:
        """Prompt tuning (arXiv:2104.08691) or prefix tuning (arXiv:2101.00190)."""
        return cls(0, 0, (), dtype=dtype, peft_type=peft_type, num_virtual_tokens=num_virtual_tokens)

    @property
    def is_soft_prompt(self) -> bool:
        """Whether it stands before the text and changes no layer."""
        return self.peft_type in SOFT_PROMPTS

    def describe(self) -> str:
        """The configuration in words."""
        kind = "DoRA" if self.use_dora else ADAPTER_KINDS[self.peft_type]
        sizes = f"rank {self.r}, alpha {self.lora_alpha}" if self.r else f"{self.num_virtual_tokens} virtual tokens" * self.is_soft_prompt
        targets = f"on {', '.join(self.target_modules)}" if self.target_modules else ""
        whole = f"{' and '.join(self.modules_to_save)} of its own" if self.modules_to_save else ""
        return ", ".join(part for part in (kind, sizes, self.dtype, targets, whole) if part)

    def scales_input(self, module: str) -> bool:
        """IA3: whether it scales what this target reads."""
        return any(name_matches(name, module) for name in self.feedforward_modules)

    def targets(self, linears: Sequence[Linear]) -> tuple[Linear, ...]:
        """The linear layers that the adapter changes, in the order given."""
        return tuple(linear for linear in linears if any(name_matches(name, linear[0]) for name in self.target_modules))

    @property
    def whole_layers(self) -> tuple[str, ...]:
        """Paths of the layers that it has of its own."""
        return tuple(WHOLE_LAYERS[name] for name in self.modules_to_save)

    def rank_of(self, module: str) -> int:
        """Rank at this module."""
        return _lookup(self.rank_pattern, module, self.r)

    def alpha_of(self, module: str) -> int:
        """Alpha at this module."""
        return _lookup(self.alpha_pattern, module, self.lora_alpha)

    def scaling_of(self, module: str) -> float:
        """Factor of ``B @ A`` at this module: alpha / r, or alpha / sqrt(r) with rsLoRA (arXiv:2312.03732)."""
        rank = self.rank_of(module)
        return self.alpha_of(module) / (math.sqrt(rank) if self.use_rslora else rank)


def _lookup(pattern: Mapping[str, int], module: str, default: int) -> int:
    # An archive where two names of one pattern mean the same module is refused, so at most one matches.
    return next((value for name, value in pattern.items() if name_matches(name, module)), default)
