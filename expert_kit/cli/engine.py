"""Opens the engine of a command, and tells who gave an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from expert_kit.cli.output import note
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.inference import ExpertEngine, GenerationResult
    from expert_kit.routing import RouteDecision


def open_engine(base: str, *, device: str, dtype: str, quantization: str, policy: str = "none") -> ExpertEngine:
    """The engine over the local registry; ``policy`` as in ``RoutingConfig``."""
    from expert_kit.cli.quiet import quiet_libraries

    quiet_libraries()
    from expert_kit.inference import ExpertEngine
    from expert_kit.routing import RoutingConfig

    return ExpertEngine.from_pretrained(base, device=device, dtype=dtype, quantization=quantization, routing=RoutingConfig(policy=policy))


def note_answer(result: GenerationResult) -> None:
    """Who answered, why, and what was unusual, on stderr."""
    note(f"[{'; '.join(_about(result))}]")
    for warning in result.warnings:
        note(f"warning: {printable(warning)}")


def abstention(route: RouteDecision) -> str:
    """Why no expert answers, in a few words."""
    if route.reason == "empty":
        return "the prompt has no text" if route.scores else "none is installed"
    return f"coverage {route.coverage:.3f}, threshold {route.threshold:g}"


def _about(result: GenerationResult) -> Iterator[str]:
    if result.experts:
        used = [(one.name + (f"@{one.version}" if one.version else ""), one.weight) for one in result.experts]
        yield " + ".join(printable(name) if weight == 1 else f"{weight:.2f} {printable(name)}" for name, weight in used)
    else:
        yield result.base + (f", no expert fits: {abstention(result.route)}" if result.route else "")
    if result.grammar:
        yield "held to a grammar"
    yield f"{result.usage.completion_tokens} tokens"
    if result.finish_reason == "length":
        yield "cut off, see --max-new-tokens"
