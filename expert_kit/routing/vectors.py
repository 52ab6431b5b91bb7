"""Vectors on disk, so that no text is embedded twice, also not after a restart."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from expert_kit.names import Digest
from expert_kit.routing.encoder import Encoder, Vectors, are_unit_rows, embed
from expert_kit.whole_file import replace_whole

_LOG = logging.getLogger(__name__)
_FORMAT: Final = b"expert-kit/vectors/1"

Known = dict[bytes, Vectors]
"""SHA-256 of a text -> its (d,) float32 vector."""


class VectorCache:
    """Vectors of texts, in ``folder/<encoder id>/<sha256 of the set of texts>.safetensors``.

    A file holds one set of texts, in practice one expert's: ``hashes`` (n, 32) uint8 sorted, ``vectors`` (n, d) float32,
    and ``check``, a SHA-256 over encoder id and both. A file that does not add up is embedded again and replaced. The
    check finds accidents, not an attacker, who could as well write a good file: the folder belongs to the user.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, Known] = {}

    def vectors(self, encoder: Encoder, texts: Sequence[str]) -> Vectors:
        """(n, d) float32 unit rows in the order of ``texts``; only unknown texts reach the encoder.

        A cache that cannot be written is a warning, not an error.

        Raises:
            CheckUnavailableError: from the encoder.
        """
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        by_hash = {hashlib.sha256(text.encode()).digest(): text for text in texts}
        home = self.folder / encoder.id.removeprefix("sha256:")
        path = home / f"{hashlib.sha256(b''.join(sorted(by_hash))).hexdigest()}.safetensors"
        known = _read(path, encoder.id)
        if known.keys() != by_hash.keys():
            known = self._complete(encoder, by_hash, path)
        return np.stack([known[hashlib.sha256(text.encode()).digest()] for text in texts])

    def _complete(self, encoder: Encoder, by_hash: dict[bytes, str], path: Path) -> Known:
        """Take what other sets hold, embed the rest, and store the set."""
        known: Known = {}
        for other in sorted(path.parent.glob("*.safetensors")):
            # A file never changes under its name, so each is read once.
            if other not in self._read:
                self._read[other] = _read(other, encoder.id)
            held = self._read[other]
            known |= {key: held[key] for key in by_hash.keys() & held.keys()}
        missing = sorted(by_hash.keys() - known.keys())
        if missing:
            known |= zip(missing, embed(encoder, [by_hash[key] for key in missing]), strict=True)
        _LOG.debug("embedded %d of %d texts", len(missing), len(by_hash))
        _write(path, encoder.id, known)
        return known


def _check(encoder_id: Digest, hashes: bytes, vectors: bytes) -> bytes:
    return hashlib.sha256(b"\0".join((_FORMAT, encoder_id.encode(), hashes, vectors))).digest()


def _read(path: Path, encoder_id: Digest) -> Known:
    """Return what the file holds, nothing if it is absent or does not add up."""
    try:
        tensors = load(path.read_bytes())
        hashes, vectors, check = tensors["hashes"], tensors["vectors"], tensors["check"]
    except FileNotFoundError:
        return {}
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        _LOG.warning("vector cache %s is damaged and will be rebuilt: %s", path, error)
        return {}
    sound = (
        check.tobytes() == _check(encoder_id, hashes.tobytes(), vectors.tobytes())
        and hashes.dtype == np.uint8
        and hashes.shape[1:] == (32,)
        and vectors.dtype == np.float32
        and are_unit_rows(vectors, len(hashes))
    )
    if not sound:
        _LOG.warning("vector cache %s does not add up and will be rebuilt", path)
        return {}
    return {row.tobytes(): vector for row, vector in zip(hashes, vectors, strict=True)}


def _write(path: Path, encoder_id: Digest, known: Known) -> None:
    keys = sorted(known)
    hashes = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), 32)
    vectors = np.stack([known[key] for key in keys])
    check = np.frombuffer(_check(encoder_id, hashes.tobytes(), vectors.tobytes()), dtype=np.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path, save({"hashes": hashes, "vectors": vectors, "check": check}))
    except OSError as error:
        _LOG.warning("vectors are not kept for the next time: %s", error)
