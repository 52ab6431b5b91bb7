"""The words of the resolver: candidates that are no experts, demands on a name, and what was turned down on the way."""

from __future__ import annotations

from dataclasses import dataclass

from resolvelib import BaseReporter
from resolvelib.structs import RequirementInformation

from expert_kit.names import Digest, version_key
from expert_kit.registry.candidates import Candidate
from expert_kit.registry.ranges import ANY, VersionRange

BASE = "base model"
"""The name under which the base models take part."""


@dataclass(frozen=True)
class Fixed:
    """A candidate that is no expert: expert-kit, the base models, or the absence of an expert."""

    name: str
    version: str = ""
    """Empty where no version counts."""
    absent: bool = False


Node = Candidate | Fixed


@dataclass(frozen=True)
class Need:
    """A demand on one name."""

    name: str
    kind: str
    """``asked`` by the user, ``kept`` because it is installed, ``requires`` or ``conflicts`` of an expert."""
    range: VersionRange = ANY
    identity: Digest | None = None
    at_least: str | None = None
    pre: bool = False
    base: bool = True
    """For :data:`BASE`: one that fits is here."""

    @property
    def forbids(self) -> bool:
        """It does not want the name to be there."""
        return self.kind == "conflicts"

    def allows(self, node: Node) -> bool:
        """Whether this version meets the demand."""
        if isinstance(node, Fixed):
            return self._allows_fixed(node)
        if self.forbids:
            return not self.range.matches(node.version, pre=True)
        # A pre-release or a withdrawn version that is here, or was named, has been asked for.
        known = node.installed or node.asked
        return (
            self.range.matches(node.version, pre=self.pre or known)
            and (node.yanked is None or known or self.range.exact is not None)
            and (self.identity is None or self.identity == node.identity)
            and (self.at_least is None or version_key(node.version) >= version_key(self.at_least))
        )

    def _allows_fixed(self, node: Fixed) -> bool:
        if node.absent:
            return self.forbids
        return self.base if node.name == BASE else self.range.matches(node.version, pre=True)


class Trace(BaseReporter[Need, Node, str]):
    """Who brought up which name, for the explanation of a failure."""

    def __init__(self) -> None:
        self.wanted_by: dict[str, RequirementInformation[Need, Node]] = {}
        """By name: the first demand that it be there."""

    def adding_requirement(self, requirement: Need, parent: Node | None) -> None:
        """Remember the first one."""
        if not requirement.forbids:
            self.wanted_by.setdefault(requirement.name, RequirementInformation(requirement, parent))
