"""A decision in words, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from expert_kit.names import printable
from expert_kit.routing.decision import RouteDecision
from expert_kit.routing.embedding import Neighbour

SHOWN: int = 5


def explain(decision: RouteDecision) -> str:
    """The decision for a person, several lines; package text in it is escaped."""
    return "\n".join(
        [
            _headline(decision),
            *_ranking(decision),
            *_what_would_change_it(decision),
            *_opinion(decision),
            *_routers(decision),
            *_signals(decision),
            *(line for one in decision.evidence for line in _examples(f"nearest examples of {printable(one.name)}", one.nearest)),
            *_examples("nearest generic prompts", decision.background_nearest),
            *(f"note: {printable(note)}" for note in decision.notes),
        ]
    )


def _headline(decision: RouteDecision) -> str:
    names = ", ".join(printable(one.name) for one in decision.experts)
    if decision.reason == "empty":
        return "no expert: " + ("the prompt has no text" if decision.scores else "none is installed")
    if decision.reason == "rule":
        return f"{names or 'the base model'}: decided by {'your feedback' if decision.rules and not decision.rules[0].line else 'a rule'}"
    verdict = f"coverage {decision.coverage:.3f} ({_coverage(decision)}), threshold {decision.threshold:.3g}"
    if decision.abstained:
        return f"no expert fits (the base model answers alone): {verdict}"
    close = " (more experts are as close)" if decision.reason == "ambiguous" else ""
    return f"{names}{close}: {verdict}"


def _coverage(decision: RouteDecision) -> str:
    if decision.calibrated:
        return ", ".join(f"{name} {value:+.2f}" for name, value in decision.coverage_parts)
    return f"best score {decision.scores[0].score:.3f} - {decision.config.background_share:g} x background {decision.background:.3f}"


def _ranking(decision: RouteDecision) -> Iterator[str]:
    weights = {one.digest: one.weight for one in decision.experts}
    for one in decision.scores[:SHOWN]:
        used = f"  weight {weights[one.digest]:.2f}" if one.digest in weights else ""
        yield f"  {one.score:+.3f}  {printable(one.name)}{used}"


def _what_would_change_it(decision: RouteDecision) -> Iterator[str]:
    if decision.reason in ("empty", "rule"):
        return
    if decision.calibrated and decision.p_right is not None:
        best = printable(decision.scores[0].name)
        yield f"P({best} is right, if any expert is) = {decision.p_right:.3f}; {decision.set_size} in the set that holds the right one"
        if decision.abstained:
            yield f"{best} would answer from {decision.threshold - decision.coverage:.3f} more coverage on"
    elif decision.margin is not None:
        yield f"margin {decision.margin:.3f}; closer than {decision.config.margin:g} would be mixed"


def _opinion(decision: RouteDecision) -> Iterator[str]:
    if decision.read_as is not None:
        yield f"also read as: {printable(decision.read_as)}"
    said = decision.opinion
    if said is None:
        return
    took = f"{said.passes} passes, {said.seconds:.1f} s of {said.budget:g}"
    if not said.counted:
        yield f"the base model was asked which card fits, but the time ran out ({took}): the fitted decision stands"
        return
    shares = ", ".join(f"{printable(name)} {share:.2f}" for name, share in said.shares)
    yield f"close, so the base model ranked the cards ({took}): {shares}; multiplied with the scores"


def _routers(decision: RouteDecision) -> Iterator[str]:
    for view in decision.routers:
        gain = "" if view.gain is None else f", {view.gain:+.2f} for the best over the runner-up"
        yield f"router {view.name}: share {view.share:.2f}{gain}"
        yield "  " + ", ".join(f"{printable(one.name)} {one.score:+.2f}" for one in view.best)


def _signals(decision: RouteDecision) -> Iterator[str]:
    if decision.signals is not None:
        found = ", ".join(decision.signals.formats) or "none"
        asked = f"; asks for {', '.join(decision.signals.asks_for)}" if decision.signals.asks_for else ""
        yield f"signals: language {decision.signals.language.code}, formats {found}{asked}"
    for rule in decision.rules:
        because = " and ".join(rule.because)
        target = f" {', '.join(rule.patterns)}" if rule.patterns else ""
        place = f"rule {rule.name!r} (line {rule.line})" if rule.line else rule.name
        yield printable(f"{place}: {rule.action}{target}; {rule.effect.replace('_', ' ')}; because {because}")


def _examples(title: str, nearest: Sequence[Neighbour]) -> list[str]:
    shown = [f"  {one.similarity:+.3f}  {printable(one.text if len(one.text) <= 100 else one.text[:97] + '...')}" for one in nearest]
    return [title, *shown] if shown else []
