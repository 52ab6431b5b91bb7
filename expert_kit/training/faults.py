"""What the libraries raise when memory, disk or a checkpoint fails -> typed errors."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors import SafetensorError

from expert_kit.errors import CapacityError, TrainingError

_WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)
"""``torch.save`` raises RuntimeError and safetensors its own error where a disk is full."""
_READ_ERRORS = (OSError, RuntimeError, SafetensorError, EOFError, ValueError, KeyError)
_CPU_MEMORY = ("can't allocate memory", "not enough memory")


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Around a write.

    Raises:
        CapacityError: the write failed.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except _WRITE_ERRORS as error:
        full = getattr(error, "errno", errno.ENOSPC) == errno.ENOSPC
        hint = "free some disk space" if full else "check the folder and who may write in it"
        raise CapacityError(f"could not write {what}: {error}", hint=f"{hint}, then go on with --resume") from error


@contextmanager
def reading_checkpoint() -> Iterator[None]:
    """Around the reading of a checkpoint.

    Raises:
        TrainingError: ``checkpoint_unreadable``.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except _READ_ERRORS as error:
        raise TrainingError(
            f"cannot read a checkpoint: {error}",
            hint="remove the newest folder in checkpoints, then go on with --resume",
            code="checkpoint_unreadable",
        ) from error


@contextmanager
def within_memory() -> Iterator[None]:
    """Around a computation.

    Raises:
        CapacityError: out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # The CPU allocator raises a bare RuntimeError.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(words in str(error) for words in _CPU_MEMORY):
            raise
        raise CapacityError(f"out of memory while training: {error}", hint="lower per_device_train_batch_size") from error
