from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from expert_kit.adapters import probe_logits, read_lora
from expert_kit.archive import ArchiveReader, config_of_spec
from expert_kit.archive.importer import read_material
from expert_kit.signing import KeyInfo
from tests.support.builders import lora_weights, tiny_spec
from tests.support.tiny_model import write_adapter

IDS = [5, 9, 40, 17, 3]
OPTIONS = ["--name", "me/poems", "--version", "0.1.0", "--license", "MIT", "--summary", "Writes poems.", "--base", "tiny-llama"]


@pytest.fixture
def peft(tmp_path: Path, tiny_folder: Path) -> Path:
    """What PEFT leaves behind, with its README."""
    return write_adapter(tmp_path / "peft", tiny_folder)


def save_with_patterns(folder: Path, model: Path) -> Path:
    """An adapter whose configuration selects by regular expressions."""
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=r".*\.[qv]_proj|.*\.0\.mlp\.up_proj", rank_pattern={r"layers\.\d\.self_attn\.v_proj": 2},
        alpha_pattern={"up_proj": 3}, task_type="CAUSAL_LM",
    )  # fmt: skip
    peft_model = get_peft_model(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), config)
    generator = torch.Generator().manual_seed(3)
    for name, parameter in peft_model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    peft_model.save_pretrained(folder)
    return folder


def logits_of_peft(model: Path, adapter: Path) -> torch.Tensor:
    """Behind the last token."""
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    with torch.inference_mode():
        return PeftModel.from_pretrained(base, adapter).eval()(torch.tensor([IDS])).logits[0, -1]


def logits_of_archive(archive: Path, tiny: Any) -> torch.Tensor:
    with ArchiveReader.open(archive) as reader:
        base = reader.manifest.bases[0]
        weights, spec = reader.read(reader.manifest.weights_of(base).path), reader.manifest.adapter_spec(base)
    adapter = read_lora(weights, spec, tiny.record.linears, device=tiny.device, dtype=torch.float32)
    return probe_logits(tiny, adapter, [IDS])[0].adapted


def test_a_peft_folder_becomes_an_unsigned_expert_with_the_logits_of_peft(run, model_here, tiny_folder, tiny, peft: Path, tmp_path: Path):
    done = run("convert", peft, *OPTIONS, "--out", tmp_path / "dist")
    assert done.code == 0, done.err
    archive = tmp_path / "dist" / "me.poems-0.1.0.expert"
    assert done.out.strip() == str(archive)
    torch.testing.assert_close(logits_of_archive(archive, tiny), logits_of_peft(tiny_folder, peft), atol=1e-4, rtol=1e-4)
    report = run("validate", archive, "--json").json
    assert [problem["code"] for problem in report["problems"]] == ["signature_missing"]
    assert [one["type"] for one in report["attestations"]] == ["import"]
    assert report["signers"] == []


