"""Finds an expert's weights, verified, and holds them in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from expert_kit.adapters import Adapter, BaseModel, read_lora
from expert_kit.archive import check_adapter, parse_header, spec_of_config
from expert_kit.bases import BaseMatch, compare
from expert_kit.errors import BaseMismatchError, ExpertNotFoundError, IncompatibleAdapterError, UnsupportedMemberError, UsageError
from expert_kit.inference.resident import ResidentAdapters
from expert_kit.inference.selection import Member
from expert_kit.names import Digest, ExpertRef
from expert_kit.registry import InstalledExpert, Registry


@dataclass(frozen=True, eq=False)
class Loaded:
    """An expert in memory, with one reference taken."""

    name: str
    version: str
    digest: Digest
    """Identity of the expert; of configuration and weights for a local folder."""
    adapter: Adapter
    warnings: tuple[str, ...] = ()


class ExpertSource:
    """Where an engine's experts come from: the registry, or local folders."""

    def __init__(self, base: BaseModel, registry: Registry | None, memory: int) -> None:
        self.base, self.registry = base, registry
        self.resident = ResidentAdapters(memory)

    def acquire(self, member: Member) -> Loaded:
        """Load and take a reference; ``resident.release(digest)`` gives it back.

        Raises:
            ExpertNotFoundError, BaseMismatchError, IncompatibleAdapterError, BlobDigestError, CapacityError.
        """
        return self._folder(member) if isinstance(member, Path) else self._installed(member)

    def _installed(self, ref: ExpertRef) -> Loaded:
        if self.registry is None:
            raise ExpertNotFoundError(f"{ref}: this engine has no registry", hint="pass registry= to the engine")
        expert = self.registry.get(ref)
        if expert.base_match == "pending":
            expert = self.registry.settle(expert.ref, [self.base.record])
        warnings = _check_base(expert, self.base)
        adapter = self.resident.acquire(expert.identity, lambda: self._read(expert))
        return Loaded(expert.ref.full_name, expert.ref.version or "", expert.identity, adapter, warnings)

    def _read(self, expert: InstalledExpert) -> Adapter:
        assert self.registry is not None
        # ``read`` hashes the very buffer that it returns.
        data = self.registry.read(expert.weights.sha256)
        return read_lora(data, expert.adapter, self.base.record.linears, device=self.base.device, dtype=self.base.model.dtype)

    def _folder(self, folder: Path) -> Loaded:
        config, weights = (_read_file(folder / name) for name in ("adapter_config.json", "adapter_model.safetensors"))
        digest = Digest(f"sha256:{hashlib.sha256(hashlib.sha256(config).digest() + hashlib.sha256(weights).digest()).hexdigest()}")

        def load() -> Adapter:
            dtype = next(iter(parse_header(weights).values())).dtype
            spec = spec_of_config(config, dtype)
            problems = check_adapter(spec, weights, self.base.record.linears)
            if problems:
                listed = "; ".join(problem.message for problem in problems)
                raise IncompatibleAdapterError(
                    f"{folder}: {listed}", hint="use the base model that the adapter was made for", code=problems[0].code
                )
            return read_lora(weights, spec, self.base.record.linears, device=self.base.device, dtype=self.base.model.dtype)

        return Loaded(str(folder), "", digest, self.resident.acquire(digest, load))


def _check_base(expert: InstalledExpert, base: BaseModel) -> tuple[str, ...]:
    comparison = compare(expert.base, base.record.fingerprint)
    if comparison.match is BaseMatch.INCOMPATIBLE:
        here, differing = base.record.fingerprint.id, ", ".join(comparison.differing)
        raise BaseMismatchError(
            f"{expert.ref} was made for {expert.base.id}, this engine runs {here} ({differing} differ)", hint=f"use --base {expert.base.id}"
        )
    if comparison.match is BaseMatch.FAMILY:
        return (f"{expert.ref}: made on another copy of {expert.base.id} ({', '.join(comparison.differing)} differ)",)
    return ()


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            f"{path.parent} is no adapter folder: {path.name} is missing", hint="name a folder that training wrote", code="adapter_folder"
        ) from error
    except OSError as error:
        raise UnsupportedMemberError(f"cannot read {path}: {error.strerror}") from error
