"""The simulator over HTTP: every way to speak to it, every fault, and what it counts."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from harness.calls.direct_lane import DirectProvider
from harness.calls.provider import Provider, ProviderFault
from harness.clock import SystemClock
from harness.errors import ProviderError
from harness.plan.planner import make_plan
from harness.records import Call, Reply, Settings
from harness.testing.builders import a_call, a_settings
from harness.testing.contracts import ProviderContract
from harness.testing.delays import constant
from harness.testing.experiment_files import served_at, world_answers
from harness.testing.faults import Fault, FaultKind, Moment, parse_faults
from harness.testing.http_server import SimulatorServer
from harness.testing.simulator import simulated_experiment
from harness.trials.evaluate import make_call

CHAT = "/v1/chat/completions"
PATIENCE = 20_000  # round trips to wait for something that has to happen


def call(number: int = 0, **settings: Any) -> Call:
    """A call of its own for each number."""
    made = a_settings(**({"model": "openai/m", "max_output_tokens": 64} | settings))
    return a_call(settings=made, sample_id=f"s{number}", repeat=number)


def ask(server: SimulatorServer, *calls: Call, key: str | None = None) -> list[Any]:
    """Outcomes of these calls through the direct lane, all at once; faults are returned."""

    async def run() -> list[Any]:
        provider = DirectProvider(server.api_base, key)
        try:
            return await asyncio.gather(*map(provider.complete, calls), return_exceptions=True)
        finally:
            await provider.close()

    return asyncio.run(run())


def body(number: int = 0, **more: Any) -> bytes:
    """A request body of its own for each number."""
    messages = [{"role": "user", "content": f"question {number}"}]
    return json.dumps({"model": "m", "messages": messages, **more}).encode()


def raw(data: bytes, *headers: str) -> bytes:
    """A whole request as it goes over the wire."""
    lines = [f"POST {CHAT} HTTP/1.1", "Host: x", *headers, f"Content-Length: {len(data)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def connect(server: SimulatorServer) -> socket.socket:
    """A connection to the server."""
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20)


def answers(connection: socket.socket, count: int = 1) -> list[bytes]:
    """As many answers with a Content-Length, heads included, or fewer when the connection ends."""
    buffer, found = b"", []
    while len(found) < count:
        head, end, rest = buffer.partition(b"\r\n\r\n")
        if end:
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(rest) >= length:
                found.append(head + end + rest[:length])
                buffer = rest[length:]
                continue
        portion = connection.recv(65536)
        if not portion:
            break
        buffer += portion
    return found


def fetch(url: str, *, data: Any = None, method: str | None = None) -> tuple[int, str, Any]:
    """Status, text and headers of one request by aiohttp."""

    async def run() -> tuple[int, str, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method or ("GET" if data is None else "POST"), url, data=data) as response,
        ):
            return response.status, await response.text(), response.headers

    return asyncio.run(run())


def until(condition: Callable[[], bool]) -> None:
    """Return once it holds; each look is a round trip to the server's thread."""
    assert any(condition() for _ in range(PATIENCE)), "it never happened"


def always(kind: FaultKind, **parts: Any) -> Callable[[Moment], Fault | None]:
    """This fault for every request."""
    return lambda moment: Fault(kind, **parts)


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """A server that answers at once."""
    with SimulatorServer() as running:
        yield running


class TestTheDirectLaneOverHttp(ProviderContract):
    """The direct lane keeps the provider contract against the simulator: each tests the other."""

    def setup_method(self) -> None:
        """One server that answers, one that fails."""
        self.server, self.broken = SimulatorServer(), SimulatorServer(faults=always("500"))
        self.server.start()
        self.broken.start()

    def teardown_method(self) -> None:
        """End both."""
        self.server.close()
        self.broken.close()

    def make_provider(self) -> Provider:
        """A client of the one that answers."""
        return DirectProvider(self.server.api_base)

    def make_faulty_provider(self) -> Provider:
        """A client of the one that fails."""
        return DirectProvider(self.broken.api_base)

    def requests_sent(self, provider: Any) -> int:
        """The servers count."""
        return self.server.stats().requests + self.broken.stats().requests


# -- the same truth


