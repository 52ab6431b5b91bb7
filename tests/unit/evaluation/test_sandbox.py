"""Code that wants out of the sandbox, or a result that it did not earn. None of it goes through the check of its source first."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from expert_kit.errors import CheckUnavailableError
from expert_kit.evaluation import sandbox
from expert_kit.evaluation.sandbox import Result, run_calls, same

# Reaches the real builtins, and so every module, from inside: what the check of the source keeps out of answers.
ESCAPE = """
def real(name):
    for kind in ().__class__.__base__.__subclasses__():
        init = kind.__init__
        if hasattr_(init, '__globals__') and 'sys' in init.__globals__:
            return init.__globals__['sys'].modules[name]

def hasattr_(value, name):
    try:
        value.__globals__
    except AttributeError:
        return False
    return True
"""


def only(source: str, *calls: str) -> Result:
    """The one result of the function ``f``."""
    outcome = run_calls(source, "f", calls or ("()",))
    assert outcome.error == ""
    return outcome.results[0]


def errors_of(source: str, expressions: Iterable[str]) -> dict[str, str]:
    """Error of each expression, all of them in one process; the value of one that has none."""
    expressions = list(expressions)
    actions = ",\n".join(f"    lambda: {expression}" for expression in expressions)
    outcome = run_calls(
        f"{source}\nACTIONS = [\n{actions}\n]\ndef f(n):\n    return ACTIONS[n]()", "f", [f"({n},)" for n in range(len(expressions))]
    )
    assert outcome.error == ""
    return {one: result.error or repr(result.value) for one, result in zip(expressions, outcome.results, strict=True)}


def test_values_come_back_as_they_are():
    values = ["None", "True", "-5", "2.5", "1e300", "'ü\\u2028'", "[1, [2]]", "(1, 'a')", "{'a': [1], 2: None}", "[]", "{1, 2}"]
    calls = [f"({value},)" for value in values]
    outcome = run_calls("def f(x):\n    return x", "f", calls)
    expected = [None, True, -5, 2.5, 1e300, "ü\u2028", [1, [2]], (1, "a"), {"a": [1], 2: None}, [], {1, 2}]
    assert [result.value for result in outcome.results] == expected


def test_each_call_gets_arguments_of_its_own():
    outcome = run_calls("def f(x):\n    x.append(1)\n    return x", "f", ["([],)", "([],)"])
    assert [result.value for result in outcome.results] == [[1], [1]]


def test_permitted_modules_are_there_and_their_own_imports_are_not():
    source = "import math\nfrom collections import Counter\ndef f(x):\n    return [math.sqrt(x), Counter('aab').most_common(1)]"
    outcome = run_calls(source, "f", ["(4,)"], modules=["math", "collections"])
    assert outcome.results[0].value == [2.0, [("a", 2)]]
    outcome = run_calls("import statistics\ndef f():\n    return statistics.sys", "f", ["()"], modules=["statistics"])
    assert outcome.results[0].error == "raised AttributeError"


def test_what_is_not_there_or_no_value_is_an_error_of_that_call():
    expected = {
        "open('/etc/passwd').read()": "raised NameError",
        "__import__('os')": "raised ImportError",
        "eval('1')": "raised NameError",
        "again()": "raised RecursionError",
        "1 / 0": "raised ZeroDivisionError",
        "leave()": "raised StopIteration",
        "[0] * 10 ** 12": "raised MemoryError",
        "'x' * 10 ** 6": "returned a value that is too large",
        "[0] * 10 ** 6": "returned a value that is too large",
        "10 ** 5000": "returned a number that is too large",
        "(x for x in [1])": "returned a value of type generator",
        "map(str, [1])": "returned a value of type map",
        "again": "returned a value of type function",
        "endless": "returned a value that is too large",
    }
    source = "endless = []\nendless.append(endless)\ndef again():\n    return again()\ndef leave():\n    raise StopIteration\n"
    assert errors_of(source, expected) == expected


def test_a_process_that_takes_too_long_by_the_clock_is_ended_with_its_group(monkeypatch):
    monkeypatch.setattr(sandbox, "PATIENCE", 2.0)
    monkeypatch.setattr(sandbox, "SECONDS", 60)
    started = time.monotonic()
    outcome = run_calls("def f():\n    while True:\n        pass", "f", ["()"])
    assert outcome.error == "it took too long"
    assert time.monotonic() - started < 15


def test_a_long_computation_inside_one_instruction_is_ended_too(monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 1)
    assert run_calls("def f(n):\n    return 7 ** 7 ** n % 3", "f", ["(10,)"]).error == "its process was ended: too much time or memory"


def test_code_that_reached_the_real_modules_is_refused_what_leads_outside():
    expected = dict.fromkeys(
        (
            "real('posix').system('true')",
            "real('posix').fork()",
            "real('posix').open('/etc/passwd', 0)",
            "real('posix').listdir('/')",
            "real('posix').kill(1, 0)",
            "real('posix').chmod('/', 0)",
            "real('builtins').open('/etc/passwd').read()",
            "real('builtins').open('made', 'w')",
            "real('builtins').eval('1')",
            "real('builtins').exec('1')",
            "real('builtins').__import__('socket').socket()",
            "real('_io').FileIO('/etc/passwd')",
            "real('sys')._getframe()",
            "real('ast').parse('1')",
        ),
        "raised PermissionError",
    )
    assert errors_of(ESCAPE, expected) == expected


@pytest.mark.parametrize(
    "body",
    [
        "real('posix')._exit(0)",
        "real('posix').write(3, b'[[true]]\\n') and real('posix')._exit(0)",
        "[real('sys').modules.clear(), real('json').dumps]",
    ],
)
def test_code_that_ends_or_breaks_the_process_has_no_result(body):
    outcome = run_calls(f"{ESCAPE}\ndef f():\n    return {body}", "f", ["()"])
    assert outcome.error or outcome.results[0].error
    assert all(result.value is None for result in outcome.results)


def test_changed_builtins_change_no_result():
    source = f"""{ESCAPE}
