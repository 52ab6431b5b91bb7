import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.inference.kv_cache import BLOCK, BatchCache, PrefixCache, Snapshot

CPU = torch.device("cpu")


def append(cache, first, end, numbers):
    """One pass of a model of two layers whose keys are numbers and whose values are their negatives."""
    positions, mask = cache.aim(first, end, numbers.shape[1], CPU)
    states = numbers[:, None, :, None].expand(-1, 2, -1, 3).float()
    for layer in range(2):
        keys, values = cache.update(states + layer, -states, layer)
        assert keys.shape == values.shape == (end - first, 2, mask.shape[-1], 3)
    return positions, mask, keys[:, 0, :, 0] - 1


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.one_of(st.tuples(st.just("add"), st.integers(1, 90)), st.tuples(st.just("remove"), st.integers(0, 9)), st.just(("step", 0))),
        max_size=14,
    )
)
def test_every_row_sees_its_own_tokens_whatever_joins_and_leaves(actions):
    cache, rows, fresh = BatchCache(), [], iter(range(1, 10_000))
    for action, size in actions:
        if action == "add":
            rows.append([next(fresh) for _ in range(size)])
            row = cache.add_row()
            append(cache, row, row + 1, torch.tensor([rows[-1]]))
        elif action == "remove" and rows:
            at = size % len(rows)
            cache.remove_row(at)
            rows[at] = rows[-1]
            rows.pop()
        elif action == "step" and rows:
            new = [next(fresh) for _ in rows]
            for row, token in zip(rows, new, strict=True):
                row.append(token)
            positions, mask, keys = append(cache, 0, len(rows), torch.tensor(new)[:, None])
            assert positions.tolist() == [[len(row) - 1] for row in rows]
            for at, row in enumerate(rows):
                assert keys[at][mask[at, 0, 0]].tolist() == row
        assert cache.lengths == [len(row) for row in rows]


def test_room_grows_by_blocks_and_an_empty_batch_holds_nothing():
    cache = BatchCache()
    row = cache.add_row()
    append(cache, row, 1, torch.ones(1, 3))
    one_block = cache.nbytes
    append(cache, row, 1, torch.ones(1, BLOCK - 3))
    assert cache.nbytes == one_block
    append(cache, row, 1, torch.ones(1, 1))
    assert cache.nbytes == 2 * one_block
    cache.remove_row(row)
    assert cache.nbytes == 0


def test_a_snapshot_fills_another_row():
    cache = BatchCache()
    append(cache, cache.add_row(), 1, torch.tensor([[4, 5, 6, 7]]))
    snapshot = cache.copy_row(0, [4, 5, 6, 7, 8])
    assert snapshot.tokens == (4, 5, 6, 7)
    row = cache.add_row()
    cache.fill_row(row, snapshot, 2)
    _, mask, keys = append(cache, row, row + 1, torch.tensor([[9]]))
    assert keys[0][mask[0, 0, 0]].tolist() == [4, 5, 9]
    _, mask, keys = append(cache, 0, 1, torch.tensor([[3]]))
    assert keys[0][mask[0, 0, 0]].tolist() == [4, 5, 6, 7, 3]


def snapshot_of(*tokens):
    return Snapshot(tokens, ((torch.zeros(len(tokens), 1, 1), torch.zeros(len(tokens), 1, 1)),))


def test_the_longest_shared_beginning_of_the_same_mix_is_found():
    cache = PrefixCache(10_000)
    cache.put("a", snapshot_of(1, 2, 3))
    cache.put("a", snapshot_of(1, 2, 4, 5))
    cache.put("b", snapshot_of(1, 2, 4, 5, 6))
    assert cache.find("a", [1, 2, 4, 5, 9])[1] == 4
    assert cache.find("a", [1, 2, 3])[1] == 2  # one token is left to compute
    assert cache.find("a", [7, 2, 3]) is None
    assert cache.find("c", [1, 2, 3]) is None
    assert cache.find("a", [1]) is None


def test_a_longer_snapshot_replaces_its_beginnings_and_the_budget_holds():
    cache = PrefixCache(budget=snapshot_of(1, 2, 3, 4).nbytes)
    cache.put("a", snapshot_of(1, 2))
    cache.put("a", snapshot_of(1, 2, 3))
    assert cache.nbytes == snapshot_of(1, 2, 3).nbytes
    cache.put("b", snapshot_of(9, 9))
    assert cache.find("a", [1, 2, 3, 4]) is None
    assert cache.find("b", [9, 9, 9])[1] == 2
    cache.put("b", snapshot_of(*range(5)))
    assert cache.find("b", [9, 9, 9])[1] == 2
    cache.clear()
    assert cache.nbytes == 0


def test_a_budget_of_nothing_keeps_nothing():
    cache = PrefixCache(0)
    cache.put("a", snapshot_of(1, 2))
    assert cache.nbytes == 0


@pytest.mark.parametrize("length", [0, 3])
def test_the_length_is_that_before_the_pass(length):
    cache = BatchCache()
    cache.add_row()
    if length:
        append(cache, 0, 1, torch.ones(1, length))
    cache.aim(0, 1, 2, CPU)
    assert cache.get_seq_length() == length