def test_answers_over_http_are_those_in_process(tmp_path: Path) -> None:
    """Every sample, model and prompt gets the same reply over HTTP as from the simulator in process."""
    experiment = simulated_experiment(tmp_path, n_samples=12, seed=3)
    plan, inside = make_plan(experiment.spec), experiment.simulator()
    ids = [*plan.task.rows.ids("search"), *plan.task.rows.ids("confirm")]
    calls = [
        make_call(plan, settings, plan.task.rows.sample(sample_id), 0)
        for sample_id in ids
        for settings in experiment.world.grid(temperature=[0.0, 0.9], max_output_tokens=[16, 256])
    ]
    with SimulatorServer(world_answers(experiment)) as server:
        outside = ask(server, *calls)
        stats = server.stats()

    async def run() -> list[Reply]:
        return [await inside.complete(one) for one in calls]

    assert outside == asyncio.run(run())
    assert stats.bill_usd == pytest.approx(inside.bill_usd)
    assert stats.requests_by_model == {
        name.partition("/")[2]: n for name, n in inside.requests_by_model.items()
    }


def test_a_seed_stands_for_a_repeat(tmp_path: Path) -> None:
    """One seed always gets one answer, and among many seeds answers differ as repeats do."""
    experiment = simulated_experiment(tmp_path, n_samples=30, seed=3)
    plan = make_plan(experiment.spec)
    settings = Settings(model="sim/small", prompt="plain", temperature=1.0)
    samples = [plan.task.rows.sample(sample_id) for sample_id in plan.task.rows.ids("search")]

    def texts(seed: int) -> list[str]:
        seeded = Settings(model="sim/small", prompt="plain", temperature=1.0, seed=seed)
        return [reply.text for reply in ask(server, *(make_call(plan, seeded, s, 0) for s in samples))]

    with SimulatorServer(world_answers(experiment)) as server:
        first, again, other = texts(5), texts(5), texts(6)
    assert first == again != other
    assert first == [experiment.world.answer(settings, sample.id, 5).text for sample in samples]


def test_a_run_over_http_recommends_what_one_in_process_does(tmp_path: Path) -> None:
    """A whole search against the server spends and decides as the one against the simulator in process."""
    from harness.run import tune

    experiment = simulated_experiment(tmp_path / "made", n_samples=40, search={"n_trials": 3})
    results = []
    with SimulatorServer(world_answers(experiment), faults=parse_faults("badjson:0.1,attempts:1")) as server:
        for name, providers in (("http", None), ("inside", {"sim": experiment.simulator()})):
            results.append(
                tune(
                    served_at(experiment, server.api_base).spec,
                    store=f"sqlite:///{tmp_path / name}.db",
                    reports=tmp_path / name,
                    providers=providers,
                    mlflow=False,
                    clock=_NoWaiting(),
                )
            )
        stats = server.stats()
    over_http, inside = (result.record for result in results)
    assert [trial.settings for trial in over_http.trials] == [trial.settings for trial in inside.trials]
    assert [trial.quality for trial in over_http.trials] == [trial.quality for trial in inside.trials]
    assert stats.faults["badjson"] > 0
    assert stats.requests == inside.spend.calls + stats.faults["badjson"]
    assert stats.bill_usd <= over_http.spend.usd


