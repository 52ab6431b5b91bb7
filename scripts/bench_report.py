"""What all benchmarks share: the machine, one row per case, a table or JSON."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "transformers", "peft", "sentence-transformers", "safetensors", "expert-kit")


@dataclass(frozen=True)
class Case:
    """One measured case; ``ratio`` is how many times better ours is than the peer, ``met`` compares with the target."""

    case: str
    unit: str
    ours: float
    peer: float | None = None
    peer_name: str | None = None
    ratio: float | None = None
    target: str | None = None
    met: bool | None = None


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser with ``--json`` and ``--runs``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each case, after one that is not")
    return parser


def median_ms(call: Callable[[], Any], runs: int) -> float:
    """Median milliseconds of a call, after one that is not counted."""
    call()
    return statistics.median(timed_ms(call) for _ in range(runs))


def timed_ms(call: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def alternate(runs: int, *calls: Callable[[], float]) -> list[float]:
    """Medians of calls that return a measure, taken in turns after one turn that is not counted."""
    turns = [[call() for call in calls] for _ in range(runs + 1)][1:]
    return [statistics.median(column) for column in zip(*turns, strict=True)]


class Machine:
    """Describes the machine; the load is read when it is made and when it is printed."""

    def __init__(self) -> None:
        self.load_before = os.getloadavg()[0]

    def to_json(self) -> dict[str, Any]:
        """The ``machine`` object."""
        return {
            "machine": {
                "cores": os.cpu_count(),
                "cpu": cpu_name(),
                "python": platform.python_version(),
                "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
                "load_before": round(self.load_before, 2),
                "load_after": round(os.getloadavg()[0], 2),
            }
        }


def cpu_name() -> str:
    """Model name of the processor."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    )
    return names[0] if names else platform.processor() or platform.machine()


def show(cases: list[Case], machine: Machine, *, as_json: bool) -> None:
    """Print the cases, ratios first, and the machine."""
    described = machine.to_json()
    if as_json:
        print(json.dumps([*map(asdict, cases), described], indent=2))
        return
    print(f"| {'case':<24} | {'ratio':>6} | {'ours':>10} | {'peer':>10} | {'unit':<8} | {'peer':<24} | {'target':<14} | met |")
    print(f"|{'-' * 26}|{'-' * 8}|{'-' * 12}|{'-' * 12}|{'-' * 10}|{'-' * 26}|{'-' * 16}|-----|")
    for row in cases:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        peer = f"{row.peer:.1f}" if row.peer is not None else ""
        met = "" if row.met is None else "yes" if row.met else "no"
        print(
            f"| {row.case:<24} | {ratio:>6} | {row.ours:>10.1f} | {peer:>10} | {row.unit:<8} | {row.peer_name or '':<24} "
            f"| {row.target or '':<14} | {met:<3} |"
        )
    facts = described["machine"]
    print(f"\n{facts['cpu']}, {facts['cores']} cores, load {facts['load_before']} before and {facts['load_after']} after")
