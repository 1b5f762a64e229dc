"""litellm behind the seam, for providers whose wire format is not OpenAI's.

In: a call. Out: a reply, from exactly one request. litellm's own retries, caches, callbacks, logging and
`drop_params` stay off: a setting that the model does not take is refused, never dropped.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from harness.calls.asked import retry_after_s
from harness.calls.embeddings import read_vectors, reply_with
from harness.calls.faults import DECLINED, GAVE_UP, cut_off, kind_of, kind_of_error, safe
from harness.calls.provider import ProviderFault
from harness.calls.reading import FAILED, StreamedText, answer_of, count, reason_of, stated_fault, usage_of
from harness.clock import Clock, SystemClock
from harness.loading import FOR_VECTORS, IN_BODY, load_litellm
from harness.records import Call, FailureKind, Reply, Usage

NO_KEY = "no-key"
TRANSLATED = ("response_format",)  # of custom parameters, what litellm writes in each format's own words
# Services that cut off a text that is too long, unless they are told to refuse it.
UNCUT: Mapping[str, Mapping[str, bool]] = {
    "ollama": {"truncate": False},
    "vertex_ai": {"autoTruncate": False},
}
UNCOUNTED = ("gemini",)  # prefixes whose answers with vectors do not state their tokens
NEEDS = "litellm needs the package {!r}, which is not installed; run `pip install {}`"
# The versions of extras, by their own names: who installed harness from a folder has no name for it.
VERSIONS: Mapping[str, str] = {"mcp": "'mcp>=2,<3'"}
_CHAIN = 20  # exceptions followed back to the first cause; litellm wraps some three or four times
# litellm's exception classes by name, nearest class first; whatever is not here is read by its status.
KINDS: Mapping[str, FailureKind] = {
    "ContextWindowExceededError": "too_long",
    "ContentPolicyViolationError": "filtered",
    "AuthenticationError": "credentials",
    "PermissionDeniedError": "credentials",
    "NotFoundError": "not_found",
    "UnsupportedParamsError": "bad_request",
    "Timeout": "timeout",
    "APIResponseValidationError": "malformed",
    "JSONSchemaValidationError": "malformed",
    "BudgetExceededError": "quota",
    "ModelNotMappedError": "not_found",
    "GuardrailRaisedException": "filtered",
    "BlockedPiiEntityError": "filtered",
    "ModifyResponseException": "filtered",
    "SensitiveDataRouteException": "filtered",
}
# litellm gives these classes to quite different failures, so their status and text are read.
_BY_STATUS = (
    "RateLimitError",
    "BadRequestError",
    "UnprocessableEntityError",
    "InternalServerError",
    "ServiceUnavailableError",
    "BadGatewayError",
    "APIConnectionError",
    "APIError",
    "OpenAIError",
)
# Answers with status 200 that litellm could not read come out under the classes above, in these words.
_UNREADABLE = re.compile(
    r"Empty or invalid response|provider returned (?:a response with no )?'choices'"
    r"|Unable to get json response|APIConnectionError: '\w+'\s+Traceback|Invalid response object"
    r"|line \d+ column \d+ \(char \d+\)|Error converting to valid response"
    r"|\d+ validation errors? for |Unexpected string response|'str' object has no attribute '"
    # Of Bedrock's framed events, as botocore reads them.
    r"|Checksum mismatch: expected|length of \d+ exceeded the maximum"
)
_BROKEN = re.compile(r"Cannot connect|Connection error|Server disconnected|payload is not completed")
# Classes of the HTTP libraries, and of Python, for a line that broke or never stood.
_LINE = frozenset({"TransportError", "ClientConnectionError", "ClientPayloadError", "ConnectionError"})
# Classes of Google's and Amazon's libraries for credentials that are not there, or no good.
_NO_CREDENTIALS = frozenset({"GoogleAuthError", "NoCredentialsError", "PartialCredentialsError"})
# Classes of the HTTP libraries that say the request never went out, so that nobody can have billed it.
_NEVER_SENT = frozenset({"ClientConnectorError", "ConnectionTimeoutError"})
_NEVER_SENT_BY_HTTPX = frozenset({"ConnectError", "ConnectTimeout"})


class LitellmProvider:
    """Speaks to one provider through `litellm.acompletion`. prefix: litellm's name of the provider.

    stream: ask for the answer piece by piece, and time its first piece.
    """

    def __init__(
        self,
        prefix: str,
        api_base: str | None = None,
        key: str | None = None,
        *,
        stream: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._prefix = prefix
        self._api_base = api_base
        self._key = key
        self._stream = stream
        self._clock = clock or SystemClock()

    def __repr__(self) -> str:
        return f"LitellmProvider({self._prefix!r}, {self._api_base!r})"

    async def complete(self, call: Call) -> Reply:
        """Send one request and read its answer; see `provider.Provider`."""
        litellm = load_litellm()
        arguments, sent = self.arguments(call), self._clock.monotonic()
        try:
            if call.texts:
                return self._read_vectors(await litellm.aembedding(**arguments), call)
            answer = await litellm.acompletion(**arguments)
            if self._stream:
                return await self._gather(answer, sent)
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("litellm", "openai", "httpx", "aiohttp"):
                raise
            raise self._fault(error) from error
        return _read(answer, self._key)

    async def close(self) -> None:
        """Close the connections that litellm keeps on this loop; asked again, it opens new ones."""
        litellm: Any = sys.modules.get("litellm")
        if litellm is None:
            return
        cached = litellm.in_memory_llm_clients_cache.cache_dict.values()
        for client in (*cached, litellm.module_level_aclient):
            # OpenAI's clients and litellm's own wrap one of httpx each. Only what is below is closed: litellm
            # keeps some clients for the life of the process, and a closed one of httpx cannot be used again.
            transport = getattr(getattr(client, "_client", None), "_transport", None)
            session = getattr(transport, "client", None)
            if transport is not None and getattr(session, "_loop", None) is asyncio.get_running_loop():
                await transport.aclose()
        await _end_worker()

    def arguments(self, call: Call) -> dict[str, Any]:
        """The keyword arguments of `litellm.acompletion` for this call, of `aembedding` for one of texts."""
        arguments: dict[str, Any] = {"max_retries": 0, "drop_params": False, "no-log": True}
        if call.texts:
            prefix = FOR_VECTORS.get(self._prefix, self._prefix)
            arguments |= {"model": f"{prefix}/{call.settings.model_name}", "input": list(call.texts)}
            arguments |= UNCUT.get(prefix, {})
        else:
            arguments |= {
                "model": f"{self._prefix}/{call.settings.model_name}",
                "messages": [{"role": message.role, "content": message.content} for message in call.messages],
            }
        if self._stream and not call.texts:
            arguments |= {"stream": True, "stream_options": {"include_usage": True}}
        for name, value in call.settings.sent().items():
            if name not in call.settings.extra or name in TRANSLATED or call.texts:
                arguments["max_tokens" if name == "max_output_tokens" else name] = value
            elif self._is_google(call):
                arguments.setdefault("extra_body", {"generationConfig": {}})["generationConfig"][name] = value
            elif self._prefix in IN_BODY:
                arguments.setdefault("extra_body", {})[name] = value
            else:
                arguments[name] = value
        if self._api_base:
            # Without a key, litellm would take OpenAI's from the environment and send it to this address.
            arguments |= {"api_base": self._api_base, "api_key": NO_KEY}
        if self._key:
            arguments["api_key"] = self._key
        return arguments

    def _is_google(self, call: Call) -> bool:
        """Whether litellm translates to Google's format: it then drops every parameter not on its list."""
        return self._prefix == "gemini" or (
            self._prefix == "vertex_ai" and call.settings.model_name.startswith("gemini")
        )

    def _read_vectors(self, answer: Any, call: Call) -> Reply:
        """The vectors of an answer, in the order of the texts."""
        try:
            data = [{"index": one["index"], "embedding": one["embedding"]} for one in answer.data]
            vectors = read_vectors(data, len(call.texts))
            served_by = answer.model
        except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise ProviderFault("malformed", f"unreadable answer: {error!r}", billed=True) from error
        if self._prefix in UNCOUNTED:
            # Google states no tokens here, and litellm's own count is that of one of the texts at most.
            tokens = sum(_tokens(text) for text in call.texts)
        else:
            tokens = _usage(getattr(answer, "usage", None)).input_tokens
        return reply_with(vectors, tokens, served_by)

    async def _gather(self, stream: Any, sent: float) -> Reply:
        """The reply that litellm's stream adds up to. sent: when the request went out, by our clock."""
        text, finish_reason, usage = StreamedText(self._clock, sent), None, None
        try:
            async for chunk in stream:
                usage = getattr(chunk, "usage", None) or usage
                for choice in chunk.choices[:1]:
                    finish_reason = choice.finish_reason or finish_reason
                    text.add(choice.delta.content or "")
        finally:
            await stream.aclose()
        counts = _streamed_usage(stream.chunks, usage)
        # litellm ends every stream with a "stop" of its own: also one that broke off, or that it cannot read.
        ended = stream.received_finish_reason or stream.intermittent_finish_reason
        if finish_reason == "stop":
            finish_reason = reason_of(ended) or finish_reason
        if finish_reason == FAILED:
            raise stated_fault({"finish_reason": ended}, self._key)
        answer = text.answer()
        if not ended or not (text.begun or counts != Usage() or finish_reason != "stop"):
            raise cut_off(answer)
        # Its chunks carry the model that was asked for, not the one that answered.
        return Reply(
            text=answer,
            finish_reason=finish_reason,
            usage=counts,
            first_token_s=text.first_token_s if answer else None,
        )

    def _fault(self, error: Exception) -> ProviderFault:
        for cause in _causes(error):
            if isinstance(cause, ModuleNotFoundError):
                # litellm loads it on first use, and takes its absence for a broken line.
                needed = (cause.name or "").partition(".")[0]
                return ProviderFault(
                    "bad_request", f"for this model, {NEEDS.format(needed, VERSIONS.get(needed, needed))}"
                )
        text, names = str(error), _names(error)
        if _NO_CREDENTIALS & names:
            return ProviderFault("credentials", safe(text.partition("Traceback (most")[0], self._key))
        headers = cast("Mapping[str, str]", getattr(error, "litellm_response_headers", None) or {})
        response = getattr(error, "response", None)
        if not headers and response is not None:
            headers = response.headers
        # After a status of 200, an error comes without a status, or in a stream wrapped once more.
        cause = getattr(error, "original_exception", None)
        begun = cause is not None or getattr(error, "status_code", 0) is None
        kind = _kind_begun(cause or error, text) if begun else _kind(error, text)
        # Of Google, it asks for a stream only once that is read: a refusal then looks like one in the middle.
        begun = begun and "HTTPStatusError" not in names
        lost = kind in ("timeout", "malformed", "connection") and "HTTPStatusError" not in names
        gave_up = any(getattr(cause, "status_code", 0) in GAVE_UP for cause in _causes(error))
        return ProviderFault(
            kind,
            # litellm appends tracebacks to some messages, with the paths of this machine.
            safe(f"{type(error).__name__}: {text.partition('Traceback (most')[0]}", self._key),
            retry_after_s=retry_after_s(headers, text, limited=kind == "rate_limit"),
            billed=begun or ((lost or gave_up) and not _never_sent(names)),
        )


