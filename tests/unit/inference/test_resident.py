import threading

import pytest
import torch

from expert_kit.adapters import LoraWeights, SlotTable, group_linears
from expert_kit.errors import CapacityError, UsageError
from expert_kit.inference.resident import ResidentAdapters
from expert_kit.names import Digest

WIDTH = 50
SIZE = 8 * (WIDTH + WIDTH) * 4  # bytes of one: rank 8, float32


def digest(name: str) -> Digest:
    return Digest(f"sha256:{name}")


def adapter(value: float = 1.0):
    return {"m": LoraWeights(torch.full((8, WIDTH), value), torch.full((WIDTH, 8), value))}


def cache(adapters: int, parked: int = 0) -> ResidentAdapters:
    table = SlotTable(group_linears([("m", WIDTH, WIDTH)]), torch.device("cpu"), torch.float32, block_slots=4)
    return ResidentAdapters(table, adapters * SIZE, parked * SIZE)


def value_in(slot) -> float:
    group = group_linears([("m", WIDTH, WIDTH)])[0]
    return float(slot.block.factors(slot.index, group)[0].a[0, 0])


def visit(held: ResidentAdapters, name: Digest, load) -> None:
    held.acquire(name, load)
    held.release(name)


def test_the_longest_unused_is_given_up_first_and_what_is_in_use_never():
    held = cache(2)
    for name in "ab":
        held.acquire(digest(name), adapter)
    held.release(digest("b"))
    held.acquire(digest("c"), adapter)
    assert held.digests == (digest("a"), digest("c"))
    with pytest.raises(CapacityError, match="bytes hold experts in use") as caught:
        held.acquire(digest("d"), adapter)
    assert caught.value.code == "adapters_over_budget"
    held.release(digest("a"))
    held.acquire(digest("d"), adapter)
    assert held.digests == (digest("c"), digest("d"))
    assert held.nbytes == 2 * SIZE
    assert (held.stats.loads, held.stats.evictions) == (4, 2)


def test_one_that_can_never_fit_evicts_nobody():
    held = cache(1)
    visit(held, digest("a"), adapter)
    with pytest.raises(CapacityError):
        held.acquire(digest("big"), lambda: {"m": LoraWeights(torch.ones(9, WIDTH), torch.ones(WIDTH, 9))})
    assert held.digests == (digest("a"),)


def test_a_failed_load_leaves_nothing():
    held = cache(1)

    def fail():
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        held.acquire(digest("a"), fail)
    assert held.digests == ()
    with pytest.raises(UsageError, match="more often"):
        held.release(digest("a"))
    held.acquire(digest("a"), adapter)


def test_many_threads_share_one_load():
    held, loads, barrier = cache(1), [], threading.Barrier(8)

    def load():
        loads.append(1)
        return adapter()

    def work():
        barrier.wait()
        held.acquire(digest("a"), load)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    for _ in range(8):
        held.release(digest("a"))
    with pytest.raises(UsageError, match="more often"):
        held.release(digest("a"))


def test_a_load_does_not_hold_up_adapters_that_are_here():
    held, started, go_on = cache(2), threading.Event(), threading.Event()
    held.acquire(digest("here"), adapter)

    def slow():
        started.set()
        assert go_on.wait(10)
        return adapter()

    thread = threading.Thread(target=held.acquire, args=(digest("slow"), slow))
    thread.start()
    assert started.wait(10)
    held.acquire(digest("here"), adapter)
    assert held.digests == (digest("here"),)
    go_on.set()
    thread.join()
    assert held.digests == (digest("here"), digest("slow"))


def test_a_pinned_adapter_stays_without_references():
    held = cache(1)
    visit(held, digest("a"), adapter)
    held.pin(digest("a"))
    with pytest.raises(CapacityError):
        held.acquire(digest("b"), adapter)
    held.pin(digest("a"), pinned=False)
    held.acquire(digest("b"), adapter)
    assert held.digests == (digest("b"),)


def test_a_pin_is_its_owners():
    held = cache(1)
    visit(held, digest("a"), adapter)
    for pinned in (True, True, False):
        held.pin(digest("a"), pinned)
    with pytest.raises(CapacityError):
        held.acquire(digest("b"), adapter)
    for _ in range(2):
        held.pin(digest("a"), pinned=False)
    held.pin(digest("a"))
    with pytest.raises(CapacityError):
        held.acquire(digest("b"), adapter)
    held.pin(digest("a"), pinned=False)
    visit(held, digest("b"), adapter)
    assert held.digests == (digest("b"),)


def test_what_lost_its_slot_comes_back_with_one_copy_and_unchanged():
    held = cache(1, parked=2)
    for at, name in enumerate("abc"):
        visit(held, digest(name), lambda at=at: adapter(at + 1.0))
    assert (held.digests, held.parked_nbytes) == ((digest("c"),), 2 * SIZE)
    slot = held.acquire(digest("a"), lambda: pytest.fail("loaded again"))
    assert value_in(slot) == 1.0
    assert (held.stats.loads, held.stats.unparked) == (3, 1)
    held.release(digest("a"))
    # Twice more to and fro: the scaling is in the numbers once and for all.
    for name, value in [("b", 2.0), ("c", 3.0), ("a", 1.0), ("b", 2.0)]:
        assert value_in(held.acquire(digest(name), lambda: pytest.fail("loaded again"))) == value
        held.release(digest(name))


def test_a_working_set_of_twice_the_slots_loads_each_once():
    held = cache(4, parked=4)
    for _ in range(5):
        for name in "abcdefgh":
            visit(held, digest(name), adapter)
    assert held.stats.loads == 8


def test_clearing_keeps_what_is_in_use():
    held = cache(2, parked=2)
    for name in "abc":
        held.acquire(digest(name), adapter)
        if name != "a":
            held.release(digest(name))
    held.clear()
    assert (held.digests, held.parked_nbytes) == ((digest("a"),), 0)
    held.release(digest("a"))
    held.clear()
    assert held.nbytes == 0
