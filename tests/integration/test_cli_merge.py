from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from expert_kit.adapters import read_lora
from expert_kit.archive import ArchiveReader, spec_of_config
from expert_kit.registry import Registry


def read(folder: Path, record):
    config, weights = (folder / "adapter_config.json").read_bytes(), (folder / "adapter_model.safetensors").read_bytes()
    dtype = {torch.float32: "F32", torch.bfloat16: "BF16"}[next(iter(load_file(folder / "adapter_model.safetensors").values())).dtype]
    return read_lora(weights, spec_of_config(config, dtype), record.linears, device=torch.device("cpu"), dtype=torch.float32)


def installed_factors(name: str, record):
    registry = Registry.default()
    expert = registry.get(name)
    return read_lora(registry.read(expert.weights.sha256), expert.adapter, record.linears, device=torch.device("cpu"), dtype=torch.float32)


def test_a_merge_is_packed_and_installed_and_its_manifest_names_the_parents(run, two_experts, tiny_record, tmp_path: Path):
    out = tmp_path / "merged"
    done = run(
        "merge", "expert-kit/sql@0.6", "expert-kit/calculus@1.0.0@-0.4", "--method", "cat", "--out", out, "--name", "me/both", "--json"
    )
    assert done.code == 0, done.err
    merged, first, second = read(out / "adapter", tiny_record), *(installed_factors(name, tiny_record) for name in two_experts)
    for module, one in merged.items():
        wanted = 0.6 * first[module].b @ first[module].a - 0.4 * second[module].b @ second[module].a
        torch.testing.assert_close(one.b @ one.a, wanted, atol=1e-6, rtol=1e-5)
    packed = run("package", out, "--out", tmp_path / "dist", "--no-probe", "--json")
    assert packed.code == 0, packed.err
    with ArchiveReader.open(Path(packed.json["archive"])) as reader:
        lineage = reader.manifest.lineage
    assert lineage is not None
    registry = Registry.default()
    assert [(parent.name, parent.version, parent.weight_ppm, parent.identity) for parent in lineage.parents] == [
        (name, "1.0.0", weight, registry.get(name).identity) for name, weight in zip(two_experts, (600_000, -400_000), strict=True)
    ]
    assert (lineage.method, lineage.rank, lineage.residual_ppm) == ("cat", 4, 0)
    assert json.loads(lineage.model_dump_json())["method"] == done.json["lineage"]["method"]
    assert run("install", packed.json["archive"], "--unsafe-allow-unsigned").code == 0
    # It can be routed to by what its parents were for.
    texts = {example.text for example in registry.examples(registry.get("me/both"))}
    assert {"sql question number 0", "calculus question number 0"} <= texts


@pytest.mark.parametrize("method", ["svd", "linear", "ties", "dare"])
def test_other_methods_keep_to_the_rank_and_say_what_it_lost(run, two_experts, tmp_path: Path, method):
    out = tmp_path / "merged"
    done = run("merge", f"{two_experts[0]}@0.5", f"{two_experts[1]}@0.5", "--method", method, "--rank", "2", "--seed", "3", "--out", out)
    assert done.code == 0, done.err
    assert done.out == f"{out}\n"
    assert "cutting to it lost" in done.err
    source = yaml.safe_load((out / "expert.yaml").read_text())
    assert source["lineage"]["rank"] == 2
    assert source["lineage"]["residual_ppm"] > 0
    assert source["lineage"].get("seed") == (3 if method == "dare" else None)


def test_adapter_folders_take_part(run, two_experts, adapter: Path, tmp_path: Path):
    done = run("merge", f"{two_experts[0]}@1", f"{adapter}@0.5", "--out", tmp_path / "merged", "--json")
    assert done.code == 0, done.err
    assert "name" not in done.json["lineage"]["parents"][1]
    alone = run("merge", f"{adapter}@1", f"{adapter}@0.5", "--base", "tiny-llama", "--out", tmp_path / "folders", "--json")
    assert alone.error["code"] == "merge_license"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["expert-kit/sql", "expert-kit/calculus@1"], "merge_member"),
        (["expert-kit/sql@1", "expert-kit/none@1"], "expert_not_found"),
        (["expert-kit/sql@1"], "not_composable"),
        (["expert-kit/sql@1", "expert-kit/calculus@nan"], "weight_invalid"),
        (["expert-kit/sql@1", "expert-kit/calculus@1", "--method", "mean"], "method_unknown"),
        (["expert-kit/sql@1", "expert-kit/calculus@1", "--method", "cat", "--rank", "3"], "rank_too_small"),
    ],
)
def test_what_cannot_be_merged_is_refused_and_writes_nothing(run, two_experts, tmp_path: Path, words, code):
    done = run("merge", *words, "--out", tmp_path / "merged", "--json")
    assert done.error["code"] == code
    assert not (tmp_path / "merged").exists()


def test_a_folder_with_files_is_left_alone(run, two_experts, tmp_path: Path):
    (tmp_path / "mine").write_text("x")
    done = run("merge", f"{two_experts[0]}@1", f"{two_experts[1]}@1", "--out", tmp_path, "--json")
    assert (done.code, done.error["code"]) == (2, "merge_out")