async def _end_worker() -> None:
    """End the task for callbacks that litellm keeps on this loop: left to itself, it complains at the end."""
    module: Any = sys.modules.get("litellm.litellm_core_utils.logging_worker")
    worker: Any = getattr(module, "GLOBAL_LOGGING_WORKER", None)
    if getattr(worker, "_bound_loop", None) is asyncio.get_running_loop():
        await worker.clear_queue()
        await worker.stop()


def _kind(error: Exception, text: str) -> FailureKind:
    if (named := _named(error)) is not None:
        return named
    status = int(getattr(error, "status_code", 0) or 500)
    if status < 400 or (status != 400 and _UNREADABLE.search(text)):
        return "malformed"
    if _broken(error, text):
        return "connection"
    return kind_of(status, f"{text} {json.dumps(_stated(error), default=str)}")


def _kind_begun(error: Exception, text: str) -> FailureKind:
    """As `_kind`, for an answer that was begun: litellm then gives 500 and one class to almost everything."""
    if (named := _named(error)) is not None:
        return named
    if _UNREADABLE.search(text):
        return "malformed"
    if _broken(error, text):
        return "connection"
    if (stated := _stated(error)) is not None:
        return kind_of_error(stated)
    status = int(getattr(error, "status_code", 0) or 500)
    return kind_of_error(text) if status == 500 else kind_of(status, text)


