"""What may be said about any bytes at all, one function for each reader.

A target raises if a promise is broken: another error than the project's own, or bytes that were accepted and are not the
ones that the writer would have made of the same content. ``scripts/fuzz_archive.py`` searches for such bytes, and
``test_regressions.py`` replays those that were found.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import rfc8785
import safetensors

from expert_kit.archive import (
    ArchiveReader,
    config_of_spec,
    parse_examples,
    parse_header,
    parse_probe,
    spec_of_config,
    validate_reader,
    write_header,
)
from expert_kit.archive.grammar_scan import FORMS, problem_of
from expert_kit.errors import ExpertKitError
from expert_kit.manifest import Manifest, statement_bytes
from expert_kit.names import sha256_digest
from expert_kit.signing import KEY_TYPES, PrivateKey, attest, open_attestations, sign, verified_signers
from expert_kit.signing.envelope import open_line, split_lines
from tests.hostile import handed_over
from tests.hostile.forge import Parts, frame
from tests.support import independent_reader
from tests.support.builders import build_expert, tiny_base

REGRESSIONS = Path(__file__).with_name("regressions")
STATEMENT = b'{"predicate":{}}'
_IDENTITY = sha256_digest(b"an expert")
_GRAMMARS = {
    "gbnf": 'root ::= "a" (word | [0-9]{1,3})* # any\nword ::= "\\"" [^"\\\\]+ "\\""\n',
    "ebnf": 'root ::= item ("," item)*\nitem ::= "x" | root\n',
    "lark": 'start: item ("," item)* // any\nitem: WORD~1..3\nWORD.2: "a".."z"\n%ignore " "\n',
}


@dataclass(frozen=True)
class Target:
    """A reader of hostile bytes."""

    check: Callable[[bytes], None]
    """Raises if a promise is broken; returns for bytes that are refused as well as for sound ones."""
    seeds: Callable[[], list[bytes]]
    """Sound inputs to start from."""


@cache
def sound_parts() -> Parts:
    """A signed archive, taken apart; the same bytes every time but for the key."""
    with TemporaryDirectory() as folder:
        parts = Parts.of(build_expert(Path(folder), name="acme/sql"))
    parts.resign(KEY_TYPES["ed25519"]())
    return parts


def check_container(data: bytes) -> None:
    """An accepted archive is the one that our writer and the independent reader would have."""
    try:
        with ArchiveReader.from_bytes(data) as reader:
            reader.check_bodies()
            manifest, members = reader.manifest, {entry.name: reader.read(entry.name) for entry in reader.entries}
            validate_reader(reader, [tiny_base()])
            lines = reader.signatures_bytes
    except ExpertKitError:
        return
    assert list(members)[1 : 1 + len(manifest.files)] == [entry.path for entry in manifest.files]
    signers = _signers(lines, statement_bytes(manifest))
    if signers is not None:
        value, others, identity, keys = independent_reader.read(data)
        assert (others, identity, tuple(keys)) == (members, manifest.identity, signers)
        assert rfc8785.dumps(value) == manifest.to_bytes()


def _signers(lines: bytes, statement: bytes) -> tuple[str, ...] | None:
    """None where the independent reader has nothing to say: bad signatures, and keys of another kind than Ed25519."""
    if not lines:
        return ()
    try:
        signers = verified_signers(lines, statement)
    except ExpertKitError:
        return None
    return signers if b"MCowBQYDK2VwAyEA" in lines else None


def check_manifest(data: bytes) -> None:
    """An accepted manifest is written back to the same bytes, and has a statement."""
    with suppress(ExpertKitError):
        manifest = Manifest.parse(data)
        assert manifest.to_bytes() == data
        assert sha256_digest(data) == manifest.identity
        assert json.loads(statement_bytes(manifest))["subject"][0]["name"] == manifest.ref.file_stem


def check_bundle(data: bytes) -> None:
    """Only lines over the expected statement count, and an accepted line is canonical."""
    with suppress(ExpertKitError):
        for line in split_lines(data):
            open_line(line)
            assert rfc8785.dumps(json.loads(line)) == line
    with suppress(ExpertKitError):
        assert verified_signers(data, STATEMENT)


def check_attestation(data: bytes) -> None:
    """Whatever a signed payload says: it is an attestation, or refused."""
    line = sign(data, _attester())
    with suppress(ExpertKitError):
        for attestation in open_attestations([line + b"\n"], _IDENTITY):
            assert json.loads(data)["subject"][0]["digest"]["sha256"] == _IDENTITY.removeprefix("sha256:")
            assert attestation.metrics or attestation.predicate is not None


@cache
def _attester() -> PrivateKey:
    return KEY_TYPES["ed25519"]()


def check_safetensors(data: bytes) -> None:
    """What we accept, the library accepts, with the same tensors; and it is what our writer writes."""
    try:
        tensors = parse_header(data)
    except ExpertKitError:
        return
    header = write_header({name: (info.dtype, info.shape) for name, info in tensors.items()})
    assert data.startswith(header)
    assert max(info.end for info in tensors.values()) == len(data)
    theirs = {name: (entry["dtype"], list(entry["shape"]), bytes(entry["data"])) for name, entry in safetensors.deserialize(data)}
    assert theirs == {name: (info.dtype, list(info.shape), data[info.begin : info.end]) for name, info in tensors.items()}
    assert independent_reader.tensors(data) == theirs


def check_routing(data: bytes) -> None:
    """Accepted examples are small, printable but for line breaks and tabs, and unique."""
    with suppress(ExpertKitError):
        rows = parse_examples(data)
        assert len({row.text for row in rows}) == len(rows) <= 2000
        assert all(row.text.replace("\n", "").replace("\t", "").isprintable() and row.text.strip() for row in rows)
        assert {row.split for row in rows} <= {"fit", "validate"}


def check_grammar(data: bytes) -> None:
    """Every form of grammar is either fine or has a problem in words."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    for form in FORMS:
        assert isinstance(problem_of(text, form), str)


