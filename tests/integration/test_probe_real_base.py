"""The probe on the real base model: the shipped experts pass, what would not work here is refused with words that say why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from expert_kit.archive import ArchiveReader, MeasuredPrompt, Probe, classify_probe, package, parse_header, parse_probe
from expert_kit.base_models import BaseStore
from expert_kit.base_models.fingerprint import fingerprint_folder
from expert_kit.bases import BaseMatch, BaseRecord, compare
from expert_kit.errors import IncompatibleAdapterError
from expert_kit.inference import ProbeBench
from tests.support.shipped import ROOT, command

pytestmark = pytest.mark.slow

SQL = ROOT / "experts" / "sql"


@pytest.fixture(scope="module")
def bench(real_bases: Path) -> ProbeBench:
    """The real base, loaded once for this file."""
    return ProbeBench(lambda record: BaseStore(real_bases).get(record.fingerprint.id).folder)


@pytest.fixture(scope="module")
def prepared(real_bases: Path, bench: ProbeBench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the real base, and the shipped sql expert packed with its probe; nothing is remembered of the measurement."""
    home = tmp_path_factory.mktemp("real")
    (home / "bases").symlink_to(real_bases)
    package(SQL, home / "sql.expert", BaseStore(real_bases).records(), probes=bench)
    return home


def source_with(folder: Path, weights: bytes) -> Path:
    """The source of the sql expert with other weights."""
    shutil.copytree(SQL, folder)
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(weights)
    return folder


def scaled_b(factor: float) -> bytes:
    data = bytearray((SQL / "adapter" / "adapter_model.safetensors").read_bytes())
    for name, info in parse_header(data).items():
        if "lora_B" in name:
            kind = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[info.dtype]
            values = torch.frombuffer(data[info.begin : info.end], dtype=kind) * factor
            data[info.begin : info.end] = values.view(torch.uint8).numpy().tobytes()
    return bytes(data)


def test_the_shipped_expert_passes_its_probe_at_install(prepared: Path):
    done = command("install", prepared / "sql.expert", "--unsafe-allow-unsigned", home=prepared)
    assert done.returncode == 0, done.stderr
    assert "checking that expert-kit/sql@1.0.0 acts on smollm2-135m as its publisher says" in done.stderr
    assert "probe_missing" not in done.stderr


@pytest.mark.parametrize(
    ("factor", "code", "says"), [(0.0, "adapter_no_effect", "changes nothing"), (1e-5, "probe_no_effect", "does nothing")]
)
def test_an_adapter_that_does_nothing_is_not_packed(
    real_bases: Path, bench: ProbeBench, tmp_path: Path, factor: float, code: str, says: str
):
    with pytest.raises(IncompatibleAdapterError, match=says) as caught:
        package(source_with(tmp_path / "source", scaled_b(factor)), tmp_path / "x.expert", BaseStore(real_bases).records(), probes=bench)
    assert caught.value.code == code


def measure(home: Path, folder: Path, record: BaseRecord) -> tuple[Probe, list[MeasuredPrompt], BaseMatch]:
    with ArchiveReader.open(home / "sql.expert") as reader:
        entry = reader.manifest.bases[0]
        assert entry.probe is not None
        probe, weights = parse_probe(reader.read(entry.probe), entry.vocab_size), reader.read("adapter_model.safetensors")
        spec, match = reader.manifest.adapter_spec(entry), compare(entry.fingerprint, record.fingerprint).match
    return probe, ProbeBench(lambda _: folder).measure(probe, record, spec, weights), match


@pytest.mark.parametrize(("noise", "expected"), [(0.002, BaseMatch.FAMILY), (1.0, BaseMatch.INCOMPATIBLE)])
def test_another_copy_of_the_real_base_is_family_and_another_model_of_its_shape_is_not(
    prepared: Path, real_bases: Path, tmp_path: Path, noise: float, expected: BaseMatch
):
    folder = tmp_path / "copy"
    shutil.copytree(BaseStore(real_bases).get("smollm2-135m").folder, folder)
    generator = torch.Generator().manual_seed(0)
    tensors = load_file(folder / "model.safetensors")
    changed = {
        name: tensor + noise * tensor.float().std().item() * torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
        for name, tensor in tensors.items()
    }
    save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
    record = fingerprint_folder(folder, "smollm2-135m")
    probe, found, match = measure(prepared, folder, record)
    assert match is BaseMatch.FAMILY
    assert classify_probe(probe, found, match).match is expected
