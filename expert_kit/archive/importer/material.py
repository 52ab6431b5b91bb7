"""What an importer takes from elsewhere: files by exact name, nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from expert_kit.manifest import WEIGHTS_NAME
from expert_kit.names import Digest

CONFIG_NAME = "adapter_config.json"
NEEDED = (CONFIG_NAME, WEIGHTS_NAME)
LIMITS = {CONFIG_NAME: 1 << 20, WEIGHTS_NAME: 1 << 30, "README.md": 1 << 22, "LICENSE": 1 << 22, "NOTICE": 1 << 22}
"""The files that are read, by name, and the bytes that each may have."""
LEFT_OUT = frozenset(
    {
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
        "chat_template.jinja", "trainer_state.json", "manifest.json", "metadata.json", "expert.json", "expert.yaml",
    }
)  # fmt: skip
"""Files that adapters often come with and that an expert has no use for; of a package they would claim trust."""


@dataclass(frozen=True)
class Material:
    """What was read."""

    kind: str
    """``peft-folder`` or ``tar.gz``."""
    files: Mapping[str, bytes]
    """By a key of :data:`LIMITS`; those of :data:`NEEDED` are there."""
    digest: Digest
    """Of the package file; of a folder :func:`folder_digest`."""
    left_out: tuple[str, ...] = ()
    """Names of what lay beside them and was not read."""

    def to_json(self) -> dict[str, Any]:
        """What an import attestation says about the source."""
        files = [{"name": name, "digest": {"sha256": hashlib.sha256(self.files[name]).hexdigest()}} for name in sorted(self.files)]
        return {"kind": self.kind, "digest": {"sha256": self.digest.removeprefix("sha256:")}, "files": files}


def folder_digest(files: Mapping[str, bytes]) -> Digest:
    """SHA-256 over the raw SHA-256 of each file that is read, in the order of their names."""
    whole = hashlib.sha256(b"".join(hashlib.sha256(files[name]).digest() for name in sorted(files)))
    return Digest(f"sha256:{whole.hexdigest()}")
