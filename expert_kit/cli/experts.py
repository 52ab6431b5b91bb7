"""How an installed expert looks as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expert_kit.registry import InstalledExpert


def expert_json(expert: InstalledExpert) -> dict[str, Any]:
    """Plain data; ``expert`` is the full name with the version."""
    fields = asdict(expert)
    del fields["ref"]
    return {"expert": str(expert.ref), "name": expert.ref.full_name, "version": expert.ref.version, **fields}
