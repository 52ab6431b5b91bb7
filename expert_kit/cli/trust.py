"""``expert-kit trust``: what trust.toml says, and what publishers send after the first trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expert_kit.cli.coercion import LeanTyper
from expert_kit.cli.exits import UNSOUND
from expert_kit.cli.lookalikes import warn_of_lookalikes
from expert_kit.cli.options import MOST_SIGNERS, Json
from expert_kit.cli.output import ask, emit, emit_json, emit_table, is_interactive, note
from expert_kit.cli.trust_rows import cells, event_cells, list_rows, plain, root_rows
from expert_kit.errors import ExpertKitError, SignatureError, UsageError
from expert_kit.names import ExpertRef, printable

if TYPE_CHECKING:
    from expert_kit.signing import TrustStore

trust = LeanTyper(help="Say whose experts may come in, and take in what their publishers send later.", no_args_is_help=True)

_Scope = Annotated[str, typer.Argument(help='"ns/*" or "ns/name".', show_default=False)]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@trust.command("list", epilog="Example: expert-kit trust list")
def list_scopes(json: Json = False) -> None:
    """List every scope of trust.toml, the publishers' roots and their revocation lists."""
    store = trust_store()
    policies, roots, lists = [*store.list(), store.default()], list(root_rows(store)), list(list_rows(store))
    if json:
        emit_json({"policies": [plain(one) for one in policies], "roots": roots, "revocation_lists": lists})
        return
    emit_table(("SCOPE", "LEVEL", "SIGNERS", "WANTED", "MORE"), [cells(one) for one in policies])
    for row in roots:
        note(f"root of {row['publisher']}: version {row['version']}, until {row['expires']}")
    for row in lists:
        counts = f"{row['packages']} packages, {row['keys']} keys"
        note(f"revocation list of {row['publisher']}: version {row['version']} of {row['issued']}, {counts}")
    if (problem := store.events.problem()) is not None:
        note(f"the log of trust is damaged: {printable(problem)}; next: expert-kit trust log")


@trust.command(epilog="Example: expert-kit trust show acme/sql")
def show(name: Annotated[str, typer.Argument(help="ns/name.", show_default=False)], json: Json = False) -> None:
    """Show what an expert of that name needs to be let in here."""
    store, ref = trust_store(), ExpertRef.parse(name)
    policy = store.policy_for(ref.full_name)
    allowed = store.signers_of(ref.full_name)
    wanted = 0 if policy.level == "skip" else allowed.threshold
    lists = [row for row in list_rows(store) if row["publisher"] == ref.namespace]
    if json:
        signers = {"signers": list(allowed.keys), "wanted": wanted}
        emit_json({"name": ref.full_name, **signers, "policy": plain(policy), "revocation_lists": lists})
        return
    emit(f"scope: {policy.scope or 'default'}")
    emit(f"level: {policy.level}")
    emit(f"signers: {', '.join(allowed.keys) or f'none yet, first use: {policy.tofu}'}")
    emit(f"wanted: {wanted or 'none, signatures are not checked'}")
    emit(f"base_match: {policy.base_match}")
    emit(f"require: {printable(', '.join(policy.require)) or 'nothing'}")
    known = [f"version {row['version']} of {row['issued']}, until {row['expires']}" for row in lists]
    emit(f"revocation list: {', '.join(known) or 'none'} (too old after {policy.max_stale_days} days)")


