"""What the simulated provider sends and when, without sockets: portions with times."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.catalogue.models import Prices
from harness.testing.delays import constant, uniform
from harness.testing.faults import Fault, FaultKind
from harness.testing.http_requests import Request
from harness.testing.http_service import Response, Service
from harness.testing.sources import FixedAnswers
from harness.testing.traffic import RequestLimit


def request(number: int = 0, **more: Any) -> Request:
    """A question of its own for each number: 3 tokens long."""
    body = {"model": "m", "messages": [{"role": "user", "content": f"question {number}"}], **more}
    return Request("POST", "/v1/chat/completions", "", b"", json.dumps(body).encode(), keep_alive=True)


def service(fault: FaultKind | None = None, **parts: Any) -> Service:
    """A provider of a four-word answer where this fault always happens."""
    faults = None if fault is None else lambda moment: Fault(fault, retry_after_s=2.0, slow_s=1.0)
    return Service(source=FixedAnswers("one two three four"), faults=faults, **parts)


def sent(response: Response) -> bytes:
    """All bytes of a response."""
    return b"".join(data for _, data in response.portions)


def answer(response: Response) -> dict[str, Any]:
    """The JSON body of a response."""
    return json.loads(sent(response).partition(b"\r\n\r\n")[2])


def test_a_whole_answer_comes_at_its_time() -> None:
    """Without streaming, everything comes at the end."""
    assert [at for at, _ in service().respond(request()).portions] == [0.0]
    assert [at for at, _ in service(delay=constant(0.8)).respond(request()).portions] == [0.8]


def test_a_stream_is_spread_over_its_time() -> None:
    """The first token comes after a quarter of the time, the rest evenly until the end."""
    response = service(delay=constant(0.8)).respond(request(stream=True))
    moments = [at for at, _ in response.portions]
    assert moments[0] == pytest.approx(0.2)
    assert moments[-1] == pytest.approx(0.8)
    assert moments == sorted(moments)
    assert b"transfer-encoding: chunked" in response.portions[0][1]
    assert response.portions[-1][1].endswith(b"0\r\n\r\n")


def test_a_stream_without_delay_is_one_portion() -> None:
    """What comes at one moment is sent at once."""
    response = service().respond(request(stream=True))
    assert len(response.portions) == 1
    assert sent(response).endswith(b"0\r\n\r\n")


def test_times_depend_on_seed_body_and_attempt_alone() -> None:
    """The same request takes the same time in every process; a repeated one is drawn anew."""

    def times(order: list[int], seed: int = 0) -> dict[int, float]:
        asked = service(delay=uniform(0.0, 1.0), seed=seed)
        return {n: asked.respond(request(n)).portions[0][0] for n in order}

    there = list(range(20))
    assert times(there) == times(there[::-1]) != times(there, seed=1)
    asked = service(delay=uniform(0.0, 1.0))
    assert asked.respond(request()).portions[0][0] != asked.respond(request()).portions[0][0]


def test_the_same_request_gets_the_same_bytes() -> None:
    """Nothing in an answer is random or a clock's."""
    asked = service()
    assert asked.respond(request()).portions == asked.respond(request()).portions
    assert asked.respond(request(1)).portions != asked.respond(request(2)).portions


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("429", 429, "rate_limit_exceeded"),
        ("quota", 429, "insufficient_quota"),
        ("401", 401, "invalid_api_key"),
        ("500", 500, "server_error"),
        ("503", 503, "unavailable"),
        ("529", 529, "overloaded"),
    ],
)
def test_a_status_in_place_of_an_answer_is_free(fault: FaultKind, status: int, code: str) -> None:
    """It comes at once, says what is wrong, is counted as a fault and costs nothing."""
    asked = service(fault, delay=constant(0.8))
    response = asked.respond(request())
    assert response.portions[0][0] == 0.0
    assert sent(response).startswith(b"HTTP/1.1 %d " % status)
    assert answer(response)["error"]["code"] == code
    stats = asked.stats()
    assert (stats.charged, stats.bill_usd, stats.faults) == (0, 0.0, {fault: 1})
    assert asked.log()[0].retry_after_s == 2.0


