"""Inputs that the fuzzer found, replayed: what broke a promise once, and the smallest input of each kind of answer.

The promises themselves are checked here too, on sound inputs and on a few damaged ones.
"""

from __future__ import annotations

import random
import runpy
import time
from pathlib import Path

import pytest

from tests.hostile.mutations import flip_bits
from tests.hostile.targets import REGRESSIONS, TARGETS
from tests.hostile.watch import seconds_allowed

FILES = sorted(REGRESSIONS.glob("*.bin"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_found_input_breaks_no_promise(path: Path) -> None:
    started = time.process_time()
    TARGETS[path.stem.split("-")[0]].check(path.read_bytes())
    assert time.process_time() - started < seconds_allowed()


@pytest.mark.parametrize("name", TARGETS)
def test_the_promises_hold_for_sound_inputs_and_damaged_ones(name: str) -> None:
    target, source = TARGETS[name], random.Random(name)
    for seed in target.seeds():
        target.check(seed)
        for _ in range(20):
            target.check(flip_bits(seed, source, range(len(seed)), 1 + source.randrange(3)))


def test_the_fuzzer_knows_every_target_and_how_to_change_its_inputs() -> None:
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "fuzz_archive.py"))
    assert script["NAMES"] == tuple(TARGETS)
    for name, target in TARGETS.items():
        changed = {script["mutate"](name, target.seeds()[0], random.Random(seed)) for seed in range(20)}
        # A grammar has no form that is worth knowing.
        assert len(changed - {None}) >= (0 if name == "grammar" else 5)
