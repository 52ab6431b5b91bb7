"""Rounding to bfloat16 against torch, bit by bit, and what a conversion leaves in the manifest."""

from __future__ import annotations

import struct

import pytest
import torch
from safetensors.torch import load

from expert_kit.archive import Probe, ProbePrompt, accuracy_change, parse_header, to_bfloat16, write_header
from expert_kit.archive.conversion import logit_changes
from expert_kit.errors import UsageError
from tests.support.builders import lora_weights, tiny_spec
from tests.support.probes import measured


def file_of(values: list[float]) -> bytes:
    return write_header({"a": ("F32", (1, len(values)))}) + struct.pack(f"<{len(values)}f", *values)


def test_every_value_is_rounded_as_torch_rounds_it():
    # Halfway cases go to the even neighbour; the last finite values, subnormals and zeros of both signs are here too.
    bits = [0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF, 0x7F7F0000, 0x00000001, 0x80000000, 0xBF808000, 0x00018000]
    values = [struct.unpack("<f", struct.pack("<I", one))[0] for one in bits]
    values += torch.randn(5000, generator=torch.Generator().manual_seed(0)).tolist()
    expected = torch.tensor(values, dtype=torch.float32).to(torch.bfloat16)
    assert torch.equal(load(to_bfloat16(file_of(values)))["a"][0].view(torch.int16), expected.view(torch.int16))


def test_names_and_shapes_stay_and_the_file_is_in_its_one_spelling():
    before, after = lora_weights(tiny_spec()), to_bfloat16(lora_weights(tiny_spec()))
    tensors = parse_header(after)
    assert {name: info.shape for name, info in tensors.items()} == {name: info.shape for name, info in parse_header(before).items()}
    assert {info.dtype for info in tensors.values()} == {"BF16"}


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_only_float32_is_converted(dtype: str):
    with pytest.raises(UsageError) as caught:
        to_bfloat16(lora_weights(tiny_spec(dtype=dtype)))
    assert caught.value.code == "conversion_source"


def test_the_largest_and_the_median_change_of_the_adapted_logits_are_recorded():
    probe = Probe(tuple(ProbePrompt((1,), ((1, 0, 100), (2, 0, 200), (3, 0, 300))) for _ in range(4)))
    before = measured(probe)
    before[2] = type(before[2])(1, ((1, 0, 100), (2, 0, 207), (3, 0, 300)))
    most, middle = logit_changes(probe, before, "tiny")
    assert (most.suite, most.metric, most.n, most.value_ppm, most.base) == (
        "conversion:F32-BF16/probe",
        "logit-change-max",
        12,
        7000,
        "tiny",
    )
    assert (middle.metric, middle.value_ppm) == ("logit-change-median", 0)


def test_the_accuracy_before_and_after_is_recorded_with_its_data():
    before, after = accuracy_change("powers", 8, 0.5, 0.375, "0" * 64, "tiny")
    assert (before.metric, before.value_ppm) == ("accuracy-before", 500_000)
    assert (after.metric, after.value_ppm) == ("accuracy-after", 375_000)
    assert {before.suite, after.suite} == {"conversion:F32-BF16/powers"}
    assert before.data_sha256 == "sha256:" + "0" * 64