class _NoWaiting(SystemClock):
    """Real time, but back-off passes at once."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


# -- faults


@pytest.mark.parametrize(
    ("fault", "kind", "charged"),
    [
        (Fault("429", retry_after_s=2.0), "rate_limit", False),
        (Fault("quota"), "quota", False),
        (Fault("401"), "credentials", False),
        (Fault("500"), "overloaded", False),
        (Fault("503"), "overloaded", False),
        (Fault("529"), "overloaded", False),
        (Fault("reset"), "connection", True),
        (Fault("half"), "connection", True),
        (Fault("badjson"), "malformed", True),
    ],
)
def test_a_fault_reaches_the_client(fault: Fault, kind: str, charged: bool) -> None:
    """The direct lane meets the fault that was scheduled, and only answers that were begun are charged."""
    with SimulatorServer(faults=lambda moment: fault) as server:
        (outcome,) = ask(server, call())
        until(lambda: server.stats().in_flight == 0)
        stats = server.stats()
    assert isinstance(outcome, ProviderFault)
    assert outcome.kind == kind
    assert outcome.billed is charged
    assert (stats.bill_usd > 0) is charged
    assert stats.faults == {fault.kind: 1}
    assert sum(stats.answered.values()) + stats.unanswered == 1


@pytest.mark.parametrize(
    ("fault", "retry_after_s"),
    [
        (Fault("429"), None),
        (Fault("429", retry_after_s=2.0), 2.0),
        (Fault("529", retry_after_s=0.25), 0.25),
        (Fault("429", retry_after_wrong="soon"), None),
        (Fault("429", retry_after_wrong="-5"), None),
        (Fault("429", retry_after_wrong=""), None),
    ],
)
def test_retry_after_reaches_the_client(fault: Fault, retry_after_s: float | None) -> None:
    """With it, without it, and with one that says nothing usable."""
    with SimulatorServer(faults=lambda moment: fault) as server:
        (outcome,) = ask(server, call())
        (entry,) = server.log()
    assert outcome.retry_after_s == retry_after_s
    assert entry.retry_after_s == fault.retry_after_s


def test_a_reset_is_a_reset() -> None:
    """The client sees the connection reset, not closed."""
    with SimulatorServer(faults=always("reset")) as server, connect(server) as connection:
        connection.sendall(raw(body()))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_half_an_answer_ends_too_early() -> None:
    """Fewer bytes come than were promised."""
    with SimulatorServer(faults=always("half")) as server, connect(server) as connection:
        connection.sendall(raw(body()))
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, begun = received.partition(b"\r\n\r\n")
    assert 0 < len(begun) < int(head.rpartition(b"content-length: ")[2])


def test_a_slow_body_arrives_whole() -> None:
    """It trickles, and is the true answer."""
    with SimulatorServer(faults=always("slow", slow_s=0.02)) as server, SimulatorServer() as calm:
        assert ask(server, call()) == ask(calm, call())


@pytest.mark.parametrize("kind", ["nousage", "wrongusage"])
def test_usage_that_cannot_be_trusted(kind: FaultKind) -> None:
    """The answer's body has none, or nonsense; the bill is true all the same."""
    with SimulatorServer(faults=always(kind)) as server:
        _, text, _ = fetch(server.url + CHAT, data=body())
        stats = server.stats()
    usage = json.loads(text).get("usage")
    assert usage == (None if kind == "nousage" else {**usage, "prompt_tokens": -1, "total_tokens": None})
    assert stats.bill_usd == pytest.approx((stats.input_tokens * 1 + stats.output_tokens * 4) / 1e6)


def test_the_key_in_an_error_does_not_reach_the_fault() -> None:
    """The server echoes the key in full, and the direct lane hides it."""
    with SimulatorServer(faults=always("401")) as server:
        (outcome,) = ask(server, call(), key="topsecret-1")
        with connect(server) as connection:
            connection.sendall(raw(body(), "Authorization: Bearer topsecret-1"))
            (answer,) = answers(connection)
    assert b"topsecret-1" in answer
    assert "topsecret-1" not in outcome.message


def test_hanging_requests_are_in_flight_and_on_the_bill() -> None:
    """Nothing ever comes; when the client gives up, the request counts as unanswered."""
    with SimulatorServer(faults=always("hang")) as server:
        connections = [connect(server) for _ in range(50)]
        for number, connection in enumerate(connections):
            connection.sendall(raw(body(number)))
        until(lambda: server.stats().in_flight == 50)
        assert (server.stats().peak_in_flight, server.stats().charged) == (50, 50)
        for connection in connections:
            connection.close()
        until(lambda: server.stats().in_flight == 0)
        stats = server.stats()
        assert all(entry.finished_at is None for entry in server.log())
    assert (stats.requests, stats.unanswered, stats.answered, stats.connections) == (50, 50, {}, 0)


def test_a_retried_request_may_succeed() -> None:
    """With a schedule by body and attempt, retrying gets through, and everybody's fate is the same twice."""
    schedule = parse_faults("500:0.5,badjson:0.3,attempts:5", seed=7)

    def fates() -> list[list[str]]:
        with SimulatorServer(faults=schedule) as server:
            rounds = [ask(server, *map(call, range(40))) for _ in range(6)]
        return [[getattr(outcome, "kind", "answer") for outcome in row] for row in rounds]

    first = fates()
    assert first == fates()
    assert all("answer" in fate for fate in zip(*first, strict=True))


# -- HTTP


def test_a_stream_says_what_the_whole_says(server: SimulatorServer) -> None:
    """Words of server-sent events add up to the plain answer, and usage comes when asked for."""
    _, whole, _ = fetch(server.url + CHAT, data=body())
    options = {"include_usage": True}
    _, text, headers = fetch(server.url + CHAT, data=body(stream=True, stream_options=options))
    assert headers["content-type"].startswith("text/event-stream")
    events = [event.removeprefix("data: ") for event in text.split("\n\n") if event]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    said = "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"])
    assert said == json.loads(whole)["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"] == json.loads(whole)["usage"]