def _named(error: Exception) -> FailureKind | None:
    for cls in type(error).__mro__:
        if cls.__name__ in KINDS:
            return KINDS[cls.__name__]
        if cls.__name__ in _BY_STATUS:
            break
    return None


def _stated(error: BaseException) -> Mapping[str, object] | None:
    """The error object that the provider sent, where one of the libraries kept it."""
    for cause in _causes(error):
        if isinstance(body := getattr(cause, "body", None), Mapping):
            return cast("Mapping[str, object]", body)
    return None


def _broken(error: BaseException, text: str) -> bool:
    return bool(_LINE & _names(error)) or _BROKEN.search(text) is not None


def _never_sent(names: frozenset[str]) -> bool:
    # litellm's transport gives httpx's name for "no connection" to any error of aiohttp's socket, a reset in
    # the middle of the answer included: where aiohttp speaks, it alone is believed.
    return bool(names & (_NEVER_SENT if "ClientError" in names else _NEVER_SENT_BY_HTTPX))


def _names(error: BaseException) -> frozenset[str]:
    """The names of all classes of an exception and of what it was raised from."""
    return frozenset(cls.__name__ for cause in _causes(error) for cls in type(cause).__mro__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """This exception and what it was raised from, as far back as anybody wraps."""
    cause: BaseException | None = error
    for _ in range(_CHAIN):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _tokens(text: str) -> int:
    """The tokens of a text by the tokenizer that litellm takes for all models without one of their own."""
    return load_litellm().token_counter(model="", text=text)


def _read(answer: Any, key: str | None) -> Reply:
    try:
        choice = answer.choices[0]
        own = getattr(choice, "provider_specific_fields", None) or {}
        reason, native = choice.finish_reason, own.get("native_finish_reason")
        if reason == "stop":  # litellm's word for every other that it does not know
            reason = reason_of(native) or reason
        if reason == FAILED or own.get("error"):
            raise stated_fault(own.get("error") or {"finish_reason": native}, key)
        return Reply(
            text=answer_of(_text(choice.message.content)),
            finish_reason=DECLINED if _declines(choice.message) else reason,
            usage=_usage(getattr(answer, "usage", None)),
            served_by=answer.model,
        )
    except (AttributeError, IndexError, TypeError) as error:
        raise ProviderFault("malformed", f"unreadable answer: {error!r}", billed=True) from error


def _declines(said: Any) -> bool:
    """Whether a message is the model's refusal to answer; of a stream, litellm does not tell."""
    own = getattr(said, "provider_specific_fields", None) or {}
    return not said.content and bool(own.get("refusal"))


def _text(content: object) -> str:
    if content is not None and not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}, not text")
    return content or ""


