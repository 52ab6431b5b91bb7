"""Runs inside the sandbox: a script for ``python -I -S`` that calls one function of a stranger and reports what came back.

Import nothing of it but its tables, which every system can read. It reads a job from standard input (see ``sandbox.py``, which starts it),
gives up what it can of its rights, and only then runs the stranger's code. It knows the arguments of the calls and not the results they
should have, so there is nothing to copy or to fake: who wants to pass has to return the right values. What the code is confined by, from
the outside in:

- namespaces without network, an empty root folder, another user and ``no_new_privs``, each where the system permits it;
- limits on CPU time and address space, and none of these any more: processes, open files (so no sockets either), written bytes;
- an audit hook that refuses every audited action, such as opening a file or a socket, importing, or starting a process;
- builtins without ``open``, ``eval``, ``getattr`` and the like, and imports that are copies of a few harmless names.

The first two are the kernel's and hold; the last two are Python's and are there to fail early. There is no system call filter.
"""

# ruff: noqa: PLC0415, BLE001, SIM905

import ast
import builtins
import collections
import importlib
import json
import os
import sys
import types
from collections.abc import Callable
from typing import Any

NAMES = """ArithmeticError AssertionError AttributeError BaseException Exception FloatingPointError IndexError KeyError LookupError
    MemoryError NotImplemented NotImplementedError OverflowError RecursionError RuntimeError StopIteration TypeError UnicodeError
    ValueError ZeroDivisionError abs all any ascii bin bool bytes callable chr complex dict divmod enumerate filter float format
    frozenset hash hex int isinstance issubclass iter len list map max min next oct ord pow range repr reversed round set slice sorted
    str sum tuple zip""".split()
"""Builtins that a small function may use."""
MODULES = {
    "bisect": "bisect bisect_left bisect_right insort",
    "collections": "Counter OrderedDict defaultdict deque",
    "functools": "cache cmp_to_key lru_cache reduce",
    "heapq": "heapify heappop heappush nlargest nsmallest",
    "itertools": "accumulate chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse groupby islice "
    "pairwise permutations product repeat starmap takewhile zip_longest",
    "math": "ceil comb cos dist e exp factorial fabs floor fmod fsum gcd hypot inf isclose isfinite isinf isnan isqrt lcm log log10 log2 "
    "nan perm pi pow prod radians degrees sin sqrt tan tau trunc",
    "operator": "add and_ floordiv itemgetter mod mul neg not_ or_ sub truediv xor",
    "re": "IGNORECASE I MULTILINE M DOTALL S compile escape findall finditer fullmatch match search split sub",
    "statistics": "mean median mode multimode pstdev pvariance stdev variance",
    "string": "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits punctuation whitespace",
    "typing": "Any Callable Dict FrozenSet Iterable Iterator List Optional Sequence Set Tuple Union",
}
"""Module -> what of it may be imported."""
MAX_DEPTH, MAX_ITEMS = 12, 20_000
"""Of a returned value."""
_NEW_USER, _NEW_NETWORK, _NEW_IPC, _NEW_UTS = 0x10000000, 0x40000000, 0x08000000, 0x04000000
_NO_NEW_PRIVS = 38
_NOBODY = 65534


class UnreadableValueError(Exception):
    """A returned value is none that can be sent."""


