"""Rows of one batch with mixes of their own, against PEFT row by row."""

import threading

import pytest
import torch
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from expert_kit.adapters import LoraWeights, RowPlan, SlotTable, install_slots
from expert_kit.adapters.plans import DensePass
from expert_kit.adapters.stacked_pass import StackedPass

SIZES = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0}  # fmt: skip
ARCHITECTURES = {
    "llama": SIZES,
    "qwen3": SIZES | {"head_dim": 8},
    "gemma3_text": SIZES | {"head_dim": 8, "sliding_window": 4},
    "gpt2": {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
}
IDS = torch.tensor([[5, 9, 40, 17, 3], [60, 61, 62, 63, 64], [7, 7, 7, 8, 9], [1, 2, 3, 4, 5], [90, 80, 70, 60, 50]])
NAMES = "abcdef"
RANKS = {"a": 4, "b": 8, "c": 3, "d": 12, "e": 8, "f": 16}


def linear_layers(model):
    head = model.get_output_embeddings()
    sizes = {name: layer for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear | Conv1D) and layer is not head}
    return sorted(
        (name, *(layer.weight.shape if isinstance(layer, torch.nn.Linear) else layer.weight.shape[::-1])) for name, layer in sizes.items()
    )


class Pair:
    """One random model twice: with slots, and with PEFT; the same random adapters in both."""

    def __init__(self, architecture: str) -> None:
        torch.manual_seed(0)
        config = AutoConfig.for_model(architecture, **ARCHITECTURES[architecture])
        self.ours = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
        peer = AutoModelForCausalLM.from_config(config).eval()
        peer.load_state_dict(self.ours.state_dict())
        linears = linear_layers(self.ours)
        self.adapters = {name: random_adapter(linears, at, RANKS[name]) for at, name in enumerate(NAMES)}
        for name, adapter in self.adapters.items():
            options = LoraConfig(r=RANKS[name], lora_alpha=RANKS[name], target_modules=list(adapter), task_type="CAUSAL_LM")
            if name == "a":
                self.peer = get_peft_model(peer, options, adapter_name=name)
            else:
                self.peer.add_adapter(name, options)
            set_peft_model_state_dict(self.peer, peft_tensors(adapter), adapter_name=name)
        table = SlotTable(install_slots(self.ours, linears), torch.device("cpu"), torch.float32, block_slots=4)
        self.slots = {name: table.put(adapter) for name, adapter in self.adapters.items()}

    def mix(self, text: str):
        """``a0.5 b2`` -> slots and weights."""
        return tuple((self.slots[part[0]], float(part[1:] or 1)) for part in text.split())

    @torch.inference_mode()
    def logits(self, plan: RowPlan | None, ids=IDS):
        if plan is None:
            return self.ours(ids, use_cache=False).logits
        with plan.active():
            return self.ours(ids, use_cache=False).logits

    @torch.inference_mode()
    def expected(self, mixes, ids=IDS):
        rows = []
        for text, row in zip(mixes, ids, strict=True):
            names, weights = [part[0] for part in text.split()], [float(part[1:] or 1) for part in text.split()]
            if not names:
                with self.peer.disable_adapter():
                    rows.append(self.peer(row[None], use_cache=False).logits)
                continue
            self.peer.add_weighted_adapter(names, weights, "mix", combination_type="cat")
            self.peer.set_adapter("mix")
            rows.append(self.peer.eval()(row[None], use_cache=False).logits)
            self.peer.delete_adapter("mix")
        return torch.cat(rows)


def random_adapter(linears, seed, rank):
    random = torch.Generator().manual_seed(100 + seed)
    # Some modules are left out, other ones for each adapter.
    chosen = [linear for at, linear in enumerate(linears) if (at + seed) % 5]
    return {
        path: LoraWeights(torch.randn(rank, columns, generator=random) * 0.2, torch.randn(rows, rank, generator=random) * 0.2)
        for path, rows, columns in chosen
    }


def peft_tensors(adapter):
    named = {}
    for path, one in adapter.items():
        named[f"base_model.model.{path}.lora_A.weight"], named[f"base_model.model.{path}.lora_B.weight"] = one.a, one.b
    return named


@pytest.fixture(scope="module", params=ARCHITECTURES)
def pair(request):
    return Pair(request.param)


@pytest.fixture(scope="module")
def llama():
    return Pair("llama")


