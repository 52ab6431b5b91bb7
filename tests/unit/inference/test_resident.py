import threading

import pytest
import torch

from expert_kit.adapters import LoraWeights
from expert_kit.errors import CapacityError, UsageError
from expert_kit.inference.resident import ResidentAdapters
from expert_kit.names import Digest


def digest(name: str) -> Digest:
    return Digest(f"sha256:{name}")


def adapter(floats: int = 50):
    return {"m": LoraWeights(torch.zeros(1, floats), torch.zeros(floats, 1))}


SIZE = 400  # bytes of one


def test_the_longest_unused_is_given_up_first_and_what_is_in_use_never():
    cache = ResidentAdapters(2 * SIZE)
    for name in "ab":
        cache.acquire(digest(name), adapter)
    cache.release(digest("b"))
    cache.acquire(digest("c"), adapter)
    assert cache.digests == (digest("a"), digest("c"))
    with pytest.raises(CapacityError):
        cache.acquire(digest("d"), adapter)
    cache.release(digest("a"))
    cache.acquire(digest("d"), adapter)
    assert cache.digests == (digest("c"), digest("d"))
    assert cache.nbytes == 2 * SIZE
    assert (cache.stats.loads, cache.stats.evictions) == (4, 2)


def test_a_failed_load_leaves_nothing():
    cache = ResidentAdapters(SIZE)

    def fail():
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        cache.acquire(digest("a"), fail)
    assert cache.digests == ()
    with pytest.raises(UsageError, match="more often"):
        cache.release(digest("a"))


def test_many_threads_share_one_load():
    cache, loads, barrier = ResidentAdapters(SIZE), [], threading.Barrier(8)

    def load():
        loads.append(1)
        return adapter()

    def work():
        barrier.wait()
        cache.acquire(digest("a"), load)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    for _ in range(8):
        cache.release(digest("a"))
    with pytest.raises(UsageError, match="more often"):
        cache.release(digest("a"))


def test_clearing_keeps_what_is_in_use():
    cache = ResidentAdapters(2 * SIZE)
    for name in "ab":
        cache.acquire(digest(name), adapter)
    cache.release(digest("b"))
    cache.clear()
    assert cache.digests == (digest("a"),)
    cache.release(digest("a"))
    cache.clear()
    assert cache.nbytes == 0