def encoded(value: Any, left: list[int], depth: int = 0) -> Any:
    """The value as JSON with tags; of these types only, not of types that inherit from them and might lie."""
    kind = type(value)
    left[0] -= 1 + (len(value) // 8 if kind is str else 0)
    if left[0] < 0 or depth > MAX_DEPTH:
        raise UnreadableValueError("a value that is too large")
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        if value.bit_length() > 8_000:
            raise UnreadableValueError("a number that is too large")
        return {"int": str(value)}
    if kind is float:
        return {"float": repr(value)}
    for of, tag in ((list, "list"), (tuple, "tuple"), (set, "set"), (frozenset, "set")):
        if kind is of:
            return {tag: [encoded(item, left, depth + 1) for item in value]}
    if kind in (dict, collections.Counter, collections.OrderedDict, collections.defaultdict):
        return {"dict": [[encoded(key, left, depth + 1), encoded(item, left, depth + 1)] for key, item in dict.items(value)]}
    raise UnreadableValueError(f"a value of type {kind.__name__[:40]}")


def confine(folder: str) -> list[str]:
    """Give up rights, and tell what was given up: words among ``network``, ``files``, ``user``."""
    done: list[str] = []
    libc = _libc()
    as_root = os.geteuid() == 0
    apart = _NEW_NETWORK | _NEW_IPC | _NEW_UTS
    if libc is not None and libc.unshare(apart if as_root else apart | _NEW_USER) == 0:
        done.append("network")
    try:
        os.chroot(folder)
        os.chdir("/")
        done.append("files")
    except OSError:
        os.chdir(folder)
    if as_root:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        done.append("user")
    if libc is not None:
        libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    return done


def _libc() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def limit(seconds: int, memory: int) -> None:
    """Bounds of the process; over them it fails or is killed."""
    import resource

    bounds = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        resource.setrlimit(kind, (bound, bound))


def harmless(modules: list[str]) -> dict[str, types.SimpleNamespace]:
    """Copies of the modules that hold the permitted names only."""
    found = {}
    importlib.import_module("heapq")  # Counter.most_common imports it when it is called
    for name in modules:
        module = importlib.import_module(name)
        found[name] = types.SimpleNamespace(**{one: getattr(module, one) for one in MODULES[name].split()})
    return found


def namespace(modules: dict[str, types.SimpleNamespace]) -> dict[str, Any]:
    """What the code sees."""

    def imported(name: str, *_: Any) -> types.SimpleNamespace:
        if name not in modules:
            raise ImportError(f"{name} may not be imported")
        return modules[name]

    seen: dict[str, Any] = {name: getattr(builtins, name) for name in NAMES}
    seen |= {"print": lambda *_, **__: None, "type": lambda value: value.__class__, "__import__": imported}
    return {"__builtins__": seen, "__name__": "answer"}


def refuse_all_but(code: types.CodeType) -> None:
    """Refuse every audited action from here on, but for running this code once."""
    left = [code]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "exec" and left and arguments[0] is left[0]:
            left.clear()
            return
        raise PermissionError(event)

    sys.addaudithook(hook)


def called(function: Callable[..., Any], arguments: tuple[Any, ...]) -> dict[str, Any]:
    """What one call gives, ready to be sent."""
    try:
        return {"value": encoded(function(*arguments), [MAX_ITEMS])}
    except UnreadableValueError as error:
        return {"error": f"returned {error}"}
    except BaseException as error:
        return {"error": f"raised {type(error).__name__[:60]}"}


def main() -> None:
    """Do the job and end."""
    job = json.loads(sys.stdin.buffer.read())
    calls = [ast.literal_eval(arguments) for arguments in job["calls"]]
    modules = harmless(job["modules"])
    importlib.import_module("resource")  # for `limit`, which is called where there are no files any more to import from
    # Type hints are not evaluated, so that a missing import for them is no failure.
    unread = importlib.import_module("__future__").annotations.compiler_flag
    dumps, write, leave, nonce = json.dumps, os.write, os._exit, job["nonce"]
    results = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
    done = confine(job["folder"])
    space = namespace(modules)
    limit(job["seconds"], job["memory"])
    write(results, f"{nonce} {' '.join(done)}\n".encode())
    try:
        code = compile(job["source"], "answer", "exec", flags=unread)
        refuse_all_but(code)
        exec(code, space)
        function = space[job["function"]]
    except BaseException as error:
        found = [{"error": f"raised {type(error).__name__[:60]} when it was defined"}] * len(calls)
    else:
        found = [called(function, arguments) for arguments in calls]
    text = f"{nonce} {dumps(found)}\n".encode()
    while text:
        text = text[write(results, text) :]
    leave(0)


if __name__ == "__main__":
    main()
