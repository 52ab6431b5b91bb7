from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file

from expert_kit.training.outcome import save_adapter

RECIPE = SimpleNamespace(model_name_or_path="tiny", adapter_dtype="float32")
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Saves an adapter of one number, and returns its folder."""
    folder = tmp_path / "adapter"

    def call(number: float) -> Path:
        model = SimpleNamespace(peft_config={"default": LoraConfig(target_modules=["b", "a"])})
        monkeypatch.setattr("expert_kit.training.outcome.get_peft_model_state_dict", lambda _: {"x": torch.tensor([number])})
        save_adapter(RECIPE, model, folder)
        return folder

    return call


def number_in(folder: Path) -> float:
    return load_file(folder / WEIGHTS)["x"].item()


def test_an_adapter_is_put_in_place_of_another_and_nothing_else_is_left(save, tmp_path: Path):
    assert number_in(save(1.0)) == 1.0
    assert number_in(save(2.0)) == 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_whole_adapter_is_there_at_every_step(save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save(1.0)
    found = []
    for owner, name in ((os, "replace"), (shutil, "rmtree")):
        real = getattr(owner, name)

        def watched(*args: object, real=real, **options: object) -> None:
            found.append(whole_ones(tmp_path))
            real(*args, **options)
            found.append(whole_ones(tmp_path))

        monkeypatch.setattr(owner, name, watched)
    save(2.0)
    assert len(found) > 4
    assert [] not in found


def whole_ones(folder: Path) -> list[float]:
    """Numbers of the adapters that a kill would leave; one that is still being written has another name each time."""
    return [number_in(path) for path in (folder / "adapter", folder / ".adapter.old") if (path / WEIGHTS).is_file()]


def test_what_a_kill_left_aside_is_cleared_up_by_the_next_run(save, tmp_path: Path):
    save(1.0).rename(tmp_path / ".adapter.old")
    assert number_in(save(2.0)) == 2.0
    shutil.copytree(tmp_path / "adapter", tmp_path / ".adapter.old")
    assert number_in(save(3.0)) == 3.0
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_where_the_new_one_cannot_be_put_the_old_one_stays(save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save(1.0)
    real = os.replace

    def full(source: Path, target: Path) -> None:
        if target.name == "adapter" and source.name != ".adapter.old":
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        save(2.0)
    assert number_in(tmp_path / "adapter") == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