def test_a_timed_stream_arrives(server: SimulatorServer) -> None:
    """Events that are sent one by one are one answer."""
    with SimulatorServer(delay=constant(0.02)) as slow:
        assert (
            fetch(slow.url + CHAT, data=body(stream=True))[1]
            == (fetch(server.url + CHAT, data=body(stream=True))[1])
        )


def test_a_chunked_request_is_understood(server: SimulatorServer) -> None:
    """A body that comes in chunks is the same request as one with a length."""

    async def portions() -> Any:
        for start in range(0, len(body()), 7):
            yield body()[start : start + 7]

    fetch(server.url + CHAT, data=body())
    status, _, _ = fetch(server.url + CHAT, data=portions())
    assert status == 200
    assert set(server.bodies().values()) == {2}


def test_pipelined_requests_are_answered_in_order() -> None:
    """Many requests sent at once on one connection get their own answers, also when these take time."""
    with SimulatorServer() as server, SimulatorServer(delay=constant(0.001)) as slow:
        numbers = range(1, 60)
        for each in (server, slow):
            with connect(each) as connection:
                connection.sendall(b"".join(raw(body(n, model=f"m{n}")) for n in numbers))
                found = answers(connection, len(numbers))
            models = [json.loads(answer.partition(b"\r\n\r\n")[2])["model"] for answer in found]
            assert models == [f"m{n}" for n in numbers]
        assert slow.stats().peak_in_flight == 1


def test_a_client_that_gives_up_is_no_longer_in_flight() -> None:
    """A time-out of the client ends its request at the server too, long before the answer was due."""
    with SimulatorServer(delay=constant(3600.0)) as server:
        with connect(server) as connection:
            connection.sendall(raw(body()))
            until(lambda: server.stats().in_flight == 1)
        until(lambda: server.stats().in_flight == 0)
        assert (server.stats().unanswered, server.stats().charged) == (1, 1)


