from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from expert_kit.archive import ArchiveReader, config_of_spec, expected_tensors, write_header
from expert_kit.base_models.fingerprint import fingerprint_folder
from expert_kit.names import sha256_digest
from tests.support.builders import lora_weights, tiny_spec, write_source
from tests.support.tiny_model import write_tiny_model


def test_a_source_becomes_an_archive_with_the_standard_name(run, base_here, tmp_path: Path):
    write_source(tmp_path / "source")
    done = run("package", tmp_path / "source", "--out", tmp_path / "new" / "dist", "--no-probe")
    assert done.code == 0
    path = Path(done.out.strip())
    assert path == tmp_path / "new" / "dist" / "expert-kit.tiny-1.0.0.expert"
    with ArchiveReader.open(path) as reader:
        assert str(reader.manifest.ref) == "expert-kit/tiny@1.0.0"
    assert f"next: expert-kit sign {path} --key NAME" in done.err


def test_json_names_the_archive_and_its_identity(run, base_here, tmp_path: Path):
    source = write_source(tmp_path / "source")
    found = run("package", source, "--out", tmp_path / "x.expert", "--json", "--no-probe").json
    with ArchiveReader.open(Path(found["archive"])) as reader:
        assert (found["expert"], found["identity"]) == ("expert-kit/tiny@1.0.0", reader.manifest.identity)


def test_without_the_base_model_the_next_command_pulls_it(run, tmp_path: Path):
    write_source(tmp_path / "source")
    done = run("package", tmp_path / "source", "--out", tmp_path)
    assert (done.code, done.out) == (5, "")
    assert "next: expert-kit base pull tiny" in done.err


def test_a_file_that_is_no_archive_is_never_overwritten(run, base_here, tmp_path: Path):
    write_source(tmp_path / "source")
    (tmp_path / "notes.md").write_text("mine")
    done = run("package", tmp_path / "source", "--out", tmp_path / "notes.md", "--json")
    assert (done.code, done.error["code"]) == (2, "out_invalid")
    assert "end the name in .expert" in done.error["next"]
    assert (tmp_path / "notes.md").read_text() == "mine"


def test_a_bad_source_lists_all_its_problems(run, base_here, tmp_path: Path):
    source = write_source(tmp_path / "source", name="Bad Name", version="1")
    done = run("package", source)
    assert done.code == 6
    assert "name" in done.err
    assert "version" in done.err


def test_ranges_that_no_resolver_can_read_are_all_refused(run, base_here, tmp_path: Path):
    extra = "requires: {expert-kit: latest, experts: {a/b: ^1.2}}\nconflicts: {a/c: 1.2.3.4}\n"
    done = run("package", write_source(tmp_path / "source", extra=extra), "--out", tmp_path / "x.expert", "--no-probe", "--json")
    assert (done.code, done.error["code"]) == (6, "source_invalid")
    assert "expert-kit: 'latest'" in done.error["message"]
    assert "a/c: '1.2.3.4'" in done.error["message"]
    assert "a/b" not in done.error["message"]


def test_what_an_expert_needs_and_can_do_gets_into_the_manifest(run, base_here, tmp_path: Path):
    extra = "requires: {expert-kit: '>=0.1', experts: {a/b: ^1.2}}\nconflicts: {a/c: <2}\ncapabilities: [tools, json]\n"
    assert run("package", write_source(tmp_path / "source", extra=extra), "--out", tmp_path / "x.expert", "--no-probe").code == 0
    with ArchiveReader.open(tmp_path / "x.expert") as reader:
        manifest = reader.manifest
    assert manifest.requires is not None
    assert (manifest.requires.expert_kit, manifest.requires.experts) == (">=0.1", {"a/b": "^1.2"})
    assert (manifest.conflicts, manifest.capabilities) == ({"a/c": "<2"}, ("json", "tools"))


def test_the_name_of_the_archive_cannot_steer_the_terminal(run, base_here, tmp_path):
    out = tmp_path / "a\x1b[2Jb"
    done = run("package", write_source(tmp_path / "source"), "--out", out, "--no-probe")
    assert done.code == 0, done.err
    assert "\x1b" not in done.err


