"""The public tool of OpenSSF Model Signing, in an environment of its own, reads what expert-kit exports."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

# The first run fetches the tool.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PACKAGES = ("model-signing==1.1.1", "pyopenssl>=24")
SIGNED_MEMBERS = ["adapter_config.json", "adapter_model.safetensors", "expert.json", "routing/examples.jsonl"]


@pytest.fixture(scope="module")
def model_signing() -> list[str]:
    """The command of the upstream tool; its environment is made once and kept inside ours."""
    folder = Path(sys.prefix) / "test-model-signing"
    done, python = folder / "complete", folder / "bin" / "python"
    if not done.is_file() or done.read_text() != " ".join(PACKAGES):
        venv.create(folder, clear=True, with_pip=True)
        made = subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"no package index here: {made.stderr.splitlines()[-1]}")
        done.write_text(" ".join(PACKAGES))
    return [str(python), "-m", "model_signing"]


def upstream(command: Sequence[str], *words: object) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run([*command, *map(str, words)], capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def exported(run, archive: Path, base_here, home: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Folder, signature and public key of an expert signed with P-256."""
    run("keys", "new", "interop", "--type", "p256")
    run("sign", archive, "--key", "interop")
    run("keys", "trust", "interop", "--scope", "expert-kit/*")
    assert run("install", archive).code == 0
    done = run("export", "expert-kit/tiny", tmp_path / "out" / "tiny", "--json").json
    return tmp_path / "out" / "tiny", Path(done["signatures"][0]), home / "keys" / "interop.pub.pem"


def test_model_signing_verifies_an_exported_expert_and_refuses_every_change(model_signing, exported):
    folder, signature, key = exported
    words = ["verify", "key", folder, "--signature", signature, "--public_key", key]
    sound = upstream(model_signing, *words)
    assert sound.returncode == 0, sound.stderr
    members = sorted(path for path in folder.rglob("*") if path.is_file())
    assert {str(path.relative_to(folder)) for path in members} >= set(SIGNED_MEMBERS)
    weights = folder / "adapter_model.safetensors"
    body = weights.read_bytes()
    weights.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    assert upstream(model_signing, *words).returncode != 0
    weights.write_bytes(body)
    (folder / "extra.txt").write_text("not signed\n")
    assert upstream(model_signing, *words).returncode != 0


def test_model_signing_refuses_another_key(model_signing, exported, run, home):
    folder, signature, _ = exported
    run("keys", "new", "other", "--type", "p256")
    words = ["verify", "key", folder, "--signature", signature, "--public_key", home / "keys" / "other.pub.pem"]
    assert upstream(model_signing, *words).returncode != 0


def test_each_tool_verifies_what_the_other_has_signed(model_signing, run, home, tmp_path):
    folder, key = tmp_path / "model", home / "keys" / "interop.pub.pem"
    (folder / "sub").mkdir(parents=True)
    for name in ("weights", "sub/b", "sub-c"):
        (folder / name).write_text(name)
    run("keys", "new", "interop", "--type", "p256")
    assert run("oms", "sign", folder, "--key", "interop", "--out", tmp_path / "ours.sig").code == 0
    theirs = upstream(model_signing, "verify", "key", folder, "--signature", tmp_path / "ours.sig", "--public_key", key)
    assert theirs.returncode == 0, theirs.stderr
    words = ["sign", "key", folder, "--signature", tmp_path / "theirs.sig", "--private_key", home / "keys" / "interop.pem"]
    made = upstream(model_signing, *words)
    assert made.returncode == 0, made.stderr
    assert run("oms", "verify", folder, "--signature", tmp_path / "theirs.sig", "--public-key", "interop").code == 0
    (folder / "weights").write_text("other")
    assert run("oms", "verify", folder, "--signature", tmp_path / "theirs.sig", "--public-key", "interop").code == 4
