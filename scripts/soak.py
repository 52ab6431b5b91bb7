"""Many threads attach, generate, merge and cancel at random; every answer is compared with one made alone, and memory must stay flat.

Run: python scripts/soak.py [--minutes 30] [--seed 0] [--json]. It makes a tiny random model and adapters of all kinds; there is
room for two thirds of them, so that they come and go all the time. The exit code is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LORAS, THREADS, MIXES = 6, 4, 28
PROMPTS = ("a", "second prompt", "third, and longer than the others by far: " + "x" * 40, "what is it?")
LENGTHS = (2, 5, 11)
LONG = 40
"""Tokens of an answer that is broken off."""
SEEDS = (1, 2, 3)
"""Neighbours, because row n of a batch draws from its seed + n."""
MEMORY_GROWTH = 16 << 20
"""Bytes by which the last quarter may lie above the second."""
REFUSALS = {
    "adapters_over_budget": "full",
    "batch_running": "merge_refused",
    "base_merged": "refused_while_merged",
    "weights_changed": "refused_after_merge",
}
"""Right answers to what other threads do: all slots in use, or experts in the base's own weights for a moment."""
PATIENCE = 120
"""Seconds that the threads have to come to an end; if they do not, they wait for each other."""


@dataclass(frozen=True)
class Key:
    """What decides an answer."""

    mix: int
    prompt: str
    length: int
    seed: int | None = None
    """``None`` is greedy."""

    @property
    def options(self) -> dict[str, Any]:
        """Sampling options of it."""
        drawn = {} if self.seed is None else {"temperature": 0.8, "top_p": 0.95, "seed": self.seed}
        return {"max_new_tokens": self.length, **drawn}


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
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items()), flush=True)
    if found["threads_left"]:
        # They would keep the program from ending.
        faulthandler.dump_traceback()
        os._exit(1)
    return int(not found["passed"])


