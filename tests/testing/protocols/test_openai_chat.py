"""The OpenAI chat format: questions out of bodies, bodies out of answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calls.direct_lane import read_usage, request_body
from harness.records import Message, Reply, Usage
from harness.testing.builders import a_call, a_settings
from harness.testing.protocols.openai_chat import OPENAI_CHAT, events, read, write
from harness.testing.wire import Letter, Question, Refusal, pieces_of

BODY: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
USAGE = Usage(input_tokens=7, cached_input_tokens=2, output_tokens=5, reasoning_tokens=1)
REPLY = Reply(text="one two\n three ", finish_reason="stop", usage=USAGE, served_by="small")


def test_what_the_direct_lane_writes_is_read_back() -> None:
    """Every setting arrives under our own name, whichever name the wire has for it."""
    settings = a_settings(
        model="openai/gpt-5.4",
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=64,
        frequency_penalty=0.1,
        presence_penalty=-0.1,
        stop=("END",),
        seed=7,
        reasoning_effort="low",
        extra={"top_k": 4},
    )
    call = a_call(settings=settings)
    body = request_body(call)
    assert "max_completion_tokens" in body
    question = read(body)
    assert isinstance(question, Question)
    assert (question.model, question.messages) == ("gpt-5.4", call.messages)
    assert question.settings == settings.sent()


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5-mini", "openai/gpt-5-nano", "o3", "o4-mini"])
def test_a_model_that_always_reasons_refuses_settings_of_sampling(model: str) -> None:
    """As OpenAI does: a run with them is all 400s, and one with a temperature of 1 is not."""
    for name, value in (("temperature", 0.5), ("top_p", 0.9), ("presence_penalty", 0.5)):
        refusal = read({**BODY, "model": model, name: value})
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.param) == (400, name)
    assert isinstance(read({**BODY, "model": model, "temperature": 1}), Question)
    assert isinstance(read({**BODY, "model": "gpt-5.4", "temperature": 0.5}), Question)


def test_null_is_not_sent() -> None:
    """A key that is null counts as absent, as providers take it."""
    question = read({**BODY, "temperature": None, "stream": None, "stop": None})
    assert question == Question("small", (Message("user", "hi"),), {})


def test_texts_in_parts_and_developers() -> None:
    """Content in parts is joined, and a developer speaks as the system."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [{"role": "developer", "content": "x"}, {"role": "user", "content": parts}]
    question = read({**BODY, "messages": messages, "stop": "END"})
    assert isinstance(question, Question)
    assert question.messages == (Message("system", "x"), Message("user", "ab"))
    assert question.settings == {"stop": ["END"]}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0]"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0]"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": True}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"seed": 1.5}, "seed"),
        ({"n": 2}, "n"),
        ({"stream": 1}, "stream"),
    ],
)
def test_what_cannot_be_answered_is_refused(change: dict[str, Any], param: str) -> None:
    """The refusal names the key at fault, as OpenAI's errors do."""
    found = read(BODY | change)
    assert isinstance(found, Refusal)
    assert (found.status, found.param) == (400, param)
    assert json.loads(OPENAI_CHAT.refuse(found).body)["error"]["param"] == param


def test_an_answer_and_its_usage() -> None:
    """Text, reason and all four counts stand where clients look for them."""
    body = json.loads(write(Letter("id", Question("small", (), {}), REPLY)))
    assert body["choices"][0]["message"]["content"] == REPLY.text
    assert read_usage(body["usage"]) == USAGE


@pytest.mark.parametrize("usage", ["missing", "wrong"])
def test_usage_may_be_missing_or_nonsense(usage: Any) -> None:
    """Both are what the fault list promises, in a stream too."""
    question = Question("small", (), {}, stream=True, stream_usage=True)
    body = json.loads(write(Letter("id", question, REPLY, usage)))
    last = json.loads(events(Letter("id", question, REPLY, usage))[-2][6:])
    wrong = {"prompt_tokens": -1, "completion_tokens": "many", "total_tokens": None}
    expected = (wrong, wrong) if usage == "wrong" else (None, None)
    assert (body.get("usage"), last.get("usage")) == expected


def test_a_stream_says_the_same() -> None:
    """The pieces of a stream add up to the text, and its end tells reason and usage."""
    question = Question("small", (), {}, stream=True, stream_usage=True)
    said = events(Letter("id", question, REPLY))
    assert said[-1] == b"data: [DONE]\n\n"
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in said[:-1]]
    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == REPLY.text
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["stop"]
    assert (chunks[-1]["choices"], read_usage(chunks[-1]["usage"])) == ([], USAGE)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_a_stream_without_usage_has_no_such_key() -> None:
    """Usage comes only where it was asked for."""
    said = events(Letter("id", Question("small", (), {}, stream=True), REPLY))
    assert b"usage" not in b"".join(said)


@given(st.text())
def test_pieces_are_the_text(text: str) -> None:
    """Nothing is lost between the pieces of a stream."""
    assert "".join(pieces_of(text)) == text
