"""An adapter added to the weights of the base itself, and taken out again without a trace."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from expert_kit.adapters import Adapter
from expert_kit.errors import NotComposableError


class BaseMerge:
    """Layers with an adapter's delta in their weights; :meth:`undo` puts the very bytes back that were there."""

    def __init__(self, layers: Mapping[str, nn.Module], adapter: Adapter) -> None:
        """Add the deltas.

        Args:
            layers: the base's own linear layers by module path.
            adapter: factors with weights and scaling in B; the sum is made in float32 and rounded once.

        Raises:
            NotComposableError: ``base_quantized``, a layer has no weights to add to.
        """
        touched = {path: layers[path] for path in adapter}
        for path, layer in touched.items():
            if not isinstance(layer, nn.Linear | Conv1D):
                raise NotComposableError(
                    f"{path} is {type(layer).__name__}: nothing can be added to quantized weights",
                    hint="load the base with quantization none",
                    code="base_quantized",
                )
        self._saved = {path: (layer.get_parameter("weight"), layer.get_parameter("weight").clone()) for path, layer in touched.items()}
        for path, (weight, original) in self._saved.items():
            one, turned = adapter[path], isinstance(touched[path], Conv1D)
            dense = original.float().T if turned else original.float()
            merged = (dense * one.gain.factor[:, None] if one.gain else dense) + one.b.float() @ one.a.float()
            # In place: a fused layer beside this one reads the same memory.
            with torch.no_grad():
                weight.copy_(merged.T if turned else merged)

    def undo(self) -> None:
        """Put the saved weights back; a second call does nothing."""
        with torch.no_grad():
            for weight, original in self._saved.values():
                weight.copy_(original)
        self._saved = {}
