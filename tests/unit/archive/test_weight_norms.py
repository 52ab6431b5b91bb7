from __future__ import annotations

import pytest
import torch
from safetensors.torch import load

from expert_kit.archive import parse_header
from expert_kit.archive.weight_norms import OUTLYING_RATIO, check_norms, delta_sizes
from expert_kit.bases import AdapterSpec
from tests.support.builders import lora_weights, tiny_spec


def reference(spec: AdapterSpec, weights: bytes) -> dict[str, float]:
    """The same with the whole delta in memory."""
    tensors = {name: tensor.double() for name, tensor in load(weights).items()}
    found = {}
    for name, a in tensors.items():
        if name.endswith(".lora_A.weight"):
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            delta = tensors[name.replace("lora_A", "lora_B")] @ a * spec.scaling_of(module)
            found[module] = float(delta.square().mean().sqrt())
    return found


@pytest.mark.parametrize(
    "changes", [{}, {"dtype": "BF16"}, {"dtype": "F16"}, {"use_rslora": True}, {"rank_pattern": {"v_proj": 3}}], ids=str
)
def test_the_sizes_are_those_of_the_whole_delta(changes: dict):
    spec = tiny_spec(**changes)
    weights = lora_weights(spec)
    expected = reference(spec, weights)
    found = delta_sizes(spec, weights)
    assert found.keys() == expected.keys()
    assert all(found[module] == pytest.approx(expected[module], rel=1e-4) for module in expected)


def multiplied(weights: bytes, factor: float) -> bytes:
    """The first lora_B times a factor; its bytes begin where the header says."""
    data = bytearray(weights)
    info = next(info for name, info in parse_header(weights).items() if "lora_B" in name)
    data[info.begin : info.end] = (torch.frombuffer(data[info.begin : info.end], dtype=torch.float32) * factor).numpy().tobytes()
    return bytes(data)


def test_an_even_adapter_is_no_finding():
    assert check_norms(tiny_spec(), lora_weights(tiny_spec())) == []


@pytest.mark.parametrize("factor", [OUTLYING_RATIO * 5, 1e30])
def test_a_module_far_beyond_the_others_is_one_warning(factor: float):
    (problem,) = check_norms(tiny_spec(), multiplied(lora_weights(tiny_spec()), factor))
    assert (problem.code, problem.severity) == ("adapter_norm_outlier", "warning")
    assert "1 modules are changed more than usual" in problem.message


def test_a_change_as_large_as_the_weights_themselves_is_a_warning_though_all_are_alike():
    spec = tiny_spec(lora_alpha=1 << 20)
    (problem,) = check_norms(spec, lora_weights(spec))
    assert problem.code == "adapter_norm_outlier"