def test_what_regular_expressions_selected_is_taken_from_the_tensors(run, model_here, tiny_folder, tiny, tmp_path: Path):
    folder = save_with_patterns(tmp_path / "peft", tiny_folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert isinstance(config["target_modules"], str)
    assert run("convert", folder, *OPTIONS, "--out", tmp_path / "x.expert").code == 0
    with ArchiveReader.open(tmp_path / "x.expert") as reader:
        block = reader.manifest.adapter
    assert dict(block.rank_pattern) == {"v_proj": 2}
    assert "model.layers.0.mlp.up_proj" in block.target_modules
    torch.testing.assert_close(logits_of_archive(tmp_path / "x.expert", tiny), logits_of_peft(tiny_folder, folder), atol=1e-4, rtol=1e-4)


def test_a_tar_gz_of_the_folder_is_the_same_expert(run, model_here, peft: Path, tmp_path: Path):
    subprocess.run(["tar", "czf", str(tmp_path / "old.tar.gz"), "-C", str(tmp_path), "peft"], check=True)
    from_tar = run("convert", tmp_path / "old.tar.gz", *OPTIONS, "--out", tmp_path / "a.expert", "--no-probe", "--json").json
    from_folder = run("convert", peft, *OPTIONS, "--out", tmp_path / "b.expert", "--no-probe", "--json").json
    assert from_tar["identity"] == from_folder["identity"]
    assert (from_tar["source"]["kind"], from_folder["source"]["kind"]) == ("tar.gz", "peft-folder")


def test_the_attestation_names_the_digest_of_the_source(run, model_here, peft: Path, tmp_path: Path, key: KeyInfo):
    found = run("convert", peft, *OPTIONS, "--out", tmp_path / "x.expert", "--key", "release", "--no-probe", "--json").json
    report = run("validate", tmp_path / "x.expert", "--json").json
    assert [one["signer"] for one in report["attestations"]] == [key.key_id]
    assert found["source"]["digest"] == read_material(peft).digest
    with ArchiveReader.open(tmp_path / "x.expert") as reader:
        (line,) = reader.meta["META/attestations/import.jsonl"].splitlines()
    source = json.loads(base64.b64decode(json.loads(line)["dsseEnvelope"]["payload"]))["predicate"]["source"]
    assert "sha256:" + source["digest"]["sha256"] == found["source"]["digest"]
    assert [one["name"] for one in source["files"]] == ["README.md", "adapter_config.json", "adapter_model.safetensors"]


def test_a_converted_expert_can_be_signed_and_installed(run, model_here, peft: Path, tmp_path: Path, key: KeyInfo):
    for words in (
        ("convert", peft, *OPTIONS, "--out", tmp_path / "x.expert"),
        ("sign", tmp_path / "x.expert", "--key", "release"),
        ("keys", "trust", "release", "--scope", "me/*"),
        ("install", tmp_path / "x.expert"),
    ):
        done = run(*words)
        assert done.code == 0, done.err
    assert "warning" not in done.err


def test_all_missing_options_are_named_at_once(run, peft: Path):
    done = run("convert", peft, "--version", "0.1.0", "--json")
    assert (done.code, done.error["code"]) == (2, "convert_options_missing")
    assert "--name, --license, --summary, --base" in done.error["message"]
    assert "expert-kit base list" in done.error["next"]
    assert "--version" not in done.error["message"]


def test_all_wrong_options_are_named_at_once(run, model_here, peft: Path):
    words = ["--name", "Poems", "--version", "v1", "--license", "my own", "--summary", "", "--base", "tiny-llama"]
    done = run("convert", peft, *words, "--json")
    assert (done.code, done.error["code"]) == (2, "convert_options")
    assert all(field in done.error["message"] for field in ("name", "version", "license", "summary"))


def test_without_the_base_model_the_next_step_is_to_pull_it(run, peft: Path):
    done = run("convert", peft, *OPTIONS)
    assert (done.code, done.out) == (5, "")
    assert "next: known are smollm2-135m, " in done.err
    assert "expert-kit base pull OWNER/NAME, or FOLDER" in done.err


def test_an_adapter_for_another_base_is_refused(run, model_here, peft: Path, tmp_path: Path):
    spec = tiny_spec()
    (peft / "adapter_config.json").write_bytes(config_of_spec(spec))
    (peft / "adapter_model.safetensors").write_bytes(lora_weights(spec))  # of a narrower model
    done = run("convert", peft, *OPTIONS, "--out", tmp_path / "dist", "--json")
    assert (done.code, done.error["code"]) == (5, "tensor_shape")
    assert not list((tmp_path / "dist").iterdir())


def test_an_adapter_that_was_never_trained_is_refused(run, model_here, tiny_folder: Path, tmp_path: Path):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")).save_pretrained(tmp_path / "fresh")
    done = run("convert", tmp_path / "fresh", *OPTIONS, "--out", tmp_path / "dist", "--json")
    assert (done.code, done.error["code"]) == (5, "adapter_no_effect")


def test_names_of_other_files_cannot_steer_the_terminal(run, model_here, peft: Path, tmp_path: Path):
    (peft / "a\x1b[2Jb").write_text("x")
    done = run("convert", peft, *OPTIONS, "--out", tmp_path / "dist", "--no-probe")
    assert done.code == 0, done.err
    assert "left out: a\\u{1b}[2Jb" in done.err
