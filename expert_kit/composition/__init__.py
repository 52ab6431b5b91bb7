"""Turns adapters and weights into one adapter."""

from expert_kit.composition.cat import cat, cat_adapters

__all__ = ["cat", "cat_adapters"]
