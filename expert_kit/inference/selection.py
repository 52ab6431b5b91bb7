"""What a caller asks for: the base, the router's choice, or named experts with weights. Parsed once, in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Literal

from expert_kit.errors import NotComposableError, UnknownNameError, UsageError
from expert_kit.names import ExpertRef

Experts = Literal["auto"] | str | Path | Sequence["str | Path"] | Mapping["str | Path", float] | None
"""``"auto"`` routes; ``None`` is the base; one name, a list (equal weights 1/k) or a mapping to weights.

A ``Path`` is a local adapter folder that is not installed (for development: it is not verified). In text,
``"mix:a@0.6+b@0.4"`` is a mapping; the last ``@`` of each part is the weight.
"""

Member = ExpertRef | Path


@dataclass(frozen=True)
class Selection:
    """A checked request. ``members`` is empty for the base and for ``auto``."""

    auto: bool
    members: tuple[tuple[Member, float], ...] = ()

    @property
    def is_base(self) -> bool:
        """Whether the base answers alone."""
        return not self.auto and not self.members


AUTO = Selection(auto=True)
BASE = Selection(auto=False)


def parse_selection(experts: Experts) -> Selection:
    """Check what a caller passed as ``experts``.

    Weights are taken as they are: never normalised, negative ones allowed, zeros dropped.

    Raises:
        UnknownNameError: a part is no expert name. UsageError: a ``mix:`` is malformed; ``experts_type``, no selection at all.
        NotComposableError: ``weight_invalid``, not a finite number; ``expert_twice``, one expert named twice.
    """
    if experts is None:
        return BASE
    if isinstance(experts, str):
        return _parse_text(experts)
    if isinstance(experts, Path):
        return Selection(False, ((experts, 1.0),))
    if isinstance(experts, Mapping):
        return _mix([(_member(name), weight) for name, weight in experts.items()])
    if not isinstance(experts, Sequence):
        raise _no_selection(experts)
    return _mix([(_member(name), 1 / len(experts)) for name in experts])


def _parse_text(text: str) -> Selection:
    if text == "auto":
        return AUTO
    if text == "base":
        return BASE
    if not text.startswith("mix:"):
        return _mix([(_member(text), 1.0)])
    parts = []
    for part in text.removeprefix("mix:").split("+"):
        name, _, weight = part.rpartition("@")
        parts.append((name, _weight(part, weight)))
    return _mix([(ExpertRef.parse(name), weight) for name, weight in parts])


def _weight(part: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{part!r} in a mix has no weight", hint="write mix:ns/a@0.6+ns/b@0.4", code="mix_malformed") from error


def _member(name: str | Path) -> Member:
    if not isinstance(name, str | Path):
        raise _no_selection(name)
    if isinstance(name, Path):
        return name
    try:
        return ExpertRef.parse(name)
    except UnknownNameError as error:
        if (Path(name) / "adapter_config.json").is_file():
            error.hint = f"for the adapter folder pass Path({name!r})"
        raise


def _no_selection(value: object) -> UsageError:
    return UsageError(
        f"{value!r} selects no experts",
        hint='pass "auto", None, a name, a list of names, or {"ns/name": weight}',
        code="experts_type",
    )


def _mix(members: Sequence[tuple[Member, float]]) -> Selection:
    seen: set[str] = set()
    for member, weight in members:
        if not _is_weight(weight):
            message = f"the weight of {member} is {weight!r}, not a finite number"
            raise NotComposableError(message, hint="give each expert a number, such as 0.5", code="weight_invalid")
        if str(member) in seen:
            raise NotComposableError(f"{member} is named twice in one mix", hint="add up its weights", code="expert_twice")
        seen.add(str(member))
    return Selection(False, tuple((member, float(weight)) for member, weight in members if weight))


def _is_weight(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)
