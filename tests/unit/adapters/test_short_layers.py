import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

from expert_kit.adapters import LoraWeights, RowPlan, install_slots, shorten_layers

SIZES = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.3}  # fmt: skip
SHORT = {
    "llama": SIZES,
    "llama with biases": SIZES | {"attention_bias": True, "mlp_bias": True},
    "llama without groups": SIZES | {"num_key_value_heads": 4},
    "qwen3": SIZES,
}
WHOLE = {
    "llama, other activation": SIZES | {"hidden_act": "gelu"},
    "gemma3_text": SIZES,
    "gpt2": {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
}
IDS = torch.tensor([[5, 9, 40, 17, 3], [60, 61, 62, 63, 64], [7, 7, 7, 8, 9], [1, 2, 3, 4, 5]])


def model_of(name, options, attention="sdpa"):
    torch.manual_seed(0)
    config = AutoConfig.for_model(name.split()[0].rstrip(","), **options)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval().requires_grad_(False)
    for name, one in model.named_parameters():
        if one.dim() == 1:  # weights of norms and biases, which would all be 1 or 0
            torch.nn.init.normal_(one, mean=float("norm" in name), std=0.3)
    return model


def linears_of(model):
    head = model.get_output_embeddings()
    found = {name: layer for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear) and layer is not head}
    return [(name, *layer.weight.shape) for name, layer in found.items()]


def adapter_of(linears, seed):
    random = torch.Generator().manual_seed(seed)
    return {
        name: LoraWeights(torch.randn(4, columns, generator=random) * 0.3, torch.randn(rows, 4, generator=random) * 0.3)
        for name, rows, columns in linears
    }


def pair_of(name, options):
    """The model with slots as it is, and with short layers."""
    plain = model_of(name, options)
    short, linears = copy.deepcopy(plain), linears_of(plain)
    install_slots(plain, linears)
    install_slots(short, linears)
    return plain, short, [adapter_of(linears, seed) for seed in (1, 2)]


@torch.inference_mode()
def logits(model, ids, adapters, **inputs):
    with RowPlan.of(adapters).active():
        return model(ids, **inputs).logits


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("rows", [1, 4])
def test_short_layers_say_what_the_models_own_say(name, rows):
    plain, short, (first, second) = pair_of(name, SHORT[name])
    assert shorten_layers(short) == 2
    for adapters in ([None] * 4, [first] * 4, [first, None, second, first]):
        expected, found = (logits(model, IDS[:rows], adapters[:rows], use_cache=False) for model in (plain, short))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    # The adapters do something: the comparison is not one of bases.
    assert not torch.allclose(expected, logits(plain, IDS[:rows], [None] * rows, use_cache=False), atol=0.1)


@pytest.mark.parametrize("name", SHORT)
def test_steps_on_kept_keys_say_what_one_pass_says(name):
    plain, short, (first, second) = pair_of(name, SHORT[name])
    shorten_layers(short)
    adapters, cache = [first, None, second, first], DynamicCache(config=short.config)
    expected = logits(plain, IDS, adapters, use_cache=False)
    parts = [logits(short, IDS[:, :3], adapters, past_key_values=cache)]
    parts += [logits(short, IDS[:, at : at + 1], adapters, past_key_values=cache) for at in (3, 4)]
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SHORT)
def test_a_mask_hides_what_it_hides_from_the_models_own(name):
    plain, short, _ = pair_of(name, SHORT[name])
    shorten_layers(short)
    mask = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]])
    expected, found = (logits(model, IDS, [None] * 4, attention_mask=mask, use_cache=False) for model in (plain, short))
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", WHOLE)
def test_layers_that_are_not_known_stay_as_they_are(name):
    model = model_of(name, WHOLE[name])
    install_slots(model, linears_of(model))
    assert shorten_layers(model) == 0


def test_layers_stay_where_attention_is_not_sdpa_or_a_linear_has_no_slot():
    model = model_of("llama", SIZES, attention="eager")
    install_slots(model, linears_of(model))
    assert shorten_layers(model) == 0
    model = model_of("llama", SIZES)
    install_slots(model, [one for one in linears_of(model) if "layers.1.self_attn.k_proj" not in one[0]])
    assert shorten_layers(model) == 1
