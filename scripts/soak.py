"""Many threads attach, generate, release and cancel at random; every answer is compared with one made alone, and memory must stay flat.

Run: python scripts/soak.py [--minutes 30] [--seed 0] [--json]. It makes a tiny random model and adapters of its own; there is
room for half of the adapters, so that they come and go all the time. The exit code is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ADAPTERS, THREADS, MIXES = 8, 4, 24
PROMPTS = ("a", "second prompt", "third, and longer than the others by far: " + "x" * 40, "what is it?")
LENGTHS = (2, 5, 11)
MEMORY_GROWTH = 24 << 20
"""Bytes that this process may grow by behind the first quarter."""


def main() -> int:
    """Run, print, and say by the exit code whether all was right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        found = Soak(Path(folder), options.seed).run(options.minutes * 60)
    wrong = found["mismatches"] or found["errors"] or found["references_left"] or found["grown_bytes"] > MEMORY_GROWTH
    found["passed"] = not wrong
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items()))
    return int(bool(wrong))


class Soak:
    """One engine under load, and a table of what it must answer."""

    def __init__(self, folder: Path, seed: int) -> None:
        from expert_kit.adapters import load_base
        from expert_kit.base_models.fingerprint import fingerprint_folder
        from tests.support.tiny_model import write_adapter, write_tiny_model

        model = write_tiny_model(folder / "tiny")
        record = fingerprint_folder(model, "tiny")
        self.adapters = [write_adapter(folder / f"adapter-{at}", model, seed=at, r=(2, 4, 8, 12)[at % 4]) for at in range(ADAPTERS)]
        self._load = lambda: load_base(model, record, device="cpu", dtype="float32")
        self.seed, self.counts, self.problems = seed, Counter[str](), list[str]()
        self.mixes = self._random_mixes(random.Random(seed))

    def run(self, seconds: float) -> dict[str, Any]:
        """Facts of a run of so long."""
        from expert_kit.inference import BatchLimits, ExpertEngine

        wanted = self._reference()
        engine = ExpertEngine(self._load(), limits=BatchLimits(rows=6, prefix_bytes=1 << 20))
        engine.release(engine.attach_experts(self.adapters))
        resident = engine._source.resident
        engine.close()
        resident.budget = self._bytes // 2
        resident.parked_budget = self._bytes // 4
        started = time.monotonic()
        end = started + seconds
        threads = [threading.Thread(target=self._work, args=(engine, wanted, self.seed + at, end)) for at in range(THREADS)]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 4)
        early = resident_bytes()
        for thread in threads:
            thread.join()
        late = resident_bytes()
        return {
            "seconds": round(time.monotonic() - started),
            **dict(sorted(self.counts.items())),
            "mismatches": self.counts["mismatch"],
            "errors": self.problems[:5],
            "evictions": resident.stats.evictions,
            "loads": resident.stats.loads,
            "unparked": resident.stats.unparked,
            "references_left": resident.references,
            "grown_bytes": late - early,
        }

    def _random_mixes(self, source: random.Random) -> list[dict[Path, float] | None]:
        mixes: list[dict[Path, float] | None] = [None]
        while len(mixes) < MIXES:
            chosen = source.sample(self.adapters, source.choice((1, 1, 2, 3)))
            mixes.append({adapter: source.choice((1.0, 0.5, -0.25, 0.8)) for adapter in chosen})
        return mixes

    def _reference(self) -> dict[tuple[int, str, int], str]:
        """Answers of an engine that does one thing at a time and keeps nothing."""
        from expert_kit.inference import BatchLimits, ExpertEngine

        engine = ExpertEngine(self._load(), limits=BatchLimits(rows=1, prefix_bytes=0))
        made = {}
        for number, mix in enumerate(self.mixes):
            for prompt in PROMPTS:
                for length in LENGTHS:
                    made[number, prompt, length] = engine.generate(prompt, mix, max_new_tokens=length).text
        self._bytes = engine._source.resident.nbytes
        return made

    def _work(self, engine: Any, wanted: dict[tuple[int, str, int], str], seed: int, end: float) -> None:
        source = random.Random(seed)
        actions = (self._generate, self._generate, self._batch, self._cancel, self._attach)
        while time.monotonic() < end and len(self.problems) < 20:
            action = source.choice(actions)
            try:
                action(engine, wanted, source)
                self.counts[action.__name__.strip("_")] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what this script looks for
                if getattr(error, "code", "") == "adapters_over_budget":
                    # All slots were in use by others: a right answer.
                    self.counts["full"] += 1
                else:
                    self.problems.append(f"{action.__name__}: {type(error).__name__}: {error}")
            if sum(self.counts.values()) % 50 == 0:
                gc.collect()

    def _pick(self, source: random.Random) -> tuple[int, str, int]:
        return source.randrange(MIXES), source.choice(PROMPTS), source.choice(LENGTHS)

    def _compare(self, key: tuple[int, str, int], wanted: dict[tuple[int, str, int], str], text: str) -> None:
        if text != wanted[key]:
            self.counts["mismatch"] += 1
            self.problems.append(f"{key}: {text!r}, alone {wanted[key]!r}")

    def _generate(self, engine: Any, wanted: dict[tuple[int, str, int], str], source: random.Random) -> None:
        key = number, prompt, length = self._pick(source)
        self._compare(key, wanted, engine.generate(prompt, self.mixes[number], max_new_tokens=length).text)

    def _batch(self, engine: Any, wanted: dict[tuple[int, str, int], str], source: random.Random) -> None:
        keys = [(source.randrange(MIXES), source.choice(PROMPTS), LENGTHS[1]) for _ in range(3)]
        mixes = [self.mixes[number] for number, _, _ in keys]
        answers = engine.generate([prompt for _, prompt, _ in keys], mixes, max_new_tokens=LENGTHS[1])
        for key, answer in zip(keys, answers, strict=True):
            self._compare(key, wanted, answer.text)

    def _cancel(self, engine: Any, wanted: dict[tuple[int, str, int], str], source: random.Random) -> None:
        number, prompt, _ = self._pick(source)
        stream = engine.stream(prompt, self.mixes[number], max_new_tokens=60)
        for _ in range(source.randrange(3)):
            next(stream)
        stream.close()

    def _attach(self, engine: Any, wanted: dict[tuple[int, str, int], str], source: random.Random) -> None:
        handles = engine.attach_experts(source.sample(self.adapters, 2))
        try:
            self._generate(engine, wanted, source)
        finally:
            engine.release(handles)


def resident_bytes() -> int:
    """Memory of this process now (Linux)."""
    gc.collect()
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.exit(main())
