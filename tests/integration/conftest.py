from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from expert_kit.archive import config_of_spec
from expert_kit.cli.main import main
from expert_kit.signing import KeyInfo, load_private_key, new_key
from tests.support.builders import build_expert, example_rows, lora_weights, tiny_base, tiny_spec
from tests.support.encoders import FakeEncoder
from tests.support.shelf import Shelf


@dataclass(frozen=True)
class Outcome:
    """What a command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error object, the last line on stderr."""
        error: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        return error


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in this process; ``stdin`` is what is piped in."""

    def call(*args: object, stdin: str = "") -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main([str(arg) for arg in args])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def base_here(home: Path) -> None:
    """A base model of which there is only the record, which is all that installing needs."""
    folder = home / "bases" / "tiny"
    folder.mkdir(parents=True)
    (folder / "base.json").write_text(tiny_base().to_json())


@pytest.fixture
def model_here(home: Path, tiny_folder: Path, tiny_record: Any) -> str:
    """The tiny model as if it had been pulled; returns its id."""
    folder = home / "bases" / "tiny-llama"
    shutil.copytree(tiny_folder, folder)
    (folder / "base.json").write_text(tiny_record.to_json())
    return "tiny-llama"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An unsigned archive of expert-kit/tiny 1.0.0."""
    folder = tmp_path / "dist"
    folder.mkdir()
    return build_expert(folder)


@pytest.fixture
def key(home: Path) -> KeyInfo:
    """An own key named release."""
    return new_key(home / "keys", "release")


@pytest.fixture
def signed(archive: Path, key: KeyInfo, run: Run) -> Path:
    """The archive, signed with the own key."""
    assert run("sign", archive, "--key", "release").code == 0
    return archive


@pytest.fixture
def installed(signed: Path, key: KeyInfo, base_here: None, run: Run) -> str:
    """expert-kit/tiny 1.0.0 is installed."""
    assert run("keys", "trust", "release", "--scope", "expert-kit/*").code == 0
    assert run("install", signed).code == 0
    return "expert-kit/tiny"


@pytest.fixture
def shelf(tmp_path: Path, key: KeyInfo, base_here: None, home: Path, run: Run) -> Shelf:
    """An empty folder for archives of expert-kit/..., signed with the own key, which is trusted."""
    assert run("keys", "trust", "release", "--scope", "expert-kit/*").code == 0
    return Shelf(tmp_path / "shelf", tmp_path / "work", load_private_key(home / "keys" / "release.pem"))


@pytest.fixture
def adapter(model_here: str, tiny_record: Any, tmp_path: Path) -> Path:
    """A folder with a random adapter for the tiny model."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    spec = tiny_spec()
    (folder / "adapter_config.json").write_bytes(config_of_spec(spec))
    (folder / "adapter_model.safetensors").write_bytes(lora_weights(spec, tiny_record.linears))
    return folder


@pytest.fixture
def two_experts(model_here: str, tiny_record: Any, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two installed experts for the tiny model, and an encoder that needs none."""
    monkeypatch.setattr("expert_kit.inference.routes.default_encoder", FakeEncoder)
    folder = tmp_path / "two"
    folder.mkdir()
    names = []
    for seed, topic in enumerate(("sql", "calculus")):
        examples = example_rows(topic=topic)
        packed = build_expert(folder, record=tiny_record, seed=seed, name=f"expert-kit/{topic}", examples=examples)
        done = run("install", packed, "--unsafe-allow-unsigned")
        assert done.code == 0, done.err
        names.append(f"expert-kit/{topic}")
    return names


@pytest.fixture
def recipe(model_here: str, tmp_path: Path) -> Path:
    """A recipe of three steps for the tiny model, with its data."""
    folder = tmp_path / "recipes" / "powers"
    folder.mkdir(parents=True)
    rows = [
        {"id": str(n), "prompt": f"d/dx x**{n}", "completion": f"{n}*x**{n - 1}", "expression": f"x**{n}", "variable": "x"}
        for n in range(2, 10)
    ]
    for name in ("train", "validation", "test"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(
        f"model_name_or_path: {model_here}\n"
        "dataset: {train: train.jsonl, validation: validation.jsonl}\n"
        "tests:\n  powers: {path: test.jsonl, task: derivative, max_new_tokens: 4}\n"
        "lora_r: 2\nlora_alpha: 4\nmax_steps: 3\nper_device_train_batch_size: 4\nlogging_steps: 1\neval_steps: 2\nsave_steps: 2\n"
        "bf16: false\n"
    )
    return folder / "recipe.yaml"
