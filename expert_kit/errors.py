"""Every error raised on purpose, with a stable code each.

ExpertKitError (internal_error)
├─ UsageError (usage_error)
├─ ManifestError (manifest_invalid) · RecipeError (recipe_invalid) · UnknownNameError (unknown_name)
├─ ArchiveError (archive_invalid) ────── UnsafePathError (archive_unsafe_path) · DigestMismatchError (archive_digest_mismatch)
├─ SignatureError (signature_invalid) ── UnsignedError (signature_missing) · UntrustedKeyError (signature_untrusted_key)
│      · KeyFileError (signature_key_file) · RevokedError (signature_revoked)
├─ RegistryError (registry_error) ────── ExpertNotFoundError (expert_not_found) · AlreadyInstalledError (expert_already_installed)
│      · BlobDigestError (registry_blob_digest) · ResolutionError (resolution_impossible) · LockError (lock_invalid)
├─ IncompatibleAdapterError (adapter_incompatible) ── BaseMismatchError (base_mismatch) · UnsupportedMemberError (member_unsupported)
│      · NotComposableError (not_composable) ── ExclusiveExpertError (expert_exclusive)
├─ BaseModelError (base_unavailable) ── BaseDigestError (base_digest_mismatch)
├─ CheckUnavailableError (check_unavailable): not bad, but could not be checked
├─ TrainingError (training_failed) · DataError (data_invalid) · GrammarError (grammar_invalid)
└─ CapacityError (capacity_exceeded) · TransferError (transfer_failed) · RouteAbstainedError (route_abstained, strict mode only)

A raise may narrow ``code`` (``archive_trailing_bytes``); codes are never reused or renamed. The class decides the
exit code of the command line, and that table lives in ``cli``.
"""

from __future__ import annotations


class ExpertKitError(Exception):
    """Root of the tree: what went wrong, and the next step.

    Args:
        message: what, where, got and expected, in one or two sentences.
        hint: the next step for the user, a command where there is one; the class's own if there is none.
        code: a narrower stable code than the class's own.
    """

    code = "internal_error"
    next_step = ""
    """The hint of raises that know no better one."""

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.next_step
        if code is not None:
            self.code = code

    def about(self, label: str) -> ExpertKitError:
        """The same error, whose message begins with what it is about, if that is not in it yet."""
        if label not in self.message:
            self.message = f"{label}: {self.message}"
            self.args = (self.message,)
        return self


class UsageError(ExpertKitError):
    """The words of a call do not fit together."""

    code = "usage_error"


class ManifestError(ExpertKitError):
    """A manifest, or the source it is made from, breaks the schema."""

    code = "manifest_invalid"
    next_step = "docs/format.md says what a manifest holds; of somebody else's package, ask its publisher"


class RecipeError(ExpertKitError):
    """A training recipe has problems; the message lists all of them."""

    code = "recipe_invalid"
    next_step = "recipes/README.md shows recipes that work, and expert-kit recipe new writes one"


class UnknownNameError(ExpertKitError):
    """A name that is in no table: a task, a router, a method."""

    code = "unknown_name"


class ArchiveError(ExpertKitError):
    """The bytes are not an archive that our own writer would have produced."""

    code = "archive_invalid"
    next_step = "fetch the file again; if it stays like this, ask whoever made it"


class UnsafePathError(ArchiveError):
    """A member name is not a safe relative path."""

    code = "archive_unsafe_path"


class DigestMismatchError(ArchiveError):
    """A member's bytes differ from what the manifest says."""

    code = "archive_digest_mismatch"


class SignatureError(ExpertKitError):
    """A signature is malformed or does not verify."""

    code = "signature_invalid"
    next_step = "do not use it; ask its publisher for one that verifies"


class UnsignedError(SignatureError):
    """There is no signature where the policy wants one."""

    code = "signature_missing"


class UntrustedKeyError(SignatureError):
    """The signature is good, but nobody said that this key may sign for this name."""

    code = "signature_untrusted_key"


class KeyFileError(SignatureError):
    """A key file is missing, unreadable, of a refused kind, or too open."""

    code = "signature_key_file"
    next_step = "ask its owner for the PEM file again; expert-kit keys new makes one of your own"


class RevokedError(SignatureError):
    """The publisher has taken back a package, or a key that signed it."""

    code = "signature_revoked"


class RegistryError(ExpertKitError):
    """The local registry cannot do what was asked."""

    code = "registry_error"


class ExpertNotFoundError(RegistryError):
    """No installed expert has that name or version."""

    code = "expert_not_found"


class AlreadyInstalledError(RegistryError):
    """That name and version is installed already."""

    code = "expert_already_installed"


class BlobDigestError(RegistryError):
    """An installed blob is missing or no longer has the digest that it was installed with."""

    code = "registry_blob_digest"


class ResolutionError(RegistryError):
    """No versions fit together; the message says who wants what."""

    code = "resolution_impossible"


class LockError(RegistryError):
    """A lock file cannot be read, or differs from what is installed or offered."""

    code = "lock_invalid"


class IncompatibleAdapterError(ExpertKitError):
    """The adapter cannot be attached to this base model."""

    code = "adapter_incompatible"
    next_step = "use it with the base that it was made for"


class BaseMismatchError(IncompatibleAdapterError):
    """The expert was made for another base model."""

    code = "base_mismatch"


class UnsupportedMemberError(IncompatibleAdapterError):
    """The adapter's kind or configuration is not supported."""

    code = "member_unsupported"


class NotComposableError(IncompatibleAdapterError):
    """These experts have no defined sum."""

    code = "not_composable"
    next_step = "attach one of them alone"


class ExclusiveExpertError(NotComposableError):
    """The expert has whole layers of its own and runs alone."""

    code = "expert_exclusive"


class BaseModelError(ExpertKitError):
    """A base model is unknown, missing, or could not be fetched or loaded."""

    code = "base_unavailable"


class BaseDigestError(BaseModelError):
    """Bytes of a base model differ from the expected digest."""

    code = "base_digest_mismatch"


class CheckUnavailableError(ExpertKitError):
    """Not known to be bad, but it could not be checked."""

    code = "check_unavailable"


class TrainingError(ExpertKitError):
    """Training could not run to its end."""

    code = "training_failed"


class GrammarError(ExpertKitError):
    """A grammar cannot hold answers to its rules."""

    code = "grammar_invalid"
    next_step = "--no-grammar answers without it"


class DataError(ExpertKitError):
    """A data file is missing or has bad rows; the message names file and line."""

    code = "data_invalid"
    next_step = "correct the file; expert-kit dataset check FILE lists what is wrong with its rows"


class CapacityError(ExpertKitError):
    """Out of room: a limit, the disk, or memory."""

    code = "capacity_exceeded"


class TransferError(ExpertKitError):
    """A download failed."""

    code = "transfer_failed"


class RouteAbstainedError(ExpertKitError):
    """No installed expert fits the prompt, and the caller asked for an error in that case."""

    code = "route_abstained"
