from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.archive import ArchiveReader, replace_meta
from expert_kit.names import sha256_digest
from expert_kit.signing import attest, load_private_key
from expert_kit.signing.attestations import MAX_ATTESTATIONS

PROVENANCE = {"buildDefinition": {"buildType": "urn:example:train", "externalParameters": {}}, "runDetails": {"builder": {"id": "urn:me"}}}
REPORT = {"results": [{"suite": "gsm8k", "metric": "accuracy", "n": 200, "expert": 0.315, "base": 0.1}], "scores": []}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "provenance.json").write_text(json.dumps(PROVENANCE))
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    (tmp_path / "test.jsonl").write_text("{}\n")
    return tmp_path


def test_an_attestation_changes_neither_identity_nor_signatures(run, signed: Path, files, key):
    with ArchiveReader.open(signed) as reader:
        before, lines = reader.manifest_bytes, reader.signatures_bytes
    done = run("attest", signed, "--type", "provenance", "--predicate", files / "provenance.json", "--key", "release", "--json")
    assert done.json["attestations"] == [{"type": "provenance", "signer": key.key_id, "metrics": []}]
    with ArchiveReader.open(signed) as reader:
        assert (reader.manifest_bytes, reader.signatures_bytes) == (before, lines)
    assert f"attested: provenance by {key.key_id}" in run("validate", signed).err


def test_a_report_becomes_an_eval_attestation(run, signed: Path, files):
    data = ["--data", f"gsm8k={files / 'test.jsonl'}"]
    done = run("attest", signed, "--type", "eval", "--report", files / "report.json", *data, "--key", "release", "--json")
    row = {"suite": "gsm8k", "metric": "accuracy", "n": 200, "value_ppm": 315_000, "data_sha256": sha256_digest(b"{}\n")}
    assert done.json["attestations"][0]["metrics"] == [row]


@pytest.mark.parametrize(("wanted", "code"), [("0.315", 0), ("0.316", 4)])
def test_a_policy_can_require_a_result(run, signed: Path, files, base_here, wanted, code):
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    run("trust", "set", "expert-kit/*", "--require", f"eval:gsm8k>={wanted}@{sha256_digest(b'{}' + chr(10).encode())}")
    assert run("install", signed, "--json").error["code"] == "attestation_missing"
    data = ["--data", f"gsm8k={files / 'test.jsonl'}"]
    run("attest", signed, "--type", "eval", "--report", files / "report.json", *data, "--key", "release")
    assert run("install", signed).code == code
    assert run("verify", "--all").code == 0


def test_an_attestation_by_a_stranger_does_not_count_unless_it_is_an_attester(run, signed: Path, files, base_here):
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    run("keys", "new", "lab")
    run("trust", "set", "expert-kit/*", "--require", "eval:gsm8k")
    run("attest", signed, "--type", "eval", "--report", files / "report.json", "--key", "lab")
    assert run("install", signed, "--json").error["code"] == "attestation_missing"
    run("trust", "set", "expert-kit/*", "--attester", "lab")
    assert run("install", signed).code == 0


def test_attestations_are_added_once(run, signed: Path, files):
    words = ["attest", signed, "--type", "provenance", "--predicate", files / "provenance.json", "--key", "release"]
    run(*words)
    once = signed.read_bytes()
    run(*words)
    assert signed.read_bytes() == once
    assert run(*words, "--out", files / "other.expert").out == f"{files / 'other.expert'}\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--type", "provenance"], "attest_what"),
        (["--type", "provenance", "--report", "report.json"], "attest_what"),
        (["--type", "eval", "--report", "report.json", "--predicate", "report.json"], "attest_what"),
        (["--type", "provenance", "--predicate", "report.json"], "attestation_invalid"),
        (["--type", "reputation", "--predicate", "report.json"], "attestation_invalid"),
        (["--type", "eval", "--predicate", "gone.json"], "predicate_file"),
        (["--type", "eval", "--predicate", "test.jsonl.bad"], "predicate_file"),
        (["--type", "eval", "--report", "provenance.json"], "predicate_file"),
        (["--type", "eval", "--report", "report.json", "--data", "gsm8k=gone"], "data_file"),
        (["--type", "eval", "--report", "report.json", "--data", "other=test.jsonl"], "attestation_invalid"),
    ],
)
def test_what_is_no_attestation_is_refused_and_the_archive_stays(run, signed: Path, files, monkeypatch, words, code):
    monkeypatch.chdir(files)
    (files / "test.jsonl.bad").write_text('{"a": 1, "a": 2}')
    before = signed.read_bytes()
    assert run("attest", signed, *words, "--key", "release", "--json").error["code"] == code
    assert signed.read_bytes() == before


def test_a_wrong_file_of_ones_own_is_ones_own_to_correct(run, signed: Path, files, key):
    (files / "huge.json").write_text('{"source": 1e999}')
    (files / "empty.json").write_text("{}")
    for kind, name, hint in (("zonk", "empty.json", "--type"), ("eval", "empty.json", "correct"), ("import", "huge.json", "correct")):
        error = run("attest", signed, "--type", kind, "--predicate", files / name, "--key", "release", "--json").error
        assert error["code"] == "attestation_invalid"
        assert hint in error["next"]
        assert "ask the one" not in error["next"]


@pytest.mark.parametrize("text", ["zz", "=test.jsonl", "gsm8k="])
def test_data_without_suite_or_file_is_told_the_form(run, signed: Path, files, text):
    error = run("attest", signed, "--type", "eval", "--report", files / "report.json", "--data", text, "--key", "release", "--json").error
    assert (error["code"], error["message"]) == ("data_file", f"--data {text} is not SUITE=FILE")
    assert "gsm8k=test.jsonl" in error["next"]


@pytest.mark.parametrize("option", ["--predicate", "--report"])
def test_a_file_that_is_not_there_is_said_in_words(run, signed: Path, files, option):
    gone = files / "gone.json"
    error = run("attest", signed, "--type", "eval", option, gone, "--key", "release", "--json").error
    assert error["message"] == f"cannot read {gone}: No such file or directory"


def test_no_more_are_added_than_a_reader_takes(run, signed: Path, files, key):
    with ArchiveReader.open(signed) as reader:
        identity, meta = sha256_digest(reader.manifest_bytes), reader.meta
    private = load_private_key(key.private_path)
    lines = [
        attest(identity, "x", "bom", {"bomFormat": "CycloneDX", "specVersion": str(n)}, private) + b"\n" for n in range(MAX_ATTESTATIONS)
    ]
    members = {f"META/attestations/part{n}.jsonl": b"".join(lines[n::4]) for n in range(4)}
    replace_meta(signed, signed, {**meta, **members})
    full = signed.read_bytes()
    words = ["attest", signed, "--type", "provenance", "--predicate", files / "provenance.json", "--key", "release"]
    done = run(*words, "--out", files / "other.expert", "--json")
    assert (done.code, done.error["code"]) == (4, "attestation_invalid")
    assert f"more than {MAX_ATTESTATIONS} attestations" in done.error["message"]
    assert "ask the one" not in done.error["next"]
    assert run(*words).code == 4
    assert signed.read_bytes() == full
    assert not (files / "other.expert").exists()
    assert run("validate", signed).code == 0