def _usage(usage: Any, total: int | None = None) -> Usage:
    # litellm fills in zeros where the provider said nothing, and leaves thoughts out, except in the total.
    if usage is None:
        return Usage()
    prompt = getattr(usage, "prompt_tokens_details", None)
    output = getattr(usage, "completion_tokens_details", None)
    return usage_of(
        count(usage.prompt_tokens),
        count(usage.completion_tokens),
        total=total or count(usage.total_tokens),
        cached=count(getattr(prompt, "cached_tokens", None)),
        reasoning=count(getattr(output, "reasoning_tokens", None)),
        written=count(getattr(prompt, "cache_write_tokens", None)),
    )


def _streamed_usage(chunks: list[Any], usage: Any) -> Usage:
    # litellm counts tokens by itself where the provider stated none, fills details with zeros, and adds up a
    # total of its own.
    stated = [chunk.usage for chunk in chunks if getattr(chunk, "usage", None) is not None]
    if not stated:
        return Usage()
    details = [getattr(one, "completion_tokens_details", None) for one in stated]
    reasoning = [getattr(one, "reasoning_tokens", None) for one in details]
    total = max(count(getattr(one, "total_tokens", None)) or 0 for one in stated)
    counts = _usage(usage, max(total, count(usage.total_tokens) or 0))
    return replace(counts, reasoning_tokens=next((n for n in reversed(reasoning) if n is not None), None))