BATCHES = {
    "one for all": ["a"] * 5,
    "one mix for all": ["a0.5 d-0.3"] * 5,
    "one each": ["a", "b", "c", "d", "e"],
    "one each, in another order": ["c", "a", "e", "b", "a"],
    "base rows between": ["", "b", "", "d", ""],
    "weights": ["a0.5", "b2", "c-1", "d0.25", "e1"],
    "mixes of any size": ["a0.5 b0.5", "", "c", "a1 b1 c1 d1 e1 f1", "f0.1 a0.9"],
    "the same mix on some rows": ["a0.6 b0.4", "c", "a0.6 b0.4", "c", "c"],
}


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_rows_with_their_own_mixes_give_the_logits_of_peft(pair, batch):
    ours = pair.logits(RowPlan.of_slots([pair.mix(text) for text in batch]))
    torch.testing.assert_close(ours, pair.expected(batch), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_one_token_a_row_takes_the_same_way(llama, batch):
    ids = IDS[:, :1]
    ours = llama.logits(RowPlan.of_slots([llama.mix(text) for text in batch]), ids)
    torch.testing.assert_close(ours, llama.expected(batch, ids), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("batch", [["a", "b"], ["a", "b", "c", "e"]], ids=["fused layers", "layers alone"])
def test_rows_in_the_order_of_their_slots_take_the_short_way(pair, batch):
    ids = IDS[: len(batch), :1]
    plan = RowPlan.of_slots([pair.mix(text) for text in batch])
    assert [one._straight for one in plan.passes] == [True]
    torch.testing.assert_close(pair.logits(plan, ids), pair.expected(batch, ids), atol=1e-4, rtol=1e-4)
    # The long way, which is taken for more tokens, gives the same.
    longer = pair.logits(plan, IDS[: len(batch)])
    torch.testing.assert_close(longer, pair.expected(batch, IDS[: len(batch)]), atol=1e-4, rtol=1e-4)


def test_base_rows_are_the_bases_to_the_bit_and_nothing_is_left_active(pair):
    bare = pair.logits(None)
    mixed = pair.logits(RowPlan.of_slots([pair.mix(text) for text in BATCHES["base rows between"]]))
    assert torch.equal(mixed[[0, 2, 4]], bare[[0, 2, 4]])
    assert not torch.allclose(mixed[[1, 3]], bare[[1, 3]])
    assert torch.equal(pair.logits(RowPlan.of_slots([()] * 5)), bare)
    assert torch.equal(pair.logits(None), bare)


def test_a_rows_logits_do_not_depend_on_its_company(llama):
    mixes = [llama.mix(text) for text in BATCHES["mixes of any size"]]
    together = llama.logits(RowPlan.of_slots(mixes))
    for row, mix in enumerate(mixes):
        alone = llama.logits(RowPlan.of_slots([mix]), IDS[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, atol=2e-5, rtol=1e-5)


def test_the_cheapest_way_is_taken(llama):
    one = RowPlan.of_slots([llama.mix("a")] * 3)
    assert [type(step) for step in one.passes] == [DensePass]
    assert RowPlan.of_slots([(), ()]).passes == ()
    mixed = RowPlan.of_slots([llama.mix("a"), llama.mix("b"), ()])
    assert [type(step) for step in mixed.passes] == [StackedPass]
    # Most of a block idle: the active slots are copied; else the block is used as it is.
    storage = mixed.passes[0].storage
    assert storage.data_ptr() == llama.slots["a"].block.rows.data_ptr()


def test_active_slots_that_are_far_apart_are_packed():
    from expert_kit.adapters import group_linears

    groups = group_linears([("m", 4, 4)])
    table = SlotTable(groups, torch.device("cpu"), torch.float32, block_slots=8)
    slots = [table.put({"m": LoraWeights(torch.eye(4)[:2] * at, torch.ones(4, 2))}) for at in range(8)]
    (step,) = RowPlan.of_slots([((slots[0], 1.0),), ((slots[7], 1.0),)]).passes
    assert step.storage.shape[0] == 2
    x, y = torch.ones(2, 4), torch.zeros(2, 4)
    step.add(groups[0], x, [y])
    assert y.tolist() == [[0.0] * 4, [14.0] * 4]


def test_a_plan_whose_adapter_was_replaced_is_refused():
    from expert_kit.adapters import group_linears

    table = SlotTable(group_linears([("m", 4, 4)]), torch.device("cpu"), torch.float32)
    adapter = {"m": LoraWeights(torch.ones(1, 4), torch.ones(4, 1))}
    keep, slot = table.put(adapter), table.put(adapter)
    plan = RowPlan.of_slots([((slot, 1.0),)])
    table.free(slot)
    table.put(adapter)
    with pytest.raises(RuntimeError, match="outlived"), plan.active():
        pass
    assert keep.is_current


def test_threads_with_plans_of_their_own_do_not_mix(llama):
    wanted = {text: llama.logits(RowPlan.of_slots([llama.mix(text)] * 5)) for text in ("a", "b0.5 c0.5", "d", "")}
    wrong = []

    def work(text):
        plan = RowPlan.of_slots([llama.mix(text)] * 5)
        wrong.extend(text for _ in range(15) if not torch.allclose(llama.logits(plan), wanted[text], atol=1e-6))

    threads = [threading.Thread(target=work, args=(text,)) for text in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_share_computed_under_one_plan_is_not_used_under_another(llama):
    layer = llama.ours.model.layers[0].self_attn
    x = torch.randn(1, 1, 32)
    with torch.inference_mode():
        bare = [layer.q_proj(x), layer.k_proj(x), layer.v_proj(x)]
        layer.q_proj(x)
        with RowPlan.of_slots([llama.mix("f")]).active():
            inside = layer.k_proj(x)
        outside = layer.v_proj(x)
    assert not torch.equal(inside, bare[1])
    assert torch.equal(outside, bare[2])