def test_a_request_in_single_bytes(server: SimulatorServer) -> None:
    """However the network cuts it, it is one request."""
    with connect(server) as connection:
        for byte in raw(body()):
            connection.sendall(bytes([byte]))
        (answer,) = answers(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.stats().requests == 1


def test_a_client_that_waits_to_be_invited(server: SimulatorServer) -> None:
    """`Expect: 100-continue` is answered before the body is sent."""
    with connect(server) as connection:
        head, _, data = raw(body(), "Expect: 100-continue").partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(data)
        assert answers(connection)[0].startswith(b"HTTP/1.1 200 ")


def test_a_connection_closes_when_the_client_says_so(server: SimulatorServer) -> None:
    """`Connection: close` is honoured and echoed."""
    with connect(server) as connection:
        connection.sendall(raw(body(), "Connection: close"))
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"\r\nconnection: close\r\n" in received


def test_what_is_no_http_is_told_and_closed(server: SimulatorServer) -> None:
    """Nonsense gets 400 and the end of the connection."""
    with connect(server) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 400 ")


def test_many_connections_at_once(server: SimulatorServer) -> None:
    """Three hundred clients are served side by side, and counted until they leave."""
    connections = [connect(server) for _ in range(300)]
    for number, connection in enumerate(connections):
        connection.sendall(raw(body(number)))
    found = [answers(connection) for connection in connections]
    assert all(len(answer) == 1 for answer in found)
    assert server.stats().connections == 300
    for connection in connections:
        connection.close()
    until(lambda: server.stats().connections == 0)
    assert server.stats().answered == {200: 300}


def test_a_large_answer_to_a_client_that_does_not_read() -> None:
    """It counts as finished only once the network took all of it; gone before that, as unanswered."""
    from harness.testing.sources import FixedAnswers

    with SimulatorServer(FixedAnswers("x" * 20_000_000)) as server:
        connection = connect(server)
        connection.sendall(raw(body()))
        until(lambda: server.stats().bytes_out > 20_000_000)
        assert (server.stats().in_flight, server.stats().answered) == (1, {})
        connection.close()
        until(lambda: server.stats().in_flight == 0)
        assert server.stats().unanswered == 1
        with connect(server) as patient:
            patient.sendall(raw(body()))
            assert len(answers(patient)) == 1
            until(lambda: server.stats().answered == {200: 1})


# -- what it tells


def test_models_and_health(server: SimulatorServer) -> None:
    """Both answer clients that look before they ask, and are no requests of the count."""
    assert json.loads(fetch(server.url + "/health")[1]) == {"status": "ok"}
    models = json.loads(fetch(server.url + "/v1/models")[1])
    assert [model["id"] for model in models["data"]] == ["sim-small", "sim-large"]
    assert fetch(server.url + "/nowhere")[0] == 404
    assert fetch(server.url + CHAT, method="GET")[0] == 405
    assert server.stats().requests == 0


def test_the_counts_over_http(server: SimulatorServer) -> None:
    """`/stats`, with bodies on demand, and `/log` say what Python is told; `/reset` begins anew."""
    ask(server, call(0), call(0), call(1, model="openai/other"))
    stats = json.loads(fetch(server.url + "/stats")[1])
    assert (stats["requests"], stats["answered"], stats["in_flight"]) == (3, {"200": 3}, 0)
    assert stats["requests_by_model"] == {"m": 2, "other": 1}
    assert stats["bill_usd"] == server.stats().bill_usd > 0
    assert "bodies" not in stats
    bodies = json.loads(fetch(server.url + "/stats?bodies=1")[1])["bodies"]
    assert bodies == server.bodies()
    assert sorted(bodies.values()) == [1, 2]
    entries = json.loads(fetch(server.url + "/log")[1])["entries"]
    assert [entry["number"] for entry in entries] == [1, 2, 3]
    assert [entry["attempt"] for entry in entries if bodies[entry["body"]] == 2] == [1, 2]
    assert all(entry["status"] == 200 and entry["finished_at"] is not None for entry in entries)
    assert json.loads(fetch(server.url + "/reset", method="POST")[1]) == {"status": "reset"}
    assert (server.stats().requests, server.bodies(), server.log()) == (0, {}, [])


def test_limits_are_told_and_kept() -> None:
    """Every answer tells the limit; beyond it comes 429 with the time to wait."""
    with SimulatorServer(rpm=2) as server:
        responses = [fetch(server.url + CHAT, data=body(n)) for n in range(3)]
        (outcome,) = ask(server, call())
    assert [status for status, _, _ in responses] == [200, 200, 429]
    assert [headers["x-ratelimit-limit-requests"] for _, _, headers in responses] == ["2"] * 3
    assert [headers["x-ratelimit-remaining-requests"] for _, _, headers in responses] == ["1", "0", "0"]
    assert outcome.kind == "rate_limit"
    assert 0 < outcome.retry_after_s <= 30


# -- beginning and ending


def test_closing_lets_answers_under_way_finish() -> None:
    """A request that came before the end is answered, and told that the connection ends."""
    server = SimulatorServer(delay=constant(0.05), grace_s=20)
    server.start()
    with connect(server) as connection:
        connection.sendall(raw(body()))
        until(lambda: server.stats().in_flight == 1)
        closing = threading.Thread(target=server.close)
        closing.start()
        found = answers(connection, 2)
        closing.join()
    assert len(found) == 1
    assert (server.stats().answered, server.stats().connections) == ({200: 1}, 0)
    with pytest.raises(OSError, match="refused"):
        connect(server)


def test_a_port_that_is_taken(server: SimulatorServer) -> None:
    """The message names the port and what to do."""
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(ProviderError, match=f"port {port} .*take another"):
        SimulatorServer(port=port).start()


def test_closing_twice_or_unstarted_is_harmless() -> None:
    """Nobody has to remember whether it was started or closed."""
    server = SimulatorServer()
    server.close()
    server.start()
    server.close()
    server.close()
    assert server.stats().requests == 0


def test_nothing_is_left_open() -> None:
    """Hanging, pipelined and idle clients at the end leave no socket or loop for Python to warn about."""
    script = """
import gc, socket
from harness.testing.faults import parse_faults
from harness.testing.http_server import SimulatorServer
body = b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'
request = b"POST /v1/chat/completions HTTP/1.1\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body
with SimulatorServer(faults=parse_faults("hang:0.5,half:0.2,reset:0.2,by:count"), grace_s=0.1) as server:
    clients = [socket.create_connection(("127.0.0.1", int(server.url[17:]))) for _ in range(20)]
    for client in clients[:15]:
        client.sendall(request * 3)
for client in clients:
    client.close()
del server
gc.collect()
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