@pytest.mark.parametrize("fault", ["reset", "half", "slow", "badjson", "hang", "nousage", "wrongusage"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_was_begun_is_charged(fault: FaultKind, stream: bool) -> None:
    """Whatever becomes of it on the way: 3 tokens in at 1 USD a million and 6 out at 4."""
    asked = service(fault)
    asked.respond(request(stream=stream))
    assert asked.stats().bill_usd == pytest.approx((3 * 1 + 6 * 4) / 1e6)
    assert (asked.stats().input_tokens, asked.stats().output_tokens) == (3, 6)


@pytest.mark.parametrize("stream", [False, True])
def test_half_an_answer(stream: bool) -> None:
    """The connection closes in the middle of what was promised."""
    whole = sent(service().respond(request(stream=stream)))
    response = service("half").respond(request(stream=stream))
    assert response.end == "close"
    assert whole.startswith(sent(response))
    assert len(whole) * 0.3 < len(sent(response)) < len(whole) * 0.8


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_that_trickles(stream: bool) -> None:
    """It is whole, but takes its second."""
    response = service("slow", delay=constant(0.8)).respond(request(stream=stream))
    moments = [at for at, _ in response.portions]
    assert (moments[-1] - 0.8, len(moments) > 5) == (pytest.approx(1.0), True)
    assert sent(response) == sent(service().respond(request(stream=stream)))


def test_a_page_in_place_of_json() -> None:
    """Status 200 and HTML, as a proxy sends it."""
    page = sent(service("badjson").respond(request()))
    assert page.startswith(b"HTTP/1.1 200")
    assert b"content-type: text/html" in page
    assert page.endswith(b"</html>\n")


def test_silence_and_a_reset() -> None:
    """Neither sends a byte; a reset comes when the answer would have."""
    assert service("hang").respond(request()).end == "hang"
    response = service("reset", delay=constant(0.8)).respond(request())
    assert (response.portions, response.end, response.end_at_s) == ((), "reset", 0.8)


def test_the_key_comes_back_in_the_error() -> None:
    """Whichever header it was sent in, so that clients can prove they hide it."""
    for header in (b"Authorization: Bearer sk-secret", b"x-api-key: sk-secret"):
        one = Request(
            "POST", "/v1/chat/completions", "", b"POST\r\n" + header, request().body, keep_alive=True
        )
        assert "provided: sk-secret." in answer(service("401").respond(one))["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b"{}", 400), (b"\xff", 400), (b"[" * 100_000, 400)],
)
def test_a_body_that_is_no_question(body: bytes, status: int) -> None:
    """It is refused, counted, and free."""
    asked = service()
    response = asked.respond(Request("POST", "/v1/chat/completions", "", b"", body, keep_alive=True))
    assert sent(response).startswith(b"HTTP/1.1 %d " % status)
    assert (asked.stats().requests, asked.stats().charged) == (1, 0)


def test_prices_by_model() -> None:
    """Each model is billed at its own price, and a model without one is refused."""
    source = FixedAnswers("a", {"m": Prices(input=10.0, output=0.0), "n": Prices(input=0.0, output=20.0)})
    asked = Service(source=source)
    for model in ("m", "n", "other"):
        asked.respond(request(model=model))
    assert asked.stats().bill_usd == pytest.approx((3 * 10 + 2 * 20) / 1e6)
    assert asked.stats().requests_by_model == {"m": 1, "n": 1, "other": 1}
    assert [entry.status for entry in asked.log()] == [200, 200, 404]


def test_a_limit_cuts_the_answer() -> None:
    """`max_tokens` bounds text and bill, and the reason says so."""
    body = answer(service().respond(request(max_tokens=3)))
    assert body["choices"][0]["message"]["content"] == "one two"
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 3


def test_requests_a_minute() -> None:
    """The bucket empties, says when to come back, and fills up with time."""
    now = [0.0]
    asked = service(limit=RequestLimit(120, lambda: now[0]))
    responses = [sent(asked.respond(request(n))) for n in range(121)]
    assert b"x-ratelimit-limit-requests: 120\r\n" in responses[0]
    assert b"x-ratelimit-remaining-requests: 119\r\n" in responses[0]
    assert b"x-ratelimit-reset-requests: 500ms\r\n" in responses[0]
    assert b"x-ratelimit-reset-requests: 1m0s\r\n" in responses[119]
    assert responses[120].startswith(b"HTTP/1.1 429 ")
    assert b"retry-after-ms: 500\r\nretry-after: 1\r\n" in responses[120]
    now[0] = 0.5
    assert sent(asked.respond(request(120))).startswith(b"HTTP/1.1 200 ")
    assert [entry.retry_after_s for entry in asked.log()[-2:]] == [0.5, None]
    assert asked.stats().charged == 121


def test_a_reset_keeps_count_of_what_is_under_way() -> None:
    """All requests are answered, unanswered or in flight, across a reset too."""
    asked = service()
    entries = [asked.respond(request(n)).entry for n in range(3)]
    asked.traffic.finish(entries[0], 1.0)
    asked.reset()
    asked.traffic.finish(entries[1], 2.0)
    asked.traffic.lose()
    stats = asked.stats()
    assert (stats.requests, stats.in_flight, stats.answered, stats.unanswered) == (2, 0, {200: 1}, 1)
    assert (stats.bill_usd, asked.log(), asked.bodies()) == (0.0, [], {})