class Soak:
    """One engine under load, and a table of what it must answer."""

    def __init__(self, folder: Path, seed: int) -> None:
        from expert_kit.adapters import load_base
        from expert_kit.base_models.fingerprint import fingerprint_folder
        from tests.support.tiny_model import write_tiny_model

        model = write_tiny_model(folder / "tiny")
        record = fingerprint_folder(model, "tiny")
        self.sums, self.others = write_adapters(folder, model)
        self.adapters = [*self.sums, *self.others]
        self._load = lambda: load_base(model, record, device="cpu", dtype="float32")
        self.seed, self.counts, self.problems = seed, Counter[str](), list[str]()
        self.mixes = self._random_mixes(random.Random(seed))

    def run(self, seconds: float) -> dict[str, Any]:
        """Facts of a run of so long."""
        from expert_kit.inference import BatchLimits, ExpertEngine

        self.wanted = self._reference()
        self.engine = engine = ExpertEngine(self._load(), limits=BatchLimits(rows=6, prefix_bytes=1 << 20))
        resident = engine._source.resident
        resident.budget, resident.parked_budget = self._bytes * 2 // 3, self._bytes // 4
        started = time.monotonic()
        threads = [threading.Thread(target=self._work, args=(self.seed + at, started + seconds), daemon=True) for at in range(THREADS)]
        for thread in threads:
            thread.start()
        memory = watched(started, seconds)
        for thread in threads:
            thread.join(PATIENCE)
        quarters = [statistics.median(part) for part in memory]
        found = {
            "seconds": round(time.monotonic() - started),
            **dict(sorted(self.counts.items())),
            "mismatches": self.counts["mismatch"],
            "errors": self.problems[:5],
            "evictions": resident.stats.evictions,
            "loads": resident.stats.loads,
            "unparked": resident.stats.unparked,
            "threads_left": sum(thread.is_alive() for thread in threads),
            "references_left": resident.references,
            "memory_mb_by_quarter": [round(one / (1 << 20), 1) for one in quarters],
            "grown_bytes": round(quarters[-1] - quarters[1]),
        }
        found |= {} if found["threads_left"] else self._left()
        bad = ("mismatches", "errors", "threads_left", "references_left", "rows_left", "bytes_left")
        found["passed"] = not any(found.get(name) for name in bad) and found["grown_bytes"] <= MEMORY_GROWTH
        return found

    def _left(self) -> dict[str, int]:
        """What an engine still has that nobody uses and that was told to give up everything."""
        self.engine.close()
        scheduler, resident = self.engine._scheduler, self.engine._source.resident
        rows = len(scheduler._running) + len(scheduler._waiting)
        return {"rows_left": rows, "bytes_left": resident.nbytes + resident.parked_nbytes + scheduler.prefixes.nbytes}

    def _random_mixes(self, source: random.Random) -> list[dict[Path, float] | None]:
        mixes: list[dict[Path, float] | None] = [None, *({other: 1.0} for other in self.others)]
        while len(mixes) < MIXES:
            chosen = source.sample(self.sums, source.choice((1, 1, 2, 3)))
            mixes.append({adapter: source.choice((1.0, 0.5, -0.25, 0.8)) for adapter in chosen})
        return mixes

    def _reference(self) -> dict[Key, str]:
        """Answers of an engine that does one thing at a time and keeps nothing."""
        from expert_kit.inference import BatchLimits, ExpertEngine

        engine = ExpertEngine(self._load(), limits=BatchLimits(rows=1, prefix_bytes=0))
        asked = [(length, None) for length in (*LENGTHS, LONG)] + [(LENGTHS[-1], seed) for seed in SEEDS]
        keys = [Key(mix, prompt, *how) for mix in range(MIXES) for prompt in PROMPTS for how in asked]
        made = {key: engine.generate(key.prompt, self.mixes[key.mix], **key.options).text for key in keys}
        self._bytes = engine._source.resident.nbytes
        return made

    def _work(self, seed: int, end: float) -> None:
        source = random.Random(seed)
        actions = (
            self._generate, self._generate, self._batch, self._stop, self._cancel, self._attach, self._prefetch, self._pin, self._merge
        )  # fmt: skip
        while time.monotonic() < end and len(self.problems) < 20:
            action = source.choice(actions)
            try:
                action(source)
                self.counts[action.__name__.strip("_")] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what this script looks for
                if (counted := REFUSALS.get(getattr(error, "code", ""))) is not None:
                    self.counts[counted] += 1
                else:
                    self.problems.append(f"{action.__name__}: {type(error).__name__}: {error}")

    def _pick(self, source: random.Random, first: int = 0) -> Key:
        mix, prompt = source.randrange(first, MIXES), source.choice(PROMPTS)
        return source.choice((Key(mix, prompt, source.choice(LENGTHS)), Key(mix, prompt, LENGTHS[-1], source.choice(SEEDS))))

    def _compare(self, what: object, text: str, wanted: str) -> None:
        if text != wanted:
            self.counts["mismatch"] += 1
            self.problems.append(f"{what}: {text!r}, alone {wanted!r}")

    def _check(self, key: Key, answer: Any) -> None:
        """While experts are merged the base is they, which the answer has to say."""
        if self.mixes[key.mix] is None and answer.experts:
            self.counts["answered_by_merged"] += 1
        else:
            self._compare(key, answer.text, self.wanted[key])

    def _generate(self, source: random.Random) -> None:
        key = self._pick(source)
        self._check(key, self.engine.generate(key.prompt, self.mixes[key.mix], **key.options))

    def _batch(self, source: random.Random) -> None:
        seeds = source.choice(((None,) * len(SEEDS), SEEDS))
        keys = [Key(source.randrange(MIXES), source.choice(PROMPTS), LENGTHS[-1], seed) for seed in seeds]
        answers = self.engine.generate([key.prompt for key in keys], [self.mixes[key.mix] for key in keys], **keys[0].options)
        for key, answer in zip(keys, answers, strict=True):
            self._check(key, answer)

    def _stop(self, source: random.Random) -> None:
        """Stop at a text of the answer itself."""
        key = Key(source.randrange(1, MIXES), source.choice(PROMPTS), LENGTHS[-1])
        whole = self.wanted[key]
        stop = whole[len(whole) // 2 :][:2]
        if stop:
            text = self.engine.generate(key.prompt, self.mixes[key.mix], stop=(stop,), **key.options).text
            self._compare((key, stop), text, whole[: whole.index(stop)])

    def _cancel(self, source: random.Random) -> None:
        """Leave a stream after some pieces; what came is the beginning of the answer."""
        key = Key(source.randrange(1, MIXES), source.choice(PROMPTS), LONG)
        stream = self.engine.stream(key.prompt, self.mixes[key.mix], **key.options)
        came = "".join(event.text for _, event in zip(range(source.randrange(4)), stream, strict=False))
        stream.close()
        self._compare(("cancelled", key), came, self.wanted[key][: len(came)])

    def _attach(self, source: random.Random) -> None:
        handles = self.engine.attach_experts(source.sample(self.adapters, 2))
        try:
            self._generate(source)
        finally:
            self.engine.release(handles)

    def _pin(self, source: random.Random) -> None:
        handles = self.engine.attach_experts(source.sample(self.adapters, 1), pin=True)
        self.engine.release(handles)
        try:
            self._generate(source)
        finally:
            self.engine.unpin(handles)

    def _merge(self, source: random.Random) -> None:
        """Put an expert into the base's own weights for a moment; what others are answered meanwhile must not be its."""
        with self.engine.merged(source.choice(self.sums)):
            time.sleep(source.random() / 100)

    def _prefetch(self, source: random.Random) -> None:
        """Work on while an expert is being loaded; then wait, so that its error is seen."""
        future = self.engine.prefetch(source.sample(self.adapters, 1))
        self._generate(source)
        future.result(PATIENCE)


def write_adapters(folder: Path, model: Path) -> tuple[list[Path], list[Path]]:
    """What adds up, LoRA of several ranks and DoRA; and one each of IA3, prompt tuning, prefix tuning and whole layers."""
    from tests.support.kinds import write_dora, write_ia3, write_prefix, write_prompt, write_whole
    from tests.support.tiny_model import write_adapter

    loras = [write_adapter(folder / f"lora-{at}", model, seed=at, r=(2, 4, 8, 12)[at % 4]) for at in range(LORAS)]
    doras = [write_dora(folder / f"dora-{at}", model, seed=at) for at in range(2)]
    return [*loras, *doras], [
        write_ia3(folder / "ia3", model),
        write_prompt(folder / "prompt", model),
        write_prefix(folder / "prefix", model),
        write_whole(folder / "whole", model, ["embed_tokens", "lm_head"]),
    ]


def watched(started: float, seconds: float) -> list[list[int]]:
    """Memory of this process, twenty times a quarter of the run, quarter by quarter; returns when the time is over."""
    found: list[list[int]] = [[], [], [], []]
    for at in range(80):
        time.sleep(max(0.0, started + seconds * (at + 1) / 80 - time.monotonic()))
        if at % 5 == 4:
            gc.collect()
        found[at // 20].append(resident_bytes())
    return found


def resident_bytes() -> int:
    """Memory of this process now (Linux)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.exit(main())
