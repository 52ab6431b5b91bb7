"""Finds an expert's weights, verified, and holds them in memory."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from expert_kit.adapters import AnyAdapter, BaseModel, Slot, read_adapter
from expert_kit.archive import check_adapter, parse_header, spec_of_config
from expert_kit.bases import AdapterSpec, BaseMatch, compare
from expert_kit.errors import BaseMismatchError, ExpertNotFoundError, IncompatibleAdapterError, UnsupportedMemberError, UsageError
from expert_kit.inference.base_weights import weights_of
from expert_kit.inference.grammar import Grammar, grammar_of
from expert_kit.inference.probe import ProbeBench
from expert_kit.inference.resident import ResidentAdapters
from expert_kit.inference.selection import Member
from expert_kit.names import Digest, ExpertRef, printable
from expert_kit.registry import InstalledExpert, Registry
from expert_kit.registry.probes import choose_variant, is_probed, probe_installed

_ANOTHER_BASE = "use the base model that the adapter was made for"
_HINTS = {
    "adapter_no_effect": "train it first",
    "tensor_not_finite": "train it again: its weights are damaged",
    "tensor_dtype": "save it again with one number type",
}
"""What to do about a folder, by the code of its first problem."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """An expert in memory, with one reference taken."""

    name: str
    version: str
    digest: Digest
    """Identity of the expert; of configuration and weights for a local folder."""
    slot: Slot
    warnings: tuple[str, ...] = ()
    grammar: Grammar | None = None
    """What it carries for its answers."""


class ExpertSource:
    """Where an engine's experts come from: the registry, or local folders."""

    def __init__(self, base: BaseModel, registry: Registry | None, resident: ResidentAdapters) -> None:
        self.base, self.registry, self.resident = base, registry, resident
        self._grammars: dict[Digest, Grammar] = {}

    def acquire(self, member: Member) -> Loaded:
        """Load and take a reference; ``resident.release(digest)`` gives it back.

        Raises:
            ExpertNotFoundError, RevokedError, BaseMismatchError, IncompatibleAdapterError, BlobDigestError, CapacityError.
        """
        return self._folder(member) if isinstance(member, Path) else self._installed(member)

    def _installed(self, ref: ExpertRef) -> Loaded:
        if self.registry is None:
            raise ExpertNotFoundError(f"{ref}: this engine has no registry", hint="pass registry= to the engine")
        expert = self.registry.get(ref)
        self.registry.check_revoked(expert)
        if expert.base_match == "pending":
            expert = self.registry.settle(expert.ref, [self.base.record], probe=self._bench().run)
        expert = self._on_this_base(expert)
        grammar, unread = self._grammar(expert)
        warnings = (*_withdrawn(expert), *_check_base(expert, self.base), *unread)
        slot = self.resident.acquire(expert.identity, lambda: self._read(expert))
        return Loaded(expert.ref.full_name, expert.ref.version or "", expert.identity, slot, warnings, grammar)

    def _grammar(self, expert: InstalledExpert) -> tuple[Grammar | None, tuple[str, ...]]:
        """The grammar that an expert carries, or a warning where it cannot be applied."""
        assert self.registry is not None
        entry = next((entry for entry in expert.files if entry.role == "grammar"), None)
        if entry is None:
            return None, ()
        if not entry.path.endswith(".lark"):
            return None, (f"{expert.ref}: its grammar is not applied, this version reads .lark files only",)
        if expert.identity not in self._grammars:
            self._grammars[expert.identity] = grammar_of(expert.ref.full_name, self.registry.read(entry.sha256))
        return self._grammars[expert.identity], ()

    def parameters(self, identity: Digest) -> dict[str, int]:
        """The integer parameters that an installed expert's manifest has for routing and generation."""
        assert self.registry is not None
        # The bytes were checked at install and are of their digest, so that nothing has to be parsed but JSON.
        routing = json.loads(self.registry.read(identity)).get("routing") or {}
        return dict(routing.get("parameters") or {})

    def _read(self, expert: InstalledExpert) -> AnyAdapter:
        assert self.registry is not None
        if any(entry.role == "probe" for entry in expert.files) and not is_probed(expert.identity, self.base.record):
            probe_installed(self.registry, expert, self.base.record, self._bench().run)
        # It hashes the very buffer that it returns.
        return self._adapter(self.registry.read_weights(expert), expert.adapter)

    def _adapter(self, data: bytes | memoryview, spec: AdapterSpec) -> AnyAdapter:
        """The adapter in these bytes.

        Raises:
            NotComposableError: ``base_merged``; what DoRA multiplies with would be made from the changed weights.
        """
        if not spec.use_dora:
            return read_adapter(data, spec, self.base)
        weights = weights_of(self.base.model)
        with weights.turn:
            weights.check()
            return read_adapter(data, spec, self.base)

    def _on_this_base(self, expert: InstalledExpert) -> InstalledExpert:
        """The expert with its weights for the base of this engine, where it was installed for another of its bases."""
        assert self.registry is not None
        return choose_variant(self.registry, expert, self.base.record) if len(expert.bases) > 1 else expert

    def _bench(self) -> ProbeBench:
        folder = self.base.folder
        return ProbeBench(None if folder is None else lambda record: folder, loaded=self.base)

    def _folder(self, folder: Path) -> Loaded:
        config, weights = (read_adapter_file(folder / name) for name in ("adapter_config.json", "adapter_model.safetensors"))
        digest = Digest(f"sha256:{hashlib.sha256(hashlib.sha256(config).digest() + hashlib.sha256(weights).digest()).hexdigest()}")

        def load() -> AnyAdapter:
            dtype = next(iter(parse_header(weights).values())).dtype
            spec = spec_of_config(config, dtype)
            problems = check_adapter(spec, weights, self.base.record)
            if problems:
                listed = "; ".join(problem.message for problem in problems)
                code = problems[0].code
                raise IncompatibleAdapterError(f"{folder}: {listed}", hint=_HINTS.get(code, _ANOTHER_BASE), code=code)
            return self._adapter(weights, spec)

        return Loaded(str(folder), "", digest, self.resident.acquire(digest, load))


def _withdrawn(expert: InstalledExpert) -> tuple[str, ...]:
    return () if expert.yanked is None else (f"{expert.ref} was withdrawn: {printable(expert.yanked)}",)


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


def read_adapter_file(path: Path) -> bytes:
    """One file of a local adapter folder.

    Raises:
        UsageError: ``adapter_folder``, it is not there. UnsupportedMemberError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            f"{path.parent} is no adapter folder: {path.name} is missing", hint="name a folder that training wrote", code="adapter_folder"
        ) from error
    except OSError as error:
        raise UnsupportedMemberError(f"cannot read {path}: {error.strerror}", hint="check its name and who may read it") from error
