"""The best approximation of a delta by few ranks (Eckart and Young 1936)."""

from __future__ import annotations

import torch

from expert_kit.adapters import LoraWeights
from expert_kit.composition.options import MergedLayer


def truncate_factors(factors: LoraWeights, rank: int) -> MergedLayer:
    """Cut ``b @ a`` to ``rank`` without building it: QR of both factors, SVD of the small core between them.

    Costs O((in + out) R^2) for R = the rank of ``factors``; exact arithmetic is kept by working in float64.
    """
    q_b, r_b = torch.linalg.qr(factors.b.double())
    q_a, r_a = torch.linalg.qr(factors.a.double().T)
    u, sizes, vh = torch.linalg.svd(r_b @ r_a.T)
    kept = min(rank, len(sizes))
    root = sizes[:kept].sqrt()
    weights = LoraWeights(a=((root[:, None] * vh[:kept]) @ q_a.T).float(), b=(q_b @ (u[:, :kept] * root)).float())
    return MergedLayer(weights, _lost(sizes[kept:].square().sum(), sizes.square().sum()))


def truncate_delta(delta: torch.Tensor, rank: int) -> MergedLayer:
    """Cut a dense delta (out, in) to ``rank``.

    The eigenvectors of the smaller Gram matrix span the same subspace as an SVD and come several times sooner; float64 makes
    up for the squared condition number.
    """
    matrix = delta.double()
    tall = matrix.shape[0] > matrix.shape[1]
    side = matrix.T if tall else matrix
    sizes, vectors = torch.linalg.eigh(side @ side.T)
    kept = vectors[:, -min(rank, len(sizes)) :].flip(1)
    root = sizes.clamp(min=0).flip(0)[: kept.shape[1]].sqrt().sqrt()
    root = torch.where(root > 0, root, torch.ones_like(root))
    left, right = kept * root, (kept / root).T @ side
    a, b = (left.T, right.T) if tall else (right, left)
    lost = (matrix.square().sum() - right.mul(root[:, None]).square().sum()).clamp(min=0)
    return MergedLayer(LoraWeights(a.float().contiguous(), b.float().contiguous()), _lost(lost, matrix.square().sum()))


def _lost(lost: torch.Tensor, total: torch.Tensor) -> float:
    return float((lost / total).sqrt()) if total > 0 else 0.0
