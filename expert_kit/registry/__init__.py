"""Experts installed locally: installed, listed, read and removed, all or nothing.

Importing this room and using what is installed needs the standard library only; ``Registry.install`` alone imports what
it takes to judge an archive.
"""

from __future__ import annotations

from expert_kit.registry.gc import Garbage
from expert_kit.registry.history import Change
from expert_kit.registry.paths import bases_dir, cache_dir, home, keys_dir, registry_dir
from expert_kit.registry.records import FileEntry, InstalledExpert, RoutingExample
from expert_kit.registry.search import Query, Summary
from expert_kit.registry.store import Registry

__all__ = [
    "Change",
    "FileEntry",
    "Garbage",
    "InstalledExpert",
    "Query",
    "Registry",
    "RoutingExample",
    "Summary",
    "bases_dir",
    "cache_dir",
    "home",
    "keys_dir",
    "registry_dir",
]
