"""docs/trust.md is run from top to bottom: a publisher and a user, each with a home of their own."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from expert_kit.names import sha256_digest
from expert_kit.signing import list_keys
from expert_kit.signing.roots import root_digest
from tests.support.builders import build_expert, tiny_base

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(bash|json) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    person: str
    code: int
    line: str


def steps() -> Iterator[Step]:
    for kind, words, body in BLOCK.findall(PAGE):
        if kind == "bash":
            person, _, fails = words.partition(" fails=")
            for line in body.strip().splitlines():
                yield Step(person, int(fails or 0), line)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which both work: the files that the page speaks of."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, version in (("sql", "1.0.0"), ("old", "0.9.0")):
        (tmp_path / name).mkdir()
        built = build_expert(tmp_path / name, name=f"acme/{name}", version=version)
        built.rename(folder / f"acme.{name}-{version}.expert")
    (folder / "passphrase.txt").write_text("open sesame\n")
    (folder / "test.jsonl").write_text("{}\n")
    row = {"suite": "sql-easy", "metric": "accuracy", "n": 200, "expert": 0.5}
    (folder / "report.json").write_text(json.dumps({"results": [row], "scores": []}))
    for kind, words, body in BLOCK.findall(PAGE):
        if kind == "json":
            (folder / words).write_text(body)
    base = tmp_path / "user" / "bases" / "tiny"
    base.mkdir(parents=True)
    (base / "base.json").write_text(tiny_base().to_json())
    return folder


def written(line: str, publisher: Path) -> str:
    """The line with what each person would fill in."""
    keys = {info.name: info.key_id for info in list_keys(publisher / "keys")}
    line = line.replace("DATA_DIGEST", sha256_digest(b"{}\n")).replace("OFFLINE_FINGERPRINT", keys.get("offline", ""))
    line = line.replace("FINGERPRINT", keys.get("release", ""))
    return line.replace("ROOT_DIGEST", root_digest(Path("root.json").read_bytes()) if "ROOT_DIGEST" in line else "")


def test_every_command_of_the_trust_page_does_what_the_page_says(run, table, tmp_path, monkeypatch):
    verdicts = []
    for step in steps():
        monkeypatch.setenv("EXPERT_KIT_HOME", str(tmp_path / step.person))
        words = shlex.split(written(step.line, tmp_path / "publisher"))
        assert words[0] == "expert-kit"
        done = run(*words[1:])
        assert done.code == step.code, f"{step.line}\n{done.out}{done.err}"
        if words[1] == "verify":
            verdicts.append(re.sub(r" +", " ", done.out.splitlines()[1]))
        if step.line.startswith("expert-kit trust update 2.root"):
            assert "revoked: key" in done.out
            assert "may sign: sha256:" in done.out
    sound = "acme/sql@1.0.0 sound"
    assert verdicts == [
        sound,
        "acme/sql@1.0.0 refused attestation_missing",
        sound,
        sound,
        "acme/sql@1.0.0 refused signature_key_revoked",
        sound,
    ]


def test_the_page_shows_the_drill_and_every_command_of_trust():
    lines = [step.line for step in steps()]
    assert len(lines) > 30
    for command in ("keys new", "keys root", "keys rotate", "keys trust", "sign", "attest", "install", "verify", "revoke", "yank",
                    "trust list", "trust show", "trust set", "trust log", "trust add", "trust update"):  # fmt: skip
        assert any(line.startswith(f"expert-kit {command} ") or line == f"expert-kit {command}" for line in lines), command
