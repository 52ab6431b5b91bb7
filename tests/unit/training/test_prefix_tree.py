import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from expert_kit.training.prefix_tree import can_share, prefix_tree

SMALL = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
ARCHITECTURES = {
    "llama": SMALL | {"num_key_value_heads": 2},
    "mistral": SMALL | {"num_key_value_heads": 2, "sliding_window": None},
    "qwen2": SMALL | {"num_key_value_heads": 2},
    "qwen3": SMALL | {"num_key_value_heads": 2, "head_dim": 8},
    "gemma3_text": SMALL | {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 16},
    "gpt2": {"vocab_size": 40, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
}


def padded(rows):
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=6))
def test_every_token_has_a_node_that_sees_its_own_row_and_no_more(rows):
    tree = prefix_tree(*padded(rows))
    assert tree.tokens.shape[1] == len({tuple(row[:end]) for row in rows for end in range(1, len(row) + 1)})
    for row, nodes in zip(rows, tree.node_of.tolist(), strict=True):
        path = nodes[: len(row)]
        assert tree.tokens[0, path].tolist() == row
        assert tree.positions[0, path].tolist() == list(range(len(row)))
        for end, node in enumerate(path, start=1):
            assert tree.mask[0, 0, node].nonzero().flatten().tolist() == sorted(path[:end])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_hidden_states_and_gradients_are_those_of_the_separate_rows(architecture):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **ARCHITECTURES[architecture]), attn_implementation="sdpa")
    model.eval()
    ids, mask = padded([[7, 8, 9, 10, 11], [7, 8, 9, 12], [7, 8, 9, 10, 13, 14, 15], [20, 8]])
    assert can_share(model.config, ids.shape[1])
    weight = next(model.parameters())

    plain = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)[0][mask.bool()]
    expected = torch.autograd.grad(plain.square().sum(), weight)[0]
    tree = prefix_tree(ids, mask)
    shared = model.base_model(input_ids=tree.tokens, attention_mask=tree.mask, position_ids=tree.positions, use_cache=False)[0]
    shared = shared[0, tree.node_of[mask.bool()]]
    torch.testing.assert_close(shared, plain, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(torch.autograd.grad(shared.square().sum(), weight)[0], expected, atol=2e-4, rtol=1e-3)


def test_other_attention_and_rows_beyond_a_window_are_not_shared():
    config = AutoConfig.for_model("gemma3_text", **ARCHITECTURES["gemma3_text"], attn_implementation="sdpa")
    assert can_share(config, 16)
    assert not can_share(config, 17)
    assert not can_share(AutoConfig.for_model("llama", **SMALL, attn_implementation="eager"), 4)
    assert not can_share(AutoConfig.for_model("mamba", attn_implementation="sdpa"), 4)
