"""The table of exit codes: which class of error ends the command line with which number."""

from __future__ import annotations

from typing import Final

from expert_kit import errors

OK: Final = 0
BUG: Final = 1
USAGE: Final = 2
REFUSED: Final = 4
UNSOUND: Final = 9
"""The same as for an error of the registry: ``doctor`` has found some."""
INTERRUPTED: Final = 130
OUTPUT_CLOSED: Final = 141
"""Whoever read our output went away, as with ``| head``; what a shell reports for other programs then."""

EXIT_CODES: Final[dict[type[errors.ExpertKitError], int]] = {
    errors.ExpertKitError: BUG,
    errors.UsageError: USAGE,
    errors.ExpertNotFoundError: 3,
    errors.ArchiveError: REFUSED,
    errors.UnsafePathError: REFUSED,
    errors.DigestMismatchError: REFUSED,
    errors.SignatureError: REFUSED,
    errors.UnsignedError: REFUSED,
    errors.UntrustedKeyError: REFUSED,
    errors.KeyFileError: REFUSED,
    errors.RevokedError: REFUSED,
    errors.IncompatibleAdapterError: 5,
    errors.BaseMismatchError: 5,
    errors.UnsupportedMemberError: 5,
    errors.NotComposableError: 5,
    errors.ExclusiveExpertError: 5,
    errors.BaseModelError: 5,
    errors.BaseDigestError: 5,
    errors.ManifestError: 6,
    errors.RecipeError: 6,
    errors.UnknownNameError: 6,
    errors.DataError: 6,
    errors.GrammarError: 6,
    errors.CapacityError: 7,
    errors.TransferError: 8,
    errors.RegistryError: 9,
    errors.AlreadyInstalledError: 9,
    errors.BlobDigestError: 9,
    errors.ResolutionError: 9,
    errors.LockError: 9,
    errors.CheckUnavailableError: 10,
    errors.RouteAbstainedError: 11,
    errors.TrainingError: 12,
}


def exit_code(error: errors.ExpertKitError) -> int:
    """The number for this error; a test sees to it that every class has a row of its own."""
    return EXIT_CODES[type(error)]