def check_config(data: bytes) -> None:
    """An accepted configuration gives one that we would write, and that means the same."""
    with suppress(ExpertKitError):
        spec = spec_of_config(data, "F32")
        assert spec_of_config(config_of_spec(spec), "F32") == spec


def check_probe(data: bytes) -> None:
    """An accepted probe is written back to the same bytes."""
    with suppress(ExpertKitError):
        probe = parse_probe(data)
        assert probe.to_bytes() == data
        assert probe.largest_move >= 0


def _bundles() -> list[bytes]:
    return [sign(STATEMENT, make()) + b"\n" for make in KEY_TYPES.values()]


def _attestations() -> list[bytes]:
    metrics = {"result": "PASSED", "configuration": [], "metrics": [{"suite": "s", "metric": "m", "n": 3, "value_ppm": 500_000}]}
    kinds = {"provenance": {"buildDefinition": {}, "runDetails": {"x": [1, "y", 0.5]}}, "eval": metrics, "import": {"source": "x"}}
    return [open_line(attest(_IDENTITY, "an-expert", kind, predicate, _attester()))[0] for kind, predicate in kinds.items()]


def _probe() -> bytes:
    prompt = {"ids": [1, 2, 3], "logits": [[0, 100, 200], [5, -40, 9000], [63, 0, 0]]}
    return rfc8785.dumps({"schema": "probe/1", "prompts": [prompt] * 4})


TARGETS: dict[str, Target] = {
    "container": Target(check_container, lambda: [frame(sound_parts().members())]),
    "manifest": Target(check_manifest, lambda: [sound_parts().manifest]),
    "bundle": Target(check_bundle, _bundles),
    "attestation": Target(check_attestation, _attestations),
    "safetensors": Target(check_safetensors, lambda: [sound_parts().bodies["adapter_model.safetensors"]]),
    "routing": Target(check_routing, lambda: [sound_parts().bodies["routing/examples.jsonl"]]),
    "grammar": Target(check_grammar, lambda: [text.encode() for text in _GRAMMARS.values()]),
    "config": Target(check_config, lambda: [sound_parts().bodies["adapter_config.json"]]),
    "probe": Target(check_probe, lambda: [_probe()]),
    "tar": Target(handed_over.check_tar, handed_over.tars),
    "lock": Target(handed_over.check_lock, handed_over.locks),
    "root": Target(handed_over.check_root, handed_over.roots),
    "revocation": Target(handed_over.check_revocation, handed_over.revocations),
}