def source_for(tmp_path: Path, record: Any, **options: Any) -> Path:
    """A source whose adapter fits the tiny model."""
    spec = options.pop("spec", tiny_spec())
    weights = options.pop("weights", None) or lora_weights(spec, record.linears)
    return write_source(tmp_path / "source", base="tiny-llama", spec=spec, weights=weights, **options)


def test_the_probe_is_made_where_the_base_is_and_not_measured_again_at_install(run, model_here, tiny_record, tmp_path: Path):
    made = run("package", source_for(tmp_path, tiny_record), "--out", tmp_path / "x.expert", "--json")
    assert made.code == 0, made.err
    (probe,) = made.json["probes"]
    assert probe["base"] == "tiny-llama"
    assert probe["largest_move"] >= 0.05
    installed = run("install", tmp_path / "x.expert", "--unsafe-allow-unsigned")
    assert installed.code == 0, installed.err
    assert "checking" not in installed.err
    assert "probe_missing" not in installed.err


def test_an_installer_elsewhere_measures_the_probe_again(run, model_here, tiny_record, tmp_path: Path, home: Path):
    assert run("package", source_for(tmp_path, tiny_record), "--out", tmp_path / "x.expert").code == 0
    shutil.rmtree(home / "cache")
    installed = run("install", tmp_path / "x.expert", "--unsafe-allow-unsigned")
    assert installed.code == 0, installed.err
    assert "checking that expert-kit/tiny@1.0.0 acts on tiny-llama as its publisher says" in installed.err


def test_a_base_of_the_same_shape_with_other_weights_is_refused(run, model_here, tiny_record, tmp_path: Path, home: Path):
    assert run("package", source_for(tmp_path, tiny_record), "--out", tmp_path / "x.expert").code == 0
    folder = home / "bases" / "tiny-llama"
    shutil.rmtree(folder)
    write_tiny_model(folder, seed=9)
    (folder / "base.json").write_text(fingerprint_folder(folder, "tiny-llama").to_json())
    refused = run("install", tmp_path / "x.expert", "--unsafe-allow-unsigned", "--json")
    assert (refused.code, refused.error["code"]) == (5, "probe_mismatch")
    assert "was not made for the base model tiny-llama" in refused.error["message"]
    assert "expert-kit base pull tiny-llama --force" in refused.error["next"]
    assert run("list", "--json").json == []


def test_weights_stay_as_they_are_unless_a_conversion_is_asked_for(run, model_here, tiny_record, tmp_path: Path):
    source = source_for(tmp_path, tiny_record)
    found = run("package", source, "--out", tmp_path / "x.expert", "--json").json
    assert found["conversion"] == []
    with ArchiveReader.open(tmp_path / "x.expert") as reader:
        assert reader.manifest.adapter.dtype == "F32"
        assert reader.read("adapter_model.safetensors") == (source.parent / "adapter/adapter_model.safetensors").read_bytes()


def test_a_conversion_halves_the_weights_and_records_what_it_changed(run, model_here, tiny_record, tmp_path: Path):
    source = source_for(tmp_path, tiny_record)
    found = run("package", source, "--out", tmp_path / "x.expert", "--dtype", "bf16", "--json").json
    rows = {row["metric"]: row for row in found["conversion"]}
    assert set(rows) == {"logit-change-max", "logit-change-median"}
    assert 0 < rows["logit-change-max"]["value_ppm"] < 500_000
    with ArchiveReader.open(tmp_path / "x.expert") as reader:
        manifest, weights = reader.manifest, reader.read("adapter_model.safetensors")
    assert manifest.adapter.dtype == "BF16"
    assert [row.suite for row in manifest.eval or ()] == ["tiny-suite", "conversion:F32-BF16/probe", "conversion:F32-BF16/probe"]
    before = load(source.parent.joinpath("adapter/adapter_model.safetensors").read_bytes())
    after = load(weights)
    assert all(torch.equal(tensor, before[name].to(torch.bfloat16)) for name, tensor in after.items())
    assert run("validate", tmp_path / "x.expert").code == 0


