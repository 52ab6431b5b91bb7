import importlib.util

import pytest
import torch
from torch import nn

from expert_kit.adapters import load_base, pick_dtype
from expert_kit.adapters.quantization import Int4Linear, Int8Linear
from expert_kit.errors import UsageError


@pytest.mark.parametrize(("layer", "tolerance"), [(Int8Linear, 0.01), (Int4Linear, 0.12)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("tokens", [5, 20])  # a few rows, and so many that int8 weights are expanded
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_packed_layer_is_close_to_the_weight_it_stands_for(layer, tolerance, bias, tokens, dtype):
    torch.manual_seed(0)
    linear = nn.Linear(64, 96, bias=bias, dtype=dtype)
    x = torch.randn(2, tokens, 64, dtype=dtype)
    packed = layer(linear)
    assert packed(x).dtype is dtype
    error = (packed(x).float() - linear(x).float()).norm() / linear(x).float().norm()
    assert error < tolerance
    # What the kernel computes is what the dequantised weight says.
    exact = x.float() @ packed.dequantized().T + (linear.bias.float() if bias else 0)
    torch.testing.assert_close(packed(x).float(), exact, atol=0.03, rtol=0.03)
    weight_error = (packed.dequantized() - linear.weight.float()).norm() / linear.weight.float().norm()
    assert weight_error < tolerance


WAYS = {"packed": (False, True), "expanded": (False, False), "split": (True, False)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rows", [1, 4, 40])
def test_every_way_to_multiply_int8_weights_says_the_same(way, rows, monkeypatch):
    integers, units = WAYS[way]
    monkeypatch.setattr("expert_kit.adapters.quantization._INTEGER_PRODUCTS", integers)
    monkeypatch.setattr("expert_kit.adapters.quantization._MATRIX_UNITS", units)
    torch.manual_seed(0)
    packed = Int8Linear(nn.Linear(64, 96, bias=False))
    # Rows of very different sizes, one of zeros, and in each a number that stands out.
    x = torch.randn(rows, 64) * torch.logspace(-3, 3, rows)[:, None]
    x[:, 3] *= 100
    x[-1] = 0
    exact = x @ packed.dequantized().T
    error = (packed(x) - exact).norm(dim=1)
    # The packed kernel reads bfloat16; whole numbers keep 15 bits below the largest number of a row.
    tolerance = 4e-3 if way == "packed" or (way == "expanded" and rows < 32) else 1e-4
    assert (error <= tolerance * exact.norm(dim=1)).all()


def test_a_row_of_whole_number_products_does_not_depend_on_its_neighbours(monkeypatch):
    monkeypatch.setattr("expert_kit.adapters.quantization._INTEGER_PRODUCTS", True)
    monkeypatch.setattr("expert_kit.adapters.quantization._MATRIX_UNITS", False)
    torch.manual_seed(0)
    packed, x = Int8Linear(nn.Linear(64, 96)), torch.randn(8, 64)
    torch.testing.assert_close(packed(x)[:4], packed(torch.cat([x[:4], x[4:] * 1000]))[:4], atol=0, rtol=0)


@pytest.mark.parametrize(("layer", "width"), [(Int8Linear, 66), (Int8Linear, 40), (Int4Linear, 48)])
def test_widths_that_the_kernels_cannot_read_are_refused(layer, width):
    with pytest.raises(UsageError) as caught:
        layer(nn.Linear(width, 48))
    assert caught.value.code == "quantization_shape"


def test_numbers_that_are_none_stay_none(monkeypatch):
    """A broken pass is noticed by its logits, so nothing may turn it into numbers."""
    monkeypatch.setattr("expert_kit.adapters.quantization._INTEGER_PRODUCTS", True)
    monkeypatch.setattr("expert_kit.adapters.quantization._MATRIX_UNITS", False)
    x = torch.ones(4, 64)
    x[1, 5], x[2, 5] = float("nan"), float("inf")
    y = Int8Linear(nn.Linear(64, 96))(x)
    assert y[0].isfinite().all()
    assert not y[1].isfinite().any()
    assert not y[2].isfinite().any()


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_a_quantized_base_answers_close_to_the_plain_one(tiny_folder, tiny_record, quantization):
    ids = torch.tensor([[5, 9, 40, 17, 3]])
    plain = load_base(tiny_folder, tiny_record, device="cpu")
    packed = load_base(tiny_folder, tiny_record, device="cpu", quantization=quantization)
    with torch.inference_mode():
        expected, found = plain.model(ids).logits.float(), packed.model(ids).logits.float()
    similarity = torch.nn.functional.cosine_similarity(expected.flatten(), found.flatten(), dim=0)
    assert similarity > (0.99 if quantization == "int8" else 0.85)
    kinds = {type(module) for module in packed.model.modules()}
    assert kinds & {Int8Linear, Int4Linear}


@pytest.mark.parametrize(
    ("options", "code"),
    [({"quantization": "int3"}, "quantization_unknown"), ({"dtype": "int8"}, "dtype_unknown"), ({"device": "tpu"}, "device_unknown")],
)
def test_unknown_words_are_refused(tiny_folder, tiny_record, options, code):
    with pytest.raises(UsageError) as caught:
        load_base(tiny_folder, tiny_record, **options)
    assert caught.value.code == code


@pytest.mark.parametrize("has_units", [False, True])
def test_the_number_type_follows_the_machine_and_the_format(tiny_folder, tiny_record, monkeypatch, has_units):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_units})
    own = "bfloat16" if has_units else "float32"
    assert load_base(tiny_folder, tiny_record, device="cpu").dtype == own
    assert load_base(tiny_folder, tiny_record, device="cpu", quantization="int8").dtype == own
    # The layers of bitsandbytes are made for bfloat16.
    assert pick_dtype(device="cpu", quantization="bnb-8bit") == "bfloat16"
    # What is asked for by name is what comes.
    assert load_base(tiny_folder, tiny_record, device="cpu", dtype="float16").dtype == "float16"
    assert pick_dtype("bfloat16", device="cpu") == "bfloat16"


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="the extra quant is not installed")
@pytest.mark.parametrize("quantization", ["bnb-8bit", "bnb-4bit"])
def test_bitsandbytes_bases_answer_close_to_the_plain_one(tiny_folder, tiny_record, quantization):
    ids = torch.tensor([[5, 9, 40, 17, 3]])
    plain = load_base(tiny_folder, tiny_record, device="cpu")
    packed = load_base(tiny_folder, tiny_record, device="cpu", quantization=quantization)
    with torch.inference_mode():
        expected, found = plain.model(ids).logits.float(), packed.model(ids).logits.float()
    assert torch.nn.functional.cosine_similarity(expected.flatten(), found.flatten(), dim=0) > 0.85


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="the extra quant is installed")
def test_without_bitsandbytes_the_extra_is_named(tiny_folder, tiny_record):
    with pytest.raises(UsageError) as caught:
        load_base(tiny_folder, tiny_record, device="cpu", quantization="bnb-4bit")
    assert "expert-kit[quant]" in caught.value.hint
