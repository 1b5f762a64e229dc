"""litellm behind the seam, for providers whose wire format is not OpenAI's. Only this file imports it.

In: a call. Out: a reply, from exactly one request. litellm's own retries, caches, callbacks, logging and
`drop_params` stay off: a setting that the model does not take is refused, never dropped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, cast

from harness.calls.faults import kind_of, retry_after_s, safe
from harness.calls.provider import ProviderFault
from harness.records import Call, FailureKind, Reply, Usage

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
    r"Empty or invalid response|provider returned 'choices'|Unable to get json response"
    r"|APIConnectionError: '\w+'\s+Traceback|Invalid response object|line \d+ column \d+ \(char \d+\)"
)
_BROKEN = re.compile(r"Cannot connect|Connection error|Server disconnected|payload is not completed")
# Classes of the HTTP libraries that say the request never went out, so that nobody can have billed it.
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "ClientConnectorError", "ClientConnectorDNSError"})


class LitellmProvider:
    """Speaks to one provider through `litellm.acompletion`. prefix: litellm's name of the provider."""

    def __init__(self, prefix: str, api_base: str | None = None, key: str | None = None) -> None:
        self._prefix = prefix
        self._api_base = api_base
        self._key = key

    def __repr__(self) -> str:
        return f"LitellmProvider({self._prefix!r}, {self._api_base!r})"

    async def complete(self, call: Call) -> Reply:
        """Send one request and read its answer; see `provider.Provider`."""
        litellm = load_litellm()
        try:
            answer = await litellm.acompletion(**self.arguments(call))
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("litellm", "openai", "httpx", "aiohttp"):
                raise
            raise self._fault(error) from error
        return _read(answer)

    async def close(self) -> None:
        """Nothing to let go of: litellm keeps its clients for the life of the loop."""

    def arguments(self, call: Call) -> dict[str, Any]:
        """The keyword arguments of `litellm.acompletion` for this call."""
        arguments: dict[str, Any] = {
            "model": f"{self._prefix}/{call.settings.model_name}",
            "messages": [{"role": message.role, "content": message.content} for message in call.messages],
            "max_retries": 0,
            "drop_params": False,
            "no-log": True,
        }
        for name, value in call.settings.sent().items():
            arguments["max_tokens" if name == "max_output_tokens" else name] = value
        if self._api_base:
            arguments["api_base"] = self._api_base
        if self._key:
            arguments["api_key"] = self._key
        return arguments

    def _fault(self, error: Exception) -> ProviderFault:
        text = str(error)
        headers = cast("Mapping[str, str]", getattr(error, "litellm_response_headers", None) or {})
        response = getattr(error, "response", None)
        if not headers and response is not None:
            headers = response.headers
        kind = _kind(error, text)
        return ProviderFault(
            kind,
            # litellm appends tracebacks to some messages, with the paths of this machine.
            safe(f"{type(error).__name__}: {text.partition('Traceback (most')[0]}", self._key),
            retry_after_s=retry_after_s(headers),
            billed=kind in ("timeout", "malformed") or (kind == "connection" and not _never_sent(error)),
        )


def load_litellm() -> Any:
    """litellm, tamed: no look-up of prices or tokenizers on the network, nothing printed."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_OFFLINE_MODE", "true")
    import litellm

    litellm.suppress_debug_info = True
    litellm.disable_hf_tokenizer_download = True
    return litellm


def _kind(error: Exception, text: str) -> FailureKind:
    for cls in type(error).__mro__:
        if cls.__name__ in KINDS:
            return KINDS[cls.__name__]
        if cls.__name__ in _BY_STATUS:
            break
    status = int(getattr(error, "status_code", 0) or 500)
    if status != 400 and _UNREADABLE.search(text):
        return "malformed"
    if "Connection" in type(error).__name__ or _BROKEN.search(text):
        return "connection"
    return kind_of(status, text)


def _never_sent(error: BaseException) -> bool:
    cause: BaseException | None = error
    for _ in range(_CHAIN):
        if cause is None:
            return False
        if any(cls.__name__ in _NEVER_SENT for cls in type(cause).__mro__):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _read(answer: Any) -> Reply:
    try:
        choice = answer.choices[0]
        usage = getattr(answer, "usage", None)
        return Reply(
            text=_text(choice.message.content),
            finish_reason=choice.finish_reason,
            usage=_usage(usage),
            served_by=answer.model,
        )
    except (AttributeError, IndexError, TypeError) as error:
        raise ProviderFault("malformed", f"unreadable answer: {error!r}", billed=True) from error


def _text(content: object) -> str:
    if content is not None and not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}, not text")
    return content or ""


def _usage(usage: Any) -> Usage:
    # litellm fills in zeros where the provider said nothing; no prompt has no tokens.
    if usage is None or not usage.prompt_tokens:
        return Usage()
    prompt = getattr(usage, "prompt_tokens_details", None)
    output = getattr(usage, "completion_tokens_details", None)
    return Usage(
        input_tokens=usage.prompt_tokens,
        cached_input_tokens=getattr(prompt, "cached_tokens", None),
        output_tokens=usage.completion_tokens,
        reasoning_tokens=getattr(output, "reasoning_tokens", None),
    )
