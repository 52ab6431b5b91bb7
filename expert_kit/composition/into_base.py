"""An adapter added to the weights of the base itself, and taken out again without a trace."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from expert_kit.adapters import Adapter, Gain, LoraWeights
from expert_kit.errors import NotComposableError


class BaseMerge:
    """Layers with an adapter's delta in their weights; :meth:`undo` puts the very bytes back that were there."""

    def __init__(self, layers: Mapping[str, nn.Module], adapter: Adapter) -> None:
        """Add the deltas.

        Args:
            layers: the base's own linear layers by module path.
            adapter: factors with weights and scaling in B, and gains; the sum is made in float32 and rounded once.

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
        named = [
            (path, layer, name, own)
            for path, layer in touched.items()
            for name in ("weight", "bias")
            if (own := getattr(layer, name, None)) is not None
        ]
        self._saved = [(own, own.detach().clone()) for _, _, _, own in named]
        # In place: a fused layer beside this one reads the same memory.
        try:
            with torch.no_grad():
                for path, layer, name, own in named:
                    own.copy_(_changed(own, adapter[path], name, turned=isinstance(layer, Conv1D)))
        except BaseException:  # out of memory, or an interrupt: nobody would have this object to undo it
            self.undo()
            raise

    def undo(self) -> None:
        """Put the saved weights back; a second call does nothing."""
        with torch.no_grad():
            for own, original in self._saved:
                own.copy_(original)
        self._saved = []


def _changed(own: torch.Tensor, one: LoraWeights, name: str, *, turned: bool) -> torch.Tensor:
    """What an adapter makes of the weight (out, in), which lies turned in some layers, or of the bias (out,)."""
    gain = one.gain or Gain(None)
    factor = 1.0 if gain.factor is None else gain.factor
    if name == "bias":
        return own.float() * factor + (0.0 if gain.shift is None else gain.shift)
    dense = own.float().T if turned else own.float()
    dense = dense if gain.factor is None else dense * gain.factor[:, None]
    dense = dense if gain.reads is None else dense * gain.reads
    merged = dense + one.b.float() @ one.a.float()
    return merged.T if turned else merged
