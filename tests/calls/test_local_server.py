"""The embedded model's server: it starts, answers, counts, and never outlives whoever started it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.calls.local_server import Launch, LocalServer, serve
from harness.calls.weights import pull
from harness.catalogue.weights import models_folder
from harness.errors import ProviderError

MODEL = "smollm2-135m-instruct"
REPOSITORY = Path(__file__).parents[2]
LIMIT_S = 30.0

WITHOUT_LIBRARY = """
import runpy, sys
sys.modules["xllamacpp"] = None
runpy.run_module("harness.calls.local_process", run_name="__main__")
"""
DIES = "import os, signal, sys; sys.stderr.write('about to die\\n'); os.kill(os.getpid(), {})"
HANGS = "import sys; sys.stdin.read()"
PARENT = """
import sys
from pathlib import Path
from harness.calls.local_server import LocalServer
server = LocalServer.start("m", Path(sys.argv[1]), log=Path(sys.argv[2]))
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def gguf() -> Path:
    """The default weights, kept between runs."""
    environ = {"HARNESS_MODELS": str(REPOSITORY / ".harness" / "models"), **os.environ}
    return pull(MODEL, folder=models_folder(environ), progress=lambda _done, _total: None)


@pytest.fixture(scope="module")
def server(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A running server that several tests ask."""
    with LocalServer.start(MODEL, gguf, log=tmp_path_factory.mktemp("server") / "server.log") as running:
        yield running


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """A launch whose weights begin like a GGUF file and are none."""
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + bytes(1000))
    return Launch(model="m", gguf=damaged, log=tmp_path / "logs" / "server.log")


def fetch(url: str, key: str | None, body: dict[str, Any] | None = None) -> Any:
    """The JSON that a request brings; raises HTTPError for a refusal."""
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=LIMIT_S) as response:
        return json.load(response)


def question(text: str = "Say hello.", **settings: Any) -> dict[str, Any]:
    """A chat request for at most four tokens."""
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 4, "temperature": 0} | settings


def refusal(url: str, key: str | None, body: dict[str, Any]) -> int:
    """The status with which a request is refused."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(url, key, body)
    caught.value.close()
    return caught.value.code


def variant(launch: Launch, **changes: Any) -> Launch:
    """The launch with other values; `program` may be the text of a Python program."""
    values = {name: getattr(launch, name) for name in Launch.__dataclass_fields__} | changes
    if isinstance(values["program"], str):
        values["program"] = (sys.executable, "-c", values["program"])
    return Launch(**values)


def gone(pid: int) -> bool:
    """Whether a process of another parent ends within the limit."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        state = Path(f"/proc/{pid}/stat")
        # A dead child of a dead parent may wait as a zombie where nobody reaps it.
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.local_model
def test_chat_is_answered(server: LocalServer) -> None:
    """A started server answers a chat request in the OpenAI form, tokens counted."""
    answer = fetch(f"{server.url}/chat/completions", server.key, question())
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] <= 4
    assert answer["choices"][0]["finish_reason"] in ("length", "stop")


@pytest.mark.local_model
def test_count_is_exact(server: LocalServer) -> None:
    """Each answered request counts once, several choices as one; a refused one does not count."""
    before = server.requests()
    assert before is not None
    for _ in range(2):
        fetch(f"{server.url}/chat/completions", server.key, question(max_tokens=1))
    fetch(f"{server.url}/chat/completions", server.key, question(max_tokens=1, n=2))
    assert refusal(f"{server.url}/chat/completions", server.key, question(max_tokens="many")) == 400
    assert server.requests() == before + 3


@pytest.mark.local_model
def test_wrong_key_is_refused(server: LocalServer) -> None:
    """Another program on the machine does not get in without the key."""
    assert refusal(f"{server.url}/chat/completions", "wrong", question()) == 401
    assert refusal(f"{server.url}/chat/completions", None, question()) == 401


@pytest.mark.local_model
def test_context_is_that_of_each_slot(server: LocalServer) -> None:
    """The context asked for is what one conversation gets, not what all share."""
    slots = fetch(server.url.removesuffix("/v1") + "/slots", server.key)
    assert [slot["n_ctx"] for slot in slots] == [2048, 2048]


@pytest.mark.local_model
def test_nothing_sent_means_nothing_cut(server: LocalServer) -> None:
    """Sampling that a request does not mention is that of hosted services: temperature 1, no tail cut."""
    props = fetch(server.url.removesuffix("/v1") + "/props", server.key)
    sampling = props["default_generation_settings"]["params"]
    assert [sampling[name] for name in ("temperature", "top_p", "top_k", "min_p")] == [1.0, 1.0, 0, 0.0]


@pytest.mark.local_model
def test_prompt_and_key_stay_out_of_the_log(server: LocalServer) -> None:
    """The log holds neither what was asked nor the key."""
    fetch(f"{server.url}/chat/completions", server.key, question("Xylophones are green.", max_tokens=1))
    log = server.log.read_text()
    assert "Xylophones" not in log
    assert server.key is not None
    assert server.key not in log


@pytest.mark.local_model
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system shows no command lines")
def test_key_is_not_shown(server: LocalServer) -> None:
    """Neither repr nor the command line, which every user of the machine can read, has the key."""
    assert server.key is not None
    assert server.key not in repr(server)
    assert server.key not in Path(f"/proc/{server.pid}/cmdline").read_text()


@pytest.mark.local_model
def test_closed_server_is_gone(gguf: Path, tmp_path: Path) -> None:
    """Closing ends the process; closing again does nothing, and the count can still be read."""
    server = serve(Launch(model=MODEL, gguf=gguf, log=tmp_path / "server.log", slots=1, context_tokens=256))
    assert server.alive
    fetch(f"{server.url}/chat/completions", None, question(max_tokens=1))
    server.close()
    server.close()
    assert not server.alive
    assert server.requests() == 1


@pytest.mark.local_model
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are watched through /proc")
def test_killed_parent_leaves_no_server(gguf: Path, tmp_path: Path) -> None:
    """A parent that ends by SIGKILL, which it cannot handle, takes the server with it."""
    command = [sys.executable, "-c", PARENT, str(gguf), str(tmp_path / "server.log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.send_signal(signal.SIGKILL)
        assert parent.wait(timeout=LIMIT_S) == -signal.SIGKILL
    assert gone(pid)


@pytest.mark.local_model
def test_damaged_weights_are_named(launch: Launch) -> None:
    """Weights that cannot be loaded are refused naming the file and the library's reason."""
    with pytest.raises(ProviderError, match=r"damaged\.gguf' cannot be loaded \(.+\).*pull it again"):
        serve(launch)


@pytest.mark.local_model
def test_taken_port_is_named(launch: Launch) -> None:
    """A fixed port that another program holds is refused naming the port."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ProviderError, match=f"port {port} of 127.0.0.1 is taken"):
            serve(variant(launch, port=port))


def test_missing_library_names_the_way_out(launch: Launch) -> None:
    """Without xllamacpp the error says how to install it, and how to do without."""
    with pytest.raises(ProviderError, match=r"pip install 'xllamacpp>=.*api_base"):
        serve(variant(launch, program=WITHOUT_LIBRARY))


@pytest.mark.skipif(os.name == "nt", reason="Windows has exit codes in place of signals")
def test_old_processor_is_named(launch: Launch) -> None:
    """Death by an illegal instruction is told as what it means."""
    with pytest.raises(ProviderError, match=r"lacks instructions.*AVX2.*api_base"):
        serve(variant(launch, program=DIES.format("signal.SIGILL")))


@pytest.mark.skipif(os.name == "nt", reason="Windows has exit codes in place of signals")
def test_death_is_told_with_its_signal(launch: Launch) -> None:
    """A process killed from outside, as for want of memory, is told with the signal and its last words."""
    with pytest.raises(ProviderError, match=r"SIGKILL, perhaps for want of memory.*ends with 'about to die'"):
        serve(variant(launch, program=DIES.format("signal.SIGKILL")))


def test_silent_end_is_told_with_its_code(launch: Launch) -> None:
    """A process that ends without a word is told with its exit code."""
    with pytest.raises(ProviderError, match="ended with exit code 7"):
        serve(variant(launch, program="raise SystemExit(7)"))


def test_slow_start_is_given_up(launch: Launch) -> None:
    """A server that does not answer within the time-out is ended and told."""
    with pytest.raises(ProviderError, match=r"did not answer within 0\.01 s"):
        serve(variant(launch, program=HANGS, timeout_s=0.01))


def test_launch_does_not_show_its_key(launch: Launch) -> None:
    """The key is no part of how a launch prints."""
    assert "hunter2" not in repr(variant(launch, key="hunter2"))


def test_process_imports_nothing_heavy() -> None:
    """The child starts fast: of the package it loads only itself, and no library before it needs one."""
    program = (
        "import sys, harness.calls.local_process;"
        "print(*sorted(m for m in sys.modules if m.partition('.')[0] in ('harness', 'xllamacpp', 'numpy')))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["harness", "harness.calls", "harness.calls.local_process"]