def test_with_a_recipe_the_test_results_before_and_after_are_recorded(run, recipe: Path, tiny_record, tmp_path: Path):
    words = ["--out", tmp_path / "x.expert", "--dtype", "bf16", "--recipe", recipe, "--limit", "2", "--json"]
    done = run("package", source_for(tmp_path, tiny_record), *words)
    assert done.code == 0, done.err
    rows = {row["metric"]: row for row in done.json["conversion"] if row["suite"] == "conversion:F32-BF16/powers"}
    assert set(rows) == {"accuracy-before", "accuracy-after"}
    assert all(row["n"] == 2 and row["data_sha256"].startswith("sha256:") for row in rows.values())
    with ArchiveReader.open(tmp_path / "x.expert") as reader:
        recorded = [row.metric for row in reader.manifest.eval or ()]
    assert {"accuracy-before", "accuracy-after", "logit-change-max"} <= set(recorded)


@pytest.mark.parametrize(
    ("words", "spec", "code"),
    [
        (["--dtype", "bf16", "--no-probe"], {}, "conversion_unmeasured"),
        (["--dtype", "int4"], {}, "dtype_unknown"),
        (["--dtype", "bf16"], {"dtype": "F16"}, "conversion_source"),
        (["--recipe", "recipes/sql"], {}, "recipe_without_dtype"),
    ],
    ids=str,
)
def test_a_conversion_that_cannot_be_measured_or_made_is_refused(run, model_here, tiny_record, tmp_path: Path, words, spec, code):
    done = run("package", source_for(tmp_path, tiny_record, spec=tiny_spec(**spec)), "--out", tmp_path / "x.expert", *words, "--json")
    assert (done.code, done.error["code"]) == (2, code)
    assert not (tmp_path / "x.expert").exists()


def test_an_adapter_that_does_nothing_is_refused_with_a_clear_message(run, model_here, tiny_record, tmp_path: Path):
    shapes = expected_tensors(tiny_spec(), tiny_record)
    zeros = write_header({name: ("F32", shape) for name, shape in shapes.items()}) + bytes(
        4 * sum(math.prod(shape) for shape in shapes.values())
    )
    done = run("package", source_for(tmp_path, tiny_record, weights=zeros), "--out", tmp_path / "x.expert", "--json")
    assert (done.code, done.error["code"]) == (5, "adapter_no_effect")
    assert "the adapter changes nothing" in done.error["message"]


def test_variants_for_two_bases_each_get_a_probe_and_their_own_weights(run, model_here, tiny_record, tmp_path: Path, home: Path):
    folder = home / "bases" / "wide"
    write_tiny_model(folder, hidden=96)
    wide = fingerprint_folder(folder, "wide")
    (folder / "base.json").write_text(wide.to_json())
    spec = tiny_spec(r=3, lora_alpha=5)
    source = source_for(tmp_path, tiny_record)
    (source.parent / "wide").mkdir()
    (source.parent / "wide" / "adapter_config.json").write_bytes(config_of_spec(spec))
    (source.parent / "wide" / "adapter_model.safetensors").write_bytes(lora_weights(spec, wide.linears))
    source.write_text(source.read_text().replace("base: tiny-llama", "base: [tiny-llama, {id: wide, adapter: wide}]"))
    done = run("package", source, "--out", tmp_path / "x.expert", "--json")
    assert done.code == 0, done.err
    assert [probe["base"] for probe in done.json["probes"]] == ["tiny-llama", "wide"]
    with ArchiveReader.open(tmp_path / "x.expert") as reader:
        first, second = reader.manifest.bases
        assert reader.manifest.adapter_spec(second) == spec
        assert reader.manifest.weights_of(second).path == "variants/wide/adapter_model.safetensors"
        assert (first.probe, second.probe) == ("probe/0.json", "probe/1.json")
    shutil.rmtree(home / "cache")
    shutil.rmtree(home / "bases" / "tiny-llama")
    installed = run("install", tmp_path / "x.expert", "--unsafe-allow-unsigned")
    assert installed.code == 0, installed.err
    assert "for wide" in installed.err
    assert run("generate", "hello", "--expert", "expert-kit/tiny", "--base", "wide", "--max-new-tokens", "2").code == 0