def f():
    for name in ("str", "repr", "len", "type", "dict", "list", "isinstance"):
        real('builtins').__dict__[name] = lambda *_: True
    real('json').dumps = lambda *_: '[{{"value": true}}]'
    return 5"""
    outcome = run_calls(source, "f", ["()"])
    # The code may break what reports it, and then has no result; it never has another one than its own.
    assert [result.value for result in outcome.results] in ([], [None], [5])


def test_the_tables_can_be_read_where_processes_have_no_limits(monkeypatch: pytest.MonkeyPatch):
    """As on Windows, which has no ``resource``; the check of a source reads them, and the room imports that."""
    monkeypatch.setitem(sys.modules, "resource", None)
    tables = runpy.run_path(str(sandbox._RUNNER), run_name="read")
    assert "math" in tables["MODULES"]


def test_the_kernel_itself_refuses_files_sockets_and_processes():
    # Without the audit hook and with all of Python: what is left if somebody gets around what Python does.
    probe = f"""
import os, resource, socket, sys
sys.path.insert(0, {str(Path(sandbox.__file__).parent)!r})
import sandbox_runner, tempfile
folder = tempfile.mkdtemp()
done = sandbox_runner.confine(folder)
sandbox_runner.limit(5, 512 * 2**20)
for name, action in {{
    "file": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "written": lambda: os.open("made", os.O_CREAT | os.O_WRONLY),
    "socket": lambda: socket.socket(),
    "fork": lambda: os.fork() or os._exit(0),
    "limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    "memory": lambda: bytearray(2**30),
}}.items():
    try:
        action()
    except (OSError, ValueError, MemoryError) as error:
        print(name, type(error).__name__)
    else:
        print(name, "permitted")
print("done", *done)
"""
    shown = subprocess.run([sys.executable, "-I", "-c", probe], capture_output=True, text=True, check=True).stdout.split("\n")
    assert [line for line in shown if "permitted" in line] == []
    assert len(shown) == 8


def test_on_this_system_it_is_told_what_the_kernel_took_away():
    outcome = run_calls("def f():\n    return 1", "f", ["()"])
    assert outcome.confined <= {"network", "files", "user"}
    if os.geteuid() == 0:
        assert "user" in outcome.confined


def test_an_object_that_says_it_equals_everything_is_no_value():
    bare = "().__class__.__class__"
    source = f"def f():\n    return {bare}('A', (int,), {{'__eq__': lambda self, other: True}})(3)"
    assert only(source) == Result(None, "returned a value of type A")


def test_a_fork_bomb_ends_without_processes_left():
    bomb = "while True:\n        try:\n            real('posix').fork()\n        except Exception:\n            return 'refused'"
    assert only(f"{ESCAPE}\ndef f():\n    {bomb}").value == "refused"


def test_output_without_end_is_cut(monkeypatch):
    monkeypatch.setattr(sandbox, "MAX_OUTPUT", 2000)
    outcome = run_calls("def f(n):\n    return 'x' * n", "f", ["(3000,)"])
    assert (outcome.results, outcome.error != "") == ((), True)


def test_printing_is_permitted_and_goes_nowhere():
    assert only("def f():\n    print('passed')\n    return 1") == Result(1, "")


def test_code_that_fails_when_it_is_defined_fails_every_call():
    outcome = run_calls("x = 1 / 0\ndef f():\n    return 1", "f", ["()", "()"])
    assert [result.error for result in outcome.results] == ["raised ZeroDivisionError when it was defined"] * 2
    assert only("def f():\n    nonlocal x").error == "raised SyntaxError when it was defined"


def test_a_system_that_cannot_start_the_process_is_no_wrong_answer(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "_RUNNER", tmp_path / "absent.py")
    with pytest.raises(CheckUnavailableError) as caught:
        run_calls("def f():\n    return 1", "f", ["()"])
    assert caught.value.code == "sandbox_unavailable"


@pytest.mark.parametrize(
    ("value", "expected", "equal"),
    [
        (2, 2.0, True),
        (0.1 + 0.2, 0.3, True),
        (True, 1, False),
        (1, True, False),
        ([1], (1,), False),
        ([1, 2], [1], False),
        ([1, True], [1, True], True),
        ({1, 2}, {2, 1}, True),
        ({"a": 1.0}, {"a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        ("1", 1, False),
        (None, 0, False),
        (10**400, 1.5, False),
        (float("nan"), float("nan"), True),
    ],
)
def test_results_are_compared_by_kind_and_value(value, expected, equal):
    assert same(value, expected) is equal