@trust.command(epilog="Example: expert-kit trust add root.json --digest sha256:...")
def add(
    what: Annotated[str, typer.Argument(help="A publisher's root.json; or a fingerprint, an own key's name, a public key file.")],
    scope: Annotated[
        str | None, typer.Option("--scope", help='"ns/*" or "ns/name"; for a root the whole namespace if not given.', show_default=False)
    ] = None,
    digest: Annotated[str, typer.Option("--digest", help="Of the root.json, as the publisher announced it elsewhere.")] = "",
    expires: Annotated[
        str | None, typer.Option("--expires", help="Last day of a key, YYYY-MM-DD in UTC; without it there is none.", show_default=False)
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also if another root of that publisher is trusted.")] = False,
    json: Json = False,
) -> None:
    """Trust a publisher's root, or a key, for a scope."""
    data = _root_in(what)
    if data is not None and scope == "":
        hint = "name 'ns/*' or 'ns/name', or leave the option out for the whole namespace"
        raise UsageError("--scope is empty", hint=hint, code="trust_scope_missing")
    if unfit := [name for name, given in {"--digest": digest, "--replace": replace}.items() if given and data is None]:
        raise UsageError(f"{unfit[0]} is for a root.json", hint="expert-kit trust add --help", code="trust_add_what")
    if data is not None and expires is not None:
        raise UsageError("--expires is for a key; a root says itself when it ends", hint="leave it out", code="trust_add_what")
    if data is None:
        trust_key(what, scope, expires, as_json=json)
        return
    from expert_kit.signing.roots import root_digest
    from expert_kit.signing.update import start_root

    _compare(what, digest, root_digest(data))
    policy, root = start_root(trust_store(), data, scope or "", replace=replace)
    if json:
        emit_json(plain(policy))
        return
    emit(policy.root)
    note(f"root version {root.version} of {root.publisher} now says who may sign for {policy.scope}")


@trust.command("set", epilog="Example: expert-kit trust set 'acme/*' --threshold 2 --require provenance")
def set_demands(
    scope: _Scope,
    level: Annotated[str | None, typer.Option("--level", help="strict, permissive, audit or skip.", show_default=False)] = None,
    threshold: Annotated[
        int | None,
        typer.Option("--threshold", min=1, max=MOST_SIGNERS, help="How many different keys must have signed.", show_default=False),
    ] = None,
    base_match: Annotated[str | None, typer.Option("--base-match", help="family or exact.", show_default=False)] = None,
    max_stale_days: Annotated[
        int | None, typer.Option("--max-stale-days", min=1, help="Days after which a revocation list is too old.", show_default=False)
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option("--require", help='An attestation, such as "eval:gsm8k>=0.30"; none with "".', show_default=False)
    ] = None,
    attester: Annotated[
        list[str] | None, typer.Option("--attester", help='A key whose attestations count too; none with "".', show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Change what a scope demands. Its keys stay."""
    from expert_kit.registry import keys_dir
    from expert_kit.signing import identify

    demands: dict[str, Any] = {"level": level, "threshold": threshold, "base_match": base_match, "max_stale_days": max_stale_days}
    if require is not None:
        demands["require"] = tuple(filter(None, require))
    if attester is not None:
        demands["attesters"] = tuple(identify(one, keys_dir()) for one in attester if one)
    demands = {name: value for name, value in demands.items() if value is not None}
    if not demands:
        raise UsageError("nothing to set", hint="expert-kit trust set --help", code="trust_set_what")
    policy = trust_store().demand(scope, **demands)
    if policy.level == "skip":
        note(f"warning[signature_skipped]: signatures of {policy.scope} are not checked any more, nor is what was revoked")
    if json:
        emit_json(plain(policy))
        return
    emit(policy.scope)
    wanted = "" if policy.level == "skip" else f", {policy.threshold} signature(s) wanted"
    note(f"now {policy.level}{wanted}; see `expert-kit trust list`")


@trust.command(epilog="Example: expert-kit trust remove 'acme/*'")
def remove(scope: _Scope, yes: _Yes = False, json: Json = False) -> None:
    """Remove all that is written for a scope. What is installed stays installed."""
    if not yes:
        _ask_or_refuse(f"Forget keys, root and demands of {printable(scope)}?", "--yes")
    trust_store().forget(scope)
    emit_json({"scope": scope}) if json else emit(scope)


@trust.command(epilog="Example: expert-kit trust update acme.revocations.jsonl")
def update(
    files: Annotated[list[Path], typer.Argument(help="The next root, or a revocation list, of a trusted publisher.", show_default=False)],
    json: Json = False,
) -> None:
    """Take in the next root or a revocation list. Its signatures decide, so the way it came does not matter.

    Of several files those before the first that is refused stay taken in.
    """
    from expert_kit.signing.update import apply_update

    store, done = trust_store(), []
    for file in files:
        data = _read(file)
        try:
            done.append(apply_update(store, data))
        except ExpertKitError as error:
            raise type(error)(f"{printable(str(file))}: {error.message}", hint=error.hint, code=error.code) from error
        if not json:
            one = done[-1]
            note(f"{one.publisher}: {one.kind} version {one.version}" + ("" if one.changed else ", which was here already"))
            for line in one.lines:
                emit(printable(line))
    if json:
        emit_json([{**vars(one), "lines": list(one.lines)} for one in done])
    note("next: expert-kit verify --all")


@trust.command(epilog="Example: expert-kit trust log")
def log(json: Json = False) -> None:
    """Show what happened to trust here, oldest first. Exit code 9 if the log was cut or changed."""
    events = trust_store().events
    problem = events.problem()
    try:
        rows = list(events.rows())
    except ValueError:
        rows = []
    if json:
        emit_json({"problem": problem, "events": rows})
    elif rows:
        emit_table(("TIME", "EVENT", "ABOUT"), [event_cells(row) for row in rows])
    if problem is not None:
        note(f"the log is damaged: {printable(problem)}; if you know why, move {events.path} and events.head away")
        raise typer.Exit(UNSOUND)


def trust_store() -> TrustStore:
    """The user's own."""
    from expert_kit.registry import home
    from expert_kit.signing import TrustStore

    return TrustStore(home())


def trust_key(what: str, scope: str | None, expires: str | None, *, as_json: bool) -> None:
    """Trust a key for a scope, and say so.

    Raises:
        UsageError: ``trust_scope_missing``. KeyFileError, SignatureError: see ``TrustStore.trust``.
    """
    from expert_kit.registry import keys_dir
    from expert_kit.signing import identify

    fingerprint = identify(what, keys_dir())
    if not scope:
        raise UsageError(
            "a key is trusted for a scope", hint=f"expert-kit trust add {fingerprint} --scope 'NS/*'", code="trust_scope_missing"
        )
    policy = trust_store().trust(scope, fingerprint, expires=expires)
    warn_of_lookalikes(scope.split("/")[0])
    if as_json:
        emit_json(plain(policy))
        return
    emit(fingerprint)
    day = policy.expires.get(fingerprint)
    note(f"may now sign for {scope}" + (f" until {day}" if day else ""))


def _compare(file: str, announced: str, found: str) -> None:
    if announced and announced != found:
        message = f"{file} has the digest {found}, not {announced}"
        raise SignatureError(message, hint="do not trust it: ask the publisher over a channel that you trust", code="root_digest")
    if not announced:
        note(f"{printable(file)} has the digest")
        note(f"  {found}")
        _ask_or_refuse("Is this what the publisher has announced elsewhere?", f"--digest {found}, once you have compared it")


def _ask_or_refuse(question: str, option: str) -> None:
    if not is_interactive():
        raise UsageError("there is no terminal to ask for a confirmation", hint=f"add {option}", code="confirmation_needs_terminal")
    if not ask(question):
        raise typer.Abort


def _root_in(what: str) -> bytes | None:
    path = Path(what)
    if not path.is_file():
        return None
    data = _read(path)
    return data if data.startswith(b'{"signatures":') else None


def _read(path: Path) -> bytes:
    from expert_kit.registry.plain_file import read_plain

    try:
        return read_plain(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="name the publisher's file", code="trust_file") from error
