"""An archive of the first version of the format, as it was written then. Nothing here may change while ``schema`` is ``expert/1``."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from expert_kit.archive import SIGNATURES, ArchiveReader, replace_meta, validate_reader, write_archive
from expert_kit.manifest import statement_bytes
from expert_kit.signing import open_attestations, verified_signers
from tests.support import independent_reader
from tests.support.builders import tiny_base

GOLDEN = Path(__file__).parents[2] / "golden" / "expert-v1.bin"
IDENTITY = "sha256:665ca1e23e0bb4ee450f7fe404e923da86904385ac437aa639b333bdf7f9030b"
SIGNER = "sha256:2d82a8eb489046c02e46989e3196eb3ec427d59194259abbc77dd08864fb4139"
ATTESTER = "sha256:d7227af920bf5f7cbfb2a4334e7d7234731ac56376fb84a3b216b6a89b3e6140"
WEIGHTS = "adapter_model.safetensors"


def test_it_opens_and_means_the_same():
    with ArchiveReader.open(GOLDEN) as reader:
        assert [problem for problem in validate_reader(reader, [tiny_base()]) if problem.severity == "refused"] == []
        assert (str(reader.manifest.ref), reader.manifest.identity) == ("acme/golden@1.0.0", IDENTITY)
        assert verified_signers(reader.signatures_bytes, statement_bytes(reader.manifest)) == (SIGNER,)
        members = [body for name, body in reader.meta.items() if name != SIGNATURES]
        (attestation,) = open_attestations(members, reader.manifest.identity)
    assert (attestation.kind, attestation.signer) == ("import", ATTESTER)


def test_the_second_reader_opens_it_too():
    _, members, identity, signers = independent_reader.read(GOLDEN.read_bytes())
    assert (identity, signers) == (IDENTITY, [SIGNER])
    assert len(independent_reader.tensors(members[WEIGHTS])) == 8


def test_its_members_are_written_to_the_same_bytes_today(tmp_path):
    with ArchiveReader.open(GOLDEN) as reader:
        manifest, meta = reader.manifest, reader.meta
        payload = {entry.path: reader.read(entry.path) for entry in reader.files}
    written = write_archive(tmp_path / "again", manifest, payload)
    assert replace_meta(written, written, meta).read_bytes() == GOLDEN.read_bytes()


def test_its_weights_can_be_mapped_where_they_lie():
    """By what the central directory says, with nothing of ours; so a tensor needs no copy."""
    data = GOLDEN.read_bytes()
    local = next(at for at in range(len(data)) if data[at : at + 4] == b"PK\3\4" and data[at + 30 :].startswith(WEIGHTS.encode()))
    size, name, padding = struct.unpack("<I4xHH", data[local + 18 : local + 30])
    start = local + 30 + name + padding
    assert start % mmap.ALLOCATIONGRANULARITY == 0
    with GOLDEN.open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ, offset=start) as mapped:
        body = mapped[:]
    with ArchiveReader.open(GOLDEN) as reader:
        assert body == reader.read(WEIGHTS)
