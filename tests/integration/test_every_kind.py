"""Every kind of adapter from a source folder to an answer: package with a probe, install, info, generate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expert_kit.bases import AdapterSpec
from tests.support.builders import lora_weights, write_source

KINDS = {
    "IA3": AdapterSpec.ia3(("down_proj", "k_proj", "v_proj"), ("down_proj",)),
    "prompt tuning": AdapterSpec.soft_prompt("PROMPT_TUNING", 5),
    "prefix tuning": AdapterSpec.soft_prompt("PREFIX_TUNING", 3),
    "LoRA": AdapterSpec(2, 4, ("q_proj",), modules_to_save=("embed_tokens", "lm_head")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_expert_of_this_kind_is_packed_probed_installed_and_answers(
    run: Any, model_here: str, tiny_record: Any, tmp_path: Path, kind: str
):
    source = write_source(tmp_path / "source", base=model_here, spec=KINDS[kind], weights=lora_weights(KINDS[kind], tiny_record, seed=3))
    packed = run("package", source, "--out", tmp_path, "--json")
    assert packed.code == 0, packed.err
    archive = tmp_path / "expert-kit.tiny-1.0.0.expert"
    assert run("validate", archive).code == 0
    installed = run("install", archive, "--unsafe-allow-unsigned")
    assert installed.code == 0, installed.err
    assert f"adapter: {kind}, " in run("info", "expert-kit/tiny").out
    options = ("--base", model_here, "--max-new-tokens", "5", "--dtype", "float32", "--json")
    answer = run("generate", "hi", "--expert", "expert-kit/tiny", *options)
    assert answer.code == 0, answer.err
    assert [one["name"] for one in answer.json["experts"]] == ["expert-kit/tiny"]
    assert answer.json["text"] == run("generate", "hi", "--expert", source.parent / "adapter", *options).json["text"]
    assert answer.json["text"] != run("generate", "hi", "--expert", "base", *options).json["text"]
