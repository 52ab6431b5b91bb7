"""Rows of a batch packed as one tree, so that a beginning that rows share (the system prompt, a table's schema) is computed once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig


@dataclass(frozen=True)
class PrefixTree:
    """The distinct prefixes of some rows; a node is a token after a certain beginning."""

    tokens: torch.Tensor
    """(1, nodes) int64; a parent comes before its children."""
    positions: torch.Tensor
    """(1, nodes) int64: depth, from 0."""
    mask: torch.Tensor
    """(1, 1, nodes, nodes) bool: a node sees itself and what comes before it in its rows, as in causal attention over each row alone."""
    node_of: torch.Tensor
    """(rows, longest) int64: the node of each token; 0 at padding."""


def can_share(config: PreTrainedConfig, longest: int) -> bool:
    """Whether attention takes a free boolean mask (PyTorch's own does), and sees whole rows."""
    text = config.get_text_config()
    window = getattr(text, "sliding_window", None)
    return bool(text._attn_implementation == "sdpa" and text.model_type in _ATTENTION_ONLY and (window is None or longest <= window))


_ATTENTION_ONLY = frozenset({"llama", "qwen2", "qwen3", "gemma3_text", "gpt2", "mistral"})
"""Architectures whose layers mix tokens by attention under the given mask and positions alone; each is compared in a test."""


def prefix_tree(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> PrefixTree:
    """Merge the equal beginnings of right-padded rows.

    Args:
        input_ids: (rows, longest).
        attention_mask: (rows, longest), 0 at padding.
    """
    children: dict[tuple[int, int], int] = {}
    parents: list[int] = []
    tokens: list[int] = []
    node_of = torch.zeros_like(input_ids)
    for row, (ids, length) in enumerate(zip(input_ids.tolist(), attention_mask.sum(dim=1).tolist(), strict=True)):
        node = -1
        for column, token in enumerate(ids[:length]):
            key = (node, token)
            if key not in children:
                children[key] = len(tokens)
                parents.append(node)
                tokens.append(token)
            node = children[key]
            node_of[row, column] = node
    mask = torch.eye(len(tokens), dtype=torch.bool)
    positions = torch.zeros(len(tokens), dtype=torch.long)
    for node, parent in enumerate(parents):
        if parent >= 0:
            mask[node] |= mask[parent]
            positions[node] = positions[parent] + 1
    device = input_ids.device
    return PrefixTree(torch.tensor([tokens], device=device), positions[None].to(device), mask[None, None].to(device), node_of)
