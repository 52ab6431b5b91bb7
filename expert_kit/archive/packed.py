"""The adapters that go into an archive: read from folders, checked against base models, converted if that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from expert_kit.archive.adapter_check import check_adapter
from expert_kit.archive.adapter_config import config_of_spec, spec_of_config
from expert_kit.archive.conversion import to_bfloat16
from expert_kit.archive.problems import Problem
from expert_kit.archive.safetensors_header import parse_header
from expert_kit.archive.source import ManifestSource
from expert_kit.bases import AdapterSpec, BaseRecord
from expert_kit.errors import IncompatibleAdapterError, ManifestError, UnsupportedMemberError
from expert_kit.manifest import WEIGHTS_NAME
from expert_kit.names import printable

CONFIG_NAME = "adapter_config.json"


@dataclass(frozen=True)
class PackedAdapter:
    """The weights of one base or of several, as they go in."""

    folder: str
    """Of its members in the archive; empty or ending in a slash."""
    spec: AdapterSpec
    weights: bytes
    before: tuple[AdapterSpec, bytes] | None = None
    """What it was before its format was converted."""

    @property
    def members(self) -> dict[str, bytes]:
        """Weights, and the configuration, which is generated: the trainer's own may hold local paths."""
        return {self.folder + WEIGHTS_NAME: self.weights, self.folder + CONFIG_NAME: config_of_spec(self.spec)}


def read_adapter(source: ManifestSource, base: str, dtype: str | None) -> PackedAdapter:
    """The adapter for a base; ``dtype`` as for ``package``."""
    own = source.variants.get(base)
    folder = source.adapter if own is None else own
    weights = read_member(folder, WEIGHTS_NAME)
    spec = _spec(folder, weights)
    place = "" if own is None else f"variants/{base}/"
    if dtype is None or spec.dtype == dtype:
        return PackedAdapter(place, spec, weights)
    return PackedAdapter(place, replace(spec, dtype=dtype), to_bfloat16(weights), (spec, weights))


def shared_adapter(adapters: Mapping[str, PackedAdapter]) -> PackedAdapter:
    """The adapter that the manifest's block is about: the one that bases share, or the first.

    Raises:
        IncompatibleAdapterError: ``adapter_variant_disagrees``, a variant differs in more than its weights, rank and alpha.
    """
    shared = next((adapter for adapter in adapters.values() if not adapter.folder), next(iter(adapters.values())))
    for base, adapter in adapters.items():
        if replace(adapter.spec, r=shared.spec.r, lora_alpha=shared.spec.lora_alpha) != shared.spec:
            raise IncompatibleAdapterError(
                f"the adapter for {base} differs from the others in more than weights, r and lora_alpha",
                hint="train all variants with the same target modules, patterns, kind and dtype",
                code="adapter_variant_disagrees",
            )
    return shared


def fit_problems(adapter: PackedAdapter, record: BaseRecord) -> list[Problem]:
    """What keeps an adapter from this base model."""
    return check_adapter(adapter.spec, adapter.weights, record, adapter.folder + WEIGHTS_NAME)


def read_member(folder: Path, name: str) -> bytes:
    """A file of a source, which may be no link.

    Raises:
        ManifestError: ``source_unreadable``. UnsupportedMemberError: weights that are a pickle.
    """
    path = folder / name
    if path.is_symlink():
        raise ManifestError(f"{printable(str(path))} is a link", hint="put the file itself there", code="source_unreadable")
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(folder, name, error) from error


def _unreadable(folder: Path, name: str, error: OSError) -> ManifestError | UnsupportedMemberError:
    if name == WEIGHTS_NAME and (folder / "adapter_model.bin").exists():
        return UnsupportedMemberError(
            f"{printable(str(folder))} has adapter_model.bin, which is a pickle", hint="save the adapter as safetensors"
        )
    return ManifestError(
        f"cannot read {printable(str(folder / name))}: {error.strerror}",
        hint="point 'adapter' at a folder saved by PEFT",
        code="source_unreadable",
    )


def _spec(folder: Path, weights: bytes) -> AdapterSpec:
    config = read_member(folder, CONFIG_NAME)
    dtypes = sorted({info.dtype for info in parse_header(weights).values()})
    if len(dtypes) != 1:
        raise IncompatibleAdapterError(
            f"{WEIGHTS_NAME} mixes {', '.join(dtypes)}", hint="save all tensors of the adapter in one dtype", code="tensor_dtype"
        )
    return spec_of_config(config, dtypes[0])
