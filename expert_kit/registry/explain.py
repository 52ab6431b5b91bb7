"""Why no versions fit together, in words: who wants what, which versions there are, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from resolvelib.structs import RequirementInformation

from expert_kit.errors import ResolutionError
from expert_kit.names import printable, version_key
from expert_kit.registry.candidates import Candidate
from expert_kit.registry.needs import BASE, Need, Node, Trace
from expert_kit.registry.pool import Here, Pool
from expert_kit.registry.ranges import is_pre_release
from expert_kit.registry.records import TOOL

Info = RequirementInformation[Need, Node]

_LISTED = 8
_HINTS = 3


def explain(pool: Pool, causes: Iterable[Info], trace: Trace) -> ResolutionError:
    """The error for demands that nothing meets.

    Args:
        pool: what there was to choose from.
        causes: the demands of the last dead end, as resolvelib gives them.
        trace: who brought up the names.
    """
    groups: dict[str, list[Info]] = {}
    for info in causes:
        group = groups.setdefault(info.requirement.name, [])
        if info not in group:
            group.append(info)
    lines = [line for name, group in groups.items() for line in _lines(pool, name, group)]
    lines += _origins(groups, trace)
    hints = dict.fromkeys(hint for name, group in groups.items() for hint in _hints(pool, name, group))
    return ResolutionError("\n".join(lines), hint="; or ".join(list(hints)[:_HINTS]), code=_code(pool, groups))


def say(need: Need, parent: Node | None) -> str:
    """A demand in words."""
    if parent is None:
        if need.kind == "kept":
            return f"{need.name} is installed"
        floor = f", not below {need.at_least}, which is installed" if need.at_least else ""
        return f"you asked for {need.name}{_range(need)}{floor}"
    who = str(parent.ref) + (", which is installed," if parent.installed else "") if isinstance(parent, Candidate) else parent.name
    if need.name == BASE:
        names = dict.fromkeys(base.id for base in parent.bases) if isinstance(parent, Candidate) else ()
        return f"{who} was made for {' or '.join(names)}"
    verb = "cannot stand beside" if need.forbids else "requires"
    return f"{who} {verb} {need.name} {need.range}"


def _lines(pool: Pool, name: str, group: Sequence[Info]) -> Iterator[str]:
    yield _header(pool, name)
    for info in group:
        yield f"  {say(info.requirement, info.parent)}"
    versions = _versions(pool, name)
    if versions:
        more = f" and {len(versions) - _LISTED} more" if len(versions) > _LISTED else ""
        yield f"  versions: {', '.join(versions[:_LISTED])}{more}"


def _header(pool: Pool, name: str) -> str:
    if name == TOOL:
        return f"this is expert-kit {pool.here.tool}:"
    if name == BASE:
        return f"base models here: {_bases(pool.here)}; none of them fits:"
    if _versions(pool, name):
        return f"no version of {name} meets every demand:"
    return f"there is no {name}: it is not installed, and no archive of it was offered:"


def _bases(here: Here) -> str:
    return ", ".join(sorted({record.fingerprint.id for record in here.bases})) or "none"


def _versions(pool: Pool, name: str) -> list[str]:
    """Every version that there is, the newest first, each with what speaks against it."""
    notes = [(node, _note(node)) for node in pool.candidates(name)] + pool.barred.get(name, [])
    notes.sort(key=lambda pair: (version_key(pair[0].version), pair[0].version), reverse=True)
    return [f"{node.version} ({printable(note)})" if note else node.version for node, note in notes]


def _note(node: Candidate) -> str:
    if node.yanked is not None:
        return f"withdrawn: {node.yanked}" if node.yanked else "withdrawn"
    if node.installed:
        return "installed"
    return "a pre-release" if is_pre_release(node.version) else ""


def _origins(groups: dict[str, list[Info]], trace: Trace) -> Iterator[str]:
    """Why the experts that make the demands are wanted at all, up to the user's own words."""
    ahead = [info.parent.name for group in groups.values() for info in group if isinstance(info.parent, Candidate)]
    told = set(groups)
    while ahead:
        name = ahead.pop(0)
        info = trace.wanted_by.get(name)
        if name in told or info is None:
            continue
        told.add(name)
        if info.requirement.kind != "kept":
            yield say(info.requirement, info.parent)
        if info.parent is not None:
            ahead.append(info.parent.name)


def _hints(pool: Pool, name: str, group: Sequence[Info]) -> Iterator[str]:
    parents = [info.parent for info in group if isinstance(info.parent, Candidate)]
    if name == BASE:
        yield from (f"expert-kit base pull {parent.bases[0].id}, or --allow-missing-base" for parent in parents)
    elif name == TOOL:
        yield from (f"install expert-kit {info.requirement.range}" for info in group)
    elif not _versions(pool, name):
        yield f"get an archive of {name}{_range(group[0].requirement)} and name its folder: --index DIR"
    else:
        yield from _ways_out(pool, name, [info.requirement for info in group])
        for node in (*parents, *pool.candidates(name)):
            if node.installed and len(group) > 1:
                yield f"expert-kit uninstall {node.name}"
        yield "ask for other versions, or offer more archives with --index DIR"


def _ways_out(pool: Pool, name: str, needs: Sequence[Need]) -> Iterator[str]:
    """Options that would let in a version which is there."""
    for node in pool.candidates(name):
        if any(need.forbids or not need.range.matches(node.version, pre=True) for need in needs):
            continue
        if node.yanked is not None:
            yield f"if you want the withdrawn version all the same, name it: {node.ref}"
        elif is_pre_release(node.version):
            yield "--pre, which lets in pre-releases"
    if any("installed here before" in reason for _, reason in pool.barred.get(name, ())):
        yield "--allow-downgrade"


def _range(need: Need) -> str:
    return "" if str(need.range) == "*" else f" {need.range}"


def _code(pool: Pool, groups: dict[str, list[Info]]) -> str | None:
    """A narrower code where there is one dead end only."""
    if len(groups) != 1:
        return None
    [(name, group)] = groups.items()
    if name in (BASE, TOOL):
        return "resolution_base" if name == BASE else "resolution_tool"
    if not _versions(pool, name):
        return "resolution_not_found"
    inside = [node for node in pool.candidates(name) if all(info.requirement.range.matches(node.version) for info in group)]
    return "resolution_yanked" if inside and all(node.yanked is not None for node in inside) else None
