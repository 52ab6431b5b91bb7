"""When the registry says no to an archive or a wish, and how it says so."""

from __future__ import annotations

from collections.abc import Sequence

from expert_kit.errors import AlreadyInstalledError, ExpertNotFoundError, RegistryError, UsageError
from expert_kit.names import ExpertRef, printable, version_key
from expert_kit.registry.dependents import Unmet
from expert_kit.registry.records import InstalledExpert


def check_conflict(expert: InstalledExpert, old: InstalledExpert | None) -> None:
    """Refuse other content under an installed version.

    Raises:
        AlreadyInstalledError: ``expert_version_conflict``.
    """
    if old is not None and old.identity != expert.identity:
        raise AlreadyInstalledError(
            f"{expert.ref} is installed with other content: {old.identity}, this archive is {expert.identity}",
            hint=f"expert-kit uninstall {expert.ref}, if you want this archive instead",
            code="expert_version_conflict",
        )


def check_downgrade(ref: ExpertRef, highest: str | None, *, allow_downgrade: bool) -> None:
    """Refuse a version below the highest trusted one.

    Raises:
        RegistryError: ``version_downgrade``.
    """
    if allow_downgrade or highest is None or version_key(ref.version or "") >= version_key(highest):
        return
    raise RegistryError(
        f"{ref} is older than {highest}, which was installed here before",
        hint="an old version may have known faults; if you want it: --allow-downgrade",
        code="version_downgrade",
    )


def already_installed(ref: ExpertRef) -> AlreadyInstalledError:
    """The same content, and nothing to heal or to add."""
    return AlreadyInstalledError(f"{ref} is installed, and its files are sound", hint=f"nothing to do; see `expert-kit list`, or use {ref}")


def not_installed(ref: ExpertRef, versions: Sequence[InstalledExpert]) -> ExpertNotFoundError:
    """``versions`` are those of the name that are installed."""
    others = ", ".join(str(expert.ref) for expert in versions)
    hint = f"installed: {others}" if others else "see `expert-kit list`, or install it with `expert-kit install FILE`"
    return ExpertNotFoundError(f"{ref} is not installed", hint=hint)


def no_way_back(present: ExpertRef, versions: Sequence[InstalledExpert]) -> RegistryError:
    """There is no earlier version to go back to; ``versions`` are those that are installed."""
    withdrawn = [str(expert.ref) for expert in versions if expert.yanked is not None and expert.ref != present]
    hint = f"install an archive of the version that you want: expert-kit install FILE --allow-downgrade; see `expert-kit info {present}`"
    if withdrawn:
        hint = f"{', '.join(withdrawn)} is withdrawn; if you want it all the same: expert-kit yank {withdrawn[-1]} --undo, then again"
    return RegistryError(f"{present} has no earlier version here to go back to", hint=hint, code="rollback_none")


def no_longer_fitting(problem: Unmet) -> RegistryError:
    """Somebody installed or removed something between the plan and its execution."""
    message = f"what is installed has changed meanwhile: with this, {say_unmet(problem)}"
    return RegistryError(message, hint="try again; the plan is made anew then", code="registry_changed")


def say_unmet(problem: Unmet) -> str:
    """What does not hold, in words."""
    found = "is not installed" if problem.found is None else f"is {problem.found}"
    verb = "cannot stand beside" if problem.code == "expert_conflict" else "requires"
    return printable(f"{problem.expert} {verb} {problem.other} {problem.wanted}, which {found}")


def would_break(target: ExpertRef, problem: Unmet) -> RegistryError:
    """Another expert would be without what it needs, if this version became current or, without a version, the name went back."""
    other = problem.expert.partition("@")[0]
    if target.version is None:
        change, advice, command = "go back alone", f"go back with both: expert-kit rollback {other} first", "rollback"
    else:
        change, advice, command = "become current", f"choose a version of {other} that fits first", "use"
    return RegistryError(
        f"{target} cannot {change}: then {say_unmet(problem)}",
        hint=f"{advice}; or all the same: expert-kit {command} {target} --force",
        code="rollback_breaks",
    )


def which_version(name: ExpertRef, versions: Sequence[InstalledExpert]) -> UsageError:
    """A version has to be named; ``versions`` are those that are installed."""
    others = " or ".join(f"expert-kit use {expert.ref}" for expert in versions)
    return UsageError(f"which version of {name}?", hint=others or "see `expert-kit list`", code="use_version")


def needed(ref: ExpertRef, dependents: Sequence[InstalledExpert]) -> RegistryError:
    """Removing it would leave these without what they need."""
    names = [str(expert.ref) for expert in dependents]
    return RegistryError(
        f"{ref} is needed by {', '.join(names)}",
        hint=f"expert-kit uninstall {names[0]} first, or remove it all the same: expert-kit uninstall {ref} --force",
        code="expert_needed",
    )
