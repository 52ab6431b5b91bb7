from __future__ import annotations

import errno

import pytest

from expert_kit.errors import CapacityError
from expert_kit.training.faults import writing


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "free some disk space"),
        (RuntimeError("PytorchStreamWriter failed writing file"), "free some disk space"),
        (PermissionError(errno.EACCES, "Permission denied"), "who may write in it"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "who may write in it"),
    ],
)
def test_a_folder_that_cannot_be_written_is_not_called_full(error, hint):
    with pytest.raises(CapacityError) as found, writing("the run"):
        raise error
    assert hint in found.value.hint