def test_a_dora_adapter_is_packed_with_a_probe_and_installed(run, model_here, tiny_record, tmp_path: Path):
    source = source_for(tmp_path, tiny_record, spec=tiny_spec(use_dora=True))
    assert run("package", source, "--out", tmp_path / "x.expert").code == 0
    installed = run("install", tmp_path / "x.expert", "--unsafe-allow-unsigned", "--json")
    assert installed.code == 0, installed.err
    assert "probe_missing" not in installed.out


def test_an_expert_that_is_no_better_is_refused_and_an_override_stays_in_the_archive(run, base_here, tmp_path: Path):
    write_source(tmp_path / "source")
    (tmp_path / "source" / "eval.yaml").write_text("- {suite: mine, n: 10, base: 0.5, expert: 0.5}\n")
    words = ("package", tmp_path / "source", "--out", tmp_path / "x.expert", "--no-probe", "--json")
    done = run(*words)
    assert (done.code, done.error["code"]) == (6, "expert_not_better")
    assert not (tmp_path / "x.expert").exists()
    assert run(*words, "--allow-worse").code == 0
    with ArchiveReader.open(tmp_path / "x.expert") as reader:
        assert [(row.suite, row.n, row.value_ppm) for row in reader.manifest.eval or ()][1:] == [("gate:overridden", 1, 1_000_000)]


def test_a_report_brings_results_and_where_there_is_none_a_card(run, base_here, tmp_path: Path):
    source, report = write_source(tmp_path / "source"), tmp_path / "report"
    report.mkdir()
    (report / "report.json").write_text('{"results": [{"suite": "theirs", "n": 9, "base": 0.1, "expert": 0.7}], "scores": []}')
    (report / "card.md").write_text("# From the report\n")
    words = ("package", source, "--report", report, "--no-probe", "--json", "--out")
    assert run(*words, tmp_path / "own.expert").code == 0
    source.write_text(source.read_text().replace("card: README.md\n", ""))
    assert run(*words, tmp_path / "new.expert").code == 0
    for name, card in (("own", b"# expert-kit/tiny\n"), ("new", b"# From the report\n")):
        with ArchiveReader.open(tmp_path / f"{name}.expert") as reader:
            assert [(row.suite, row.value_ppm) for row in reader.manifest.eval or ()] == [("theirs", 700_000)]
            assert reader.read("README.md") == card
    (report / "report.json").write_text('{"results": [{"suite": "theirs", "n": 9, "base": 0.7, "expert": 0.7}]}')
    assert run(*words, tmp_path / "bad.expert").error["code"] == "expert_not_better"
    (report / "report.json").write_text('{"results": 1}')
    assert run(*words, tmp_path / "bad.expert").error["code"] == "source_invalid"


def test_a_matrix_of_another_adapter_of_that_name_is_refused(run, base_here, tmp_path: Path):
    source, matrix = write_source(tmp_path / "source"), tmp_path / "matrix.json"
    share = {"accuracy": 0.5}
    row = {"expert": "expert-kit/tiny", "suite": "x", "base": {"accuracy": 0.1}, "own": share, "best_sibling": None}
    weights = sha256_digest((tmp_path / "source" / "adapter" / "adapter_model.safetensors").read_bytes())
    words = ("package", source, "--matrix", matrix, "--no-probe", "--json", "--out", tmp_path / "x.expert")
    matrix.write_text(json.dumps([{**row, "weights_sha256": sha256_digest(b"others")}]))
    assert run(*words).error["code"] == "matrix_other_weights"
    matrix.write_text(json.dumps([{**row, "weights_sha256": weights}]))
    assert run(*words).code == 0
