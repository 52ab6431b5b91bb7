"""Answer five prompts with the bare base and with routing, and check the answers. Part of scripts/quickstart."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from expert_kit.evaluation import task
from expert_kit.inference import ExpertEngine, GenerationResult
from expert_kit.names import printable

PROMPTS = Path(__file__).with_name("quickstart_prompts.jsonl")


def main() -> int:
    """Print the comparison; exit status 1 unless routing is right on all domain prompts, better than the base, and silent elsewhere."""
    rows = [json.loads(line) for line in PROMPTS.read_text(encoding="utf-8").splitlines()]
    prompts = [row["prompt"] for row in rows]
    with ExpertEngine.from_pretrained("smollm2-135m") as engine:
        bare = [engine.generate(prompt, None, max_new_tokens=64) for prompt in prompts]
        routed = [engine.generate(prompt, "auto", max_new_tokens=64) for prompt in prompts]
    inside = [at for at, row in enumerate(rows) if "task" in row]
    outside = [at for at, row in enumerate(rows) if "task" not in row]
    for at, row in enumerate(rows):
        show(row, bare[at], routed[at])
    right = {name: sum(is_right(rows[at], answers[at]) for at in inside) for name, answers in (("routed", routed), ("base", bare))}
    left_alone = sum(routed[at].abstained for at in outside)
    print(
        f"\nSummary: routed experts {right['routed']} of {len(inside)} right, bare base {right['base']} of {len(inside)}; "
        f"{left_alone} of {len(outside)} other prompts left to the base."
    )
    better = right["routed"] == len(inside) and right["base"] < right["routed"]
    return 0 if better and left_alone == len(outside) else 1


def is_right(row: dict[str, Any], answer: GenerationResult) -> bool:
    """The check's verdict."""
    return task(row["task"])(answer.text, row).ok


def show(row: dict[str, Any], bare: GenerationResult, routed: GenerationResult) -> None:
    """One prompt, both answers side by side, who answered, and the verdicts."""
    print(f"\nprompt  {shorten(row['prompt'])}")
    who = ", ".join(f"{one.name}@{one.version} ({one.weight:.2f})" for one in routed.experts) or "nobody: the base answers alone"
    print(f"routed to  {who}")
    for name, answer in (("base", bare), ("routed", routed)):
        print(f"  {name:<7} {shorten(answer.text)}  [{verdict(row, answer)}]")
    if "task" in row:
        print(f"  correct {shorten(row['completion'])}")


def verdict(row: dict[str, Any], answer: GenerationResult) -> str:
    """The check's verdict; without a check, whether an expert took part where none should."""
    if "task" in row:
        return "right" if is_right(row, answer) else "wrong"
    return "an expert took part" if answer.experts else "no expert, as it should be"


def shorten(text: str) -> str:
    """One line of at most 150 characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= 150 else line[:147] + "..."


if __name__ == "__main__":
    sys.exit(main())
