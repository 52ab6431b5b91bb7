"""Fetches base models, measures them and finds them again. Importing this room needs no torch."""

from expert_kit.base_models.known import DEFAULT_BASE, KNOWN_BASES, KnownBase
from expert_kit.base_models.store import BaseEntry, BaseStore, base_id_of

__all__ = ["DEFAULT_BASE", "KNOWN_BASES", "BaseEntry", "BaseStore", "KnownBase", "base_id_of"]
