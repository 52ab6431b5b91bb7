import pytest
import torch

from expert_kit.adapters import LoraWeights, SlotTable, group_linears
from expert_kit.adapters.slot_table import rank_class

LINEARS = [("l.down_proj", 6, 10), ("l.gate_proj", 10, 6), ("l.k_proj", 4, 6), ("l.q_proj", 6, 6), ("l.up_proj", 10, 6), ("l.v_proj", 4, 6)]
GROUPS = group_linears(LINEARS)
SHAPES = {path: (rows, columns) for path, rows, columns in LINEARS}


def adapter(seed: int, rank: int = 3, modules=tuple(SHAPES)):
    random = torch.Generator().manual_seed(seed)
    return {
        path: LoraWeights(torch.randn(rank, SHAPES[path][1], generator=random), torch.randn(SHAPES[path][0], rank, generator=random))
        for path in modules
    }


@pytest.fixture
def table():
    return SlotTable(GROUPS, torch.device("cpu"), torch.float32, block_slots=3)


def deltas(slot):
    return {group.members[at].path: one.b @ one.a for group in GROUPS for at, one in slot.block.factors(slot.index, group).items()}


def same(slot, wanted):
    found = deltas(slot)
    return found.keys() == wanted.keys() and all(torch.allclose(found[path], one.b @ one.a, atol=1e-6) for path, one in wanted.items())


def test_layers_with_one_input_are_a_group():
    assert [[member.path for member in group.members] for group in GROUPS] == [
        ["l.down_proj"], ["l.gate_proj", "l.up_proj"], ["l.q_proj", "l.k_proj", "l.v_proj"],
    ]  # fmt: skip
    assert [member[1:] for member in GROUPS[2].members] == [(0, 6), (6, 10), (10, 14)]
    # Not by a part of a name, and not when an input differs.
    assert len(group_linears([("a.xq_proj", 4, 4), ("a.k_proj", 4, 4), ("b.q_proj", 4, 4), ("b.k_proj", 4, 5), ("q_proj", 2, 2)])) == 5


def test_a_slot_holds_what_was_put_also_after_others(table):
    first, second, part = adapter(1), adapter(2, rank=8), adapter(3, modules=("l.q_proj", "l.up_proj"))
    slots = [table.put(one) for one in (first, second, part)]
    assert all(same(slot, one) for slot, one in zip(slots, (first, second, part), strict=True))
    table.free(slots[0])
    again = table.put(part)
    assert again.index == 0
    assert same(again, part)
    # Nothing of the first is left where the new one has nothing.
    assert not again.block.rows[0, :].count_nonzero() > part["l.q_proj"].a.numel() * 20
    assert not slots[0].is_current
    assert again.is_current


def test_a_parked_adapter_comes_back_as_it_was(table):
    whole, part = adapter(1), adapter(3, modules=("l.v_proj", "l.down_proj"))
    for one in (whole, part):
        slot = table.put(one)
        parked = slot.block.park(slot)
        table.free(slot)
        table.put(adapter(9, rank=6))
        assert same(table.unpark(parked), one)
        assert parked.nbytes >= 4 * sum(a.numel() + b.numel() for a, b in ((x.a, x.b) for x in one.values()))


def test_ranks_cost_their_class(table):
    assert [rank_class(adapter(1, rank)) for rank in (1, 8, 9, 16, 33)] == [8, 8, 16, 16, 64]
    small, large = adapter(1, 8), adapter(1, 16)
    assert table.nbytes_of(large) == 2 * table.nbytes_of(small)
    assert table.put(small).block is not table.put(large).block


def test_blocks_are_made_when_needed_and_given_up_when_empty(table):
    slots = [table.put(adapter(seed)) for seed in range(4)]
    assert len({id(slot.block) for slot in slots}) == 2
    assert table.slots == 4
    table.free(slots[3])
    assert len(table._blocks) == 2
    table.trim()
    assert len(table._blocks) == 1
    for slot in slots[:3]:
        table.free(slot)
    other = table.put(adapter(9, rank=16))
    assert table._blocks == [other.block]
